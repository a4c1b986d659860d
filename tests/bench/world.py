"""The servers that a run measures: a durable PostgreSQL, the product and the floor, each as in production."""

import contextlib
import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from settld.launcher import PostgresServer, commands, start_postgres, start_redis
from settld.launcher.environment import demo_environment
from settld.launcher.home import Home
from settld.launcher.http import status_of
from settld.launcher.ports import free_port
from settld.launcher.processes import spawn, stop, tail
from settld.launcher.scratch import scratch_home
from settld.launcher.secrets_store import load_secrets
from tests.bench.floor.table import TABLE

PROVIDER = "bench_bank"
SECRET = "whsec_bench"
FLOOR_DATABASE = "floor"
_FOREIGN = ("PROXY_", "SETTLD_", "DJANGO_", "DATABASE_", "REDIS_")


@dataclasses.dataclass
class World:
    """Everything a scenario may touch."""

    home: Home
    postgres: PostgresServer
    environment: dict[str, str]
    token: str
    workers: int
    product_port: int = 0
    floor_port: int = 0

    @property
    def admin_url(self) -> str:
        return self.postgres.url(role="postgres")

    @property
    def floor_url(self) -> str:
        return self.postgres.url(role="postgres", database=FLOOR_DATABASE)

    def sql(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """Ask the product's database as its superuser, outside everything measured."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            cursor = connection.execute(query, parameters or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def manage(self, *arguments: str, stdin: str = "") -> str:
        """Run a management command of the product."""
        done = subprocess.run(
            commands.manage(*arguments), env=self.environment, input=stdin, text=True, capture_output=True
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def logged(self) -> Iterator[None]:
        """Show what the servers said last when the run breaks off."""
        try:
            yield
        except Exception:
            for log in sorted(self.home.logs.glob("*.log")):
                print(f"--- {log.name}\n{tail(log, lines=30)}", flush=True)
            raise

    @contextlib.contextmanager
    def product(self, *, workers: int | None = None, **extra: str) -> Iterator[int]:
        """Serve the product as `make run` does; yields its port."""
        command = commands.web(host="127.0.0.1", port=0, workers=workers or self.workers)
        with self._serve(command, self.environment | extra, "product", "/healthz") as port:
            yield port

    @contextlib.contextmanager
    def floor(self) -> Iterator[int]:
        """Serve the bare project by the same server with the same options."""
        command = commands.web(host="127.0.0.1", port=0, workers=self.workers)
        command[-1] = "tests.bench.floor.wsgi:application"
        environment = dict(self.environment) | {
            "FLOOR_DATABASE_URL": self.floor_url,
            "DJANGO_SETTINGS_MODULE": "tests.bench.floor.settings",
        }
        with self._serve(command, environment, "floor", "/rows/first") as port:
            yield port

    @contextlib.contextmanager
    def _serve(
        self, command: list[str], environment: Mapping[str, str], name: str, path: str
    ) -> Iterator[int]:
        port = free_port()
        command = [*command]
        command[command.index("--port") + 1] = str(port)
        log = self.home.logs / f"{name}.log"
        process = spawn(command, log=log, environment=environment, cwd=commands.CHECKOUT)
        try:
            deadline = time.monotonic() + 60
            while status_of(f"http://127.0.0.1:{port}{path}") != 200:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not answer:\n{tail(log, lines=40)}")
                time.sleep(0.1)
            yield port
        finally:
            stop(process, first=15, patience_seconds=15)


@contextlib.contextmanager
def running(*, workers: int) -> Iterator[World]:
    """Start the database servers with a migrated product database and the floor's own."""
    with scratch_home() as home, contextlib.ExitStack() as stack:
        postgres = start_postgres(home, durable=True)
        stack.callback(postgres.stop)
        redis = start_redis(home, durable=True)
        stack.callback(redis.stop)
        secrets = load_secrets(home)
        given = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        given |= {
            "DATABASE_URL": postgres.url(),
            "DATABASE_OWNER_URL": postgres.url(role="postgres"),
            "REDIS_URL": redis.url,
            "PROXY_MONEY_RAIL_PROVIDERS": json.dumps(
                [{"providerId": PROVIDER, "mode": "sandbox", "webhookSecret": SECRET}]
            ),
        }
        environment = demo_environment(
            given=given, home=home, secrets=secrets, port=1, simulator_url="http://127.0.0.1:1"
        )
        world = World(home, postgres, environment, environment["SETTLD_DEMO_OPS_TOKEN"], workers)
        world.manage("migrate", "--verbosity", "0")
        _make_floor(world)
        yield world


def socket_url(folder: Path, world: World) -> str:
    """The product's database by way of another socket folder."""
    return world.postgres.url().replace(
        quote(str(world.postgres.sockets), safe=""), quote(str(folder), safe="")
    )


def _make_floor(world: World) -> None:
    world.sql(f"CREATE DATABASE {FLOOR_DATABASE}")
    with psycopg.connect(world.floor_url, autocommit=True) as connection:
        connection.execute(TABLE)
        document = json.dumps({"note": "x" * 400})
        connection.execute(
            "INSERT INTO floor_row SELECT gen_random_uuid(), 'floor', 'first', 'new', 100, %s, now()",
            [document],
        )
        connection.execute(
            "INSERT INTO floor_row SELECT gen_random_uuid(), 'floor', 'row' || n, 'new', 100, %s, now()"
            " FROM generate_series(0, 9999) n",
            [document],
        )
        connection.execute("ANALYZE")
