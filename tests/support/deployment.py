"""The product as processes, on this test process's database, for journeys, browsers and crash tests.

Kill any of them, start it again, and look at what is left. Everything ends with the block.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from settld.launcher import commands
from settld.launcher.environment import demo_environment
from settld.launcher.home import Home, open_home
from settld.launcher.http import status_of
from settld.launcher.ports import free_port
from settld.launcher.processes import spawn, stop, tail
from settld.launcher.redis_server import start_redis
from settld.launcher.secrets_store import load_secrets
from settld.launcher.simulator import connect_events
from tests.support.servers import owner_url, process_database


@dataclasses.dataclass
class Deployment:
    """Running processes by name (`redis`, `web`, `simulator`, `worker`, `beat`), and how to reach them."""

    base_url: str
    simulator_url: str
    ops_token: str
    environment: dict[str, str]
    folder: Path
    home: Home
    lines: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = dataclasses.field(default_factory=dict)

    def start(self, name: str, **extra: str) -> None:
        """Start one process and wait until it answers; `extra` settings are for this start alone."""
        if name == "redis":
            self.processes[name] = start_redis(self.home, durable=False).process
            return
        self.processes[name] = spawn(
            self.lines[name],
            log=self.folder / f"{name}.log",
            environment=self.environment | extra,
            cwd=commands.CHECKOUT,
        )
        if name == "web":
            self._await(f"{self.base_url}/healthz", name)
        if name == "simulator":
            self._await(f"{self.simulator_url}/_sim/health", name)

    def kill(self, name: str) -> None:
        """SIGKILL the process and its workers: nothing is said good-bye to."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def stop(self, name: str) -> None:
        stop(self.processes.pop(name), first=signal.SIGTERM, patience_seconds=10)

    def manage(self, *arguments: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a management command in this deployment."""
        return subprocess.run(
            commands.manage(*arguments),
            env=self.environment | extra,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=300,
        )

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _await(self, url: str, name: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while status_of(url) != 200:
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"{name} does not answer:\n{tail(self.folder / f'{name}.log', lines=30)}"
                )
            time.sleep(0.05)


@contextlib.contextmanager
def running(
    *names: str, web_workers: int = 2, settings: Mapping[str, str] | None = None
) -> Iterator[Deployment]:
    """Run the named processes (default: simulator and web) with the demo's settings, changed by `settings`.

    The simulator's signed events go to the web process. Redis is this deployment's own, so that no
    worker takes another test's jobs. Use with the `live_db` fixture.
    """
    names = names or ("simulator", "web")
    port, simulator_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="settld-deployment-") as folder:
        home = open_home(Path(folder) / "home")
        redis = start_redis(home, durable=False)
        home_url = {"APP_PUBLIC_URL": f"http://127.0.0.1:{port}"}  # where the tests' browsers are
        given = dict(os.environ) | home_url | _database_settings() | {"REDIS_URL": redis.url}
        given |= dict(settings or {})
        environment = demo_environment(
            given=given,
            home=home,
            secrets=load_secrets(home),
            port=port,
            simulator_url=f"http://127.0.0.1:{simulator_port}",
        )
        deployment = Deployment(
            base_url=f"http://127.0.0.1:{port}",
            simulator_url=f"http://127.0.0.1:{simulator_port}",
            ops_token=environment["SETTLD_DEMO_OPS_TOKEN"],
            environment=environment,
            folder=home.logs,
            home=home,
            processes={"redis": redis.process},
            lines={
                "web": commands.web(host="127.0.0.1", port=port, workers=web_workers),
                "simulator": commands.simulator(port=simulator_port, data=home.simulator),
                "worker": commands.worker(),
                "beat": commands.beat(schedule=home.root / "beat-schedule"),
            },
        )
        try:
            for name in names:
                deployment.start(name)
                if name == "simulator":
                    _register_webhook(deployment)
            yield deployment
        finally:
            for name in reversed(list(deployment.processes)):
                deployment.stop(name)


def _database_settings() -> dict[str, str]:
    return {
        "DATABASE_URL": _on(os.environ["DATABASE_URL"], process_database()),
        "DATABASE_OWNER_URL": _on(owner_url(), process_database()),
    }


def _on(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _register_webhook(deployment: Deployment) -> None:
    connect_events(
        simulator_url=deployment.simulator_url,
        base_url=deployment.base_url,
        secret=deployment.environment["PROXY_BILLING_STRIPE_WEBHOOK_SECRET"].split(",")[0],
    )
