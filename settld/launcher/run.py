"""`make run`: from an empty folder to a healthy deployment with something to look at, and back to nothing."""

import importlib.util
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping

from settld.launcher import commands, console
from settld.launcher.environment import demo_environment, uses_simulator
from settld.launcher.errors import LauncherError
from settld.launcher.given import given_environment
from settld.launcher.home import Home, HomeLock, open_home, write_private
from settld.launcher.http import status_of
from settld.launcher.ports import free_port, kept_port, read_port, require_free
from settld.launcher.postgres import OWNER_ROLE, start_postgres
from settld.launcher.processes import end_leftovers, size_of, spawn, tail
from settld.launcher.redis_server import start_redis
from settld.launcher.report import show_report
from settld.launcher.secrets_store import load_secrets
from settld.launcher.simulator import connect_events
from settld.launcher.supervisor import Child, StopRequested, Supervisor, describe_exit

_HEALTHY_WITHIN_SECONDS = 90


def run() -> int:
    """Start everything, stay until a signal comes, stop everything. The exit code is for the shell."""
    started_at = time.monotonic()
    given = given_environment(commands.CHECKOUT)
    port = read_port(given.get("PORT", ""))
    host = given.get("SETTLD_BIND", "").strip() or "127.0.0.1"
    home = open_home(given.get("SETTLD_HOME", "").strip() or commands.CHECKOUT / ".local")
    lock = HomeLock(home)
    lock.acquire(port=port)
    supervisor = Supervisor(home, show_all=given.get("VERBOSE", "") not in {"", "0"})
    supervisor.install_signals()
    try:
        for name in end_leftovers(home):
            console.say("settld", f"ended {name}, left over from a run that was killed")
        require_free(host, port)
        deployment = _Deployment(home=home, given=given, host=host, port=port, supervisor=supervisor)
        deployment.start()
        show_report(
            home=home, environment=deployment.environment, port=port, seconds=time.monotonic() - started_at
        )
        supervisor.run_until_stopped()
    except StopRequested:
        console.plain()
    finally:
        if supervisor.has_children:
            console.say("settld", "stopping")
        supervisor.stop_all()
        home.run.unlink(missing_ok=True)
        lock.release()
    console.say("settld", "stopped; the state stays in " + str(home.root))
    return 0


class _Deployment:
    """The steps of a start, in their order."""

    def __init__(
        self, *, home: Home, given: Mapping[str, str], host: str, port: int, supervisor: Supervisor
    ) -> None:
        self._home = home
        self._given = given
        self._host = host
        self._port = port
        self._supervisor = supervisor
        self._is_production = given.get("SETTLD_ENV", "").strip().lower() == "production"
        self._simulated = uses_simulator(given) and not self._is_production
        # Checkout pages and payment links of an earlier run are still to be found at their addresses.
        self._simulator_port = kept_port(home.simulator_port) if self._simulated else free_port()
        self._secrets = load_secrets(home)
        self.environment: dict[str, str] = {}
        self._counters: dict[str, str] = {}

    def start(self) -> None:
        """Bring up servers, schema, processes and demo; raises LauncherError with the reason."""
        servers = self._start_servers()
        self.environment = demo_environment(
            given={**self._given, **servers},
            home=self._home,
            secrets=self._secrets,
            port=self._port,
            simulator_url=f"http://127.0.0.1:{self._simulator_port}",
        )
        self._remember()
        if self._simulated:
            self._start_simulator()
        self._share_counters()
        self._command("migrate", "--noinput", "--verbosity", "1")
        if self._is_production:
            self._command("collectstatic", "--noinput", "--verbosity", "0")
        self._child("web", commands.web(host=self._host, port=self._port))
        self._wait_healthy()
        self._child("worker", commands.worker(), patience_seconds=20)
        self._child("beat", commands.beat(schedule=self._home.root / "beat-schedule"))
        if self._simulated:
            self._register_webhook()
        if not self._is_production and self._given.get("SETTLD_DEMO", "").strip() != "0":
            self._seed()

    def _start_servers(self) -> dict[str, str]:
        """Start what the environment does not name; return the settings that lead there."""
        found: dict[str, str] = {}
        if not self._given.get("DATABASE_URL"):
            console.say("postgres", f"starting on {self._home.postgres}")
            server = start_postgres(self._home)
            found["DATABASE_URL"] = server.url()
            found["DATABASE_OWNER_URL"] = server.url(role=OWNER_ROLE)
            self._supervisor.add(
                Child(
                    name="postgres",
                    start=lambda: start_postgres(self._home).process,
                    stop_signal=signal.SIGINT,
                    patience_seconds=30,
                    insist_signal=signal.SIGQUIT,
                ),
                process=server.process,
            )
        if not self._given.get("REDIS_URL"):
            redis = start_redis(self._home)
            found["REDIS_URL"] = redis.url
            self._supervisor.add(
                Child(name="redis", start=lambda: start_redis(self._home).process), process=redis.process
            )
        return found

    def _remember(self) -> None:
        """Let `make demo` and `manage` find this deployment; the file is the owner's alone."""
        added = {name: value for name, value in self.environment.items() if self._given.get(name) != value}
        write_private(self._home.run, json.dumps({"port": self._port, "environment": added}, indent=2) + "\n")

    def _share_counters(self) -> None:
        """Give the processes one folder to count in, empty at each start; /metrics adds them up."""
        if self._given.get("PROMETHEUS_MULTIPROC_DIR"):
            return
        shutil.rmtree(self._home.metrics, ignore_errors=True)
        self._home.metrics.mkdir(mode=0o700)
        self._counters = {"PROMETHEUS_MULTIPROC_DIR": str(self._home.metrics)}

    def _child(self, name: str, command: list[str], *, patience_seconds: float = 12) -> None:
        def start() -> subprocess.Popen[bytes]:
            return spawn(
                command,
                log=self._home.logs / f"{name}.log",
                environment=self.environment | self._counters,
                cwd=commands.CHECKOUT,
            )

        console.say(name, "starting")
        self._supervisor.add(Child(name=name, start=start, patience_seconds=patience_seconds))

    def _start_simulator(self) -> None:
        if not _has_module("settld.stripe_simulator.__main__"):
            raise LauncherError("The Stripe simulator is missing from this checkout.")
        self._child("simulator", commands.simulator(port=self._simulator_port, data=self._home.simulator))

    def _register_webhook(self) -> None:
        """Point the simulator's signed events at our one intake."""
        base = f"http://127.0.0.1:{self._simulator_port}"
        deadline = time.monotonic() + 30
        while status_of(f"{base}/_sim/health") != 200:
            if time.monotonic() > deadline:
                raise LauncherError(
                    "The Stripe simulator does not answer. Its log ends:\n"
                    + tail(self._home.logs / "simulator.log")
                )
            self._supervisor.sleep(0.1)
        connect_events(
            simulator_url=base,
            base_url=f"http://{self._loopback()}:{self._port}",
            secret=self.environment["PROXY_BILLING_STRIPE_WEBHOOK_SECRET"].split(",")[0].strip(),
        )

    def _command(self, *arguments: str) -> None:
        console.say("manage", " ".join(arguments[:1]))
        log = self._home.logs / "manage.log"
        before = size_of(log)
        code = self._supervisor.run_command(
            commands.manage(*arguments), name="manage", environment=self.environment
        )
        if code != 0:
            raise LauncherError(
                f"`manage.py {arguments[0]}` failed ({describe_exit(code)}):\n"
                + tail(log, lines=15, since=before)
            )

    def _wait_healthy(self) -> None:
        deadline = time.monotonic() + _HEALTHY_WITHIN_SECONDS
        while (status := status_of(f"http://{self._loopback()}:{self._port}/healthz")) != 200:
            if time.monotonic() > deadline:
                seen = "no answer" if status is None else f"status {status}"
                raise LauncherError(
                    f"The web server is not healthy after {_HEALTHY_WITHIN_SECONDS} s ({seen}). Log:\n"
                    + tail(self._home.logs / "web.log", lines=15)
                )
            self._supervisor.sleep(0.1)

    def _loopback(self) -> str:
        return "127.0.0.1" if self._host in {"0.0.0.0", ""} else self._host  # noqa: S104

    def _seed(self) -> None:
        """Seed the demo; what runs is worth keeping even when its sample data could not be made."""
        console.say("demo", "seeding through the API")
        log = self._home.logs / "demo.log"
        before = size_of(log)
        code = self._supervisor.run_command(
            commands.manage("demo", "--lively"), name="demo", environment=self.environment
        )
        if code != 0:
            console.say("demo", f"failed ({describe_exit(code)}); everything else runs. Its log ends:")
            console.say("demo", tail(log, lines=6, since=before))


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
