"""One PostgreSQL and one Redis for a test run, and one database per test process.

The servers start in the process that leads the run (pytest itself, or the xdist controller) before
Django reads its settings; workers inherit their URLs from the environment. Given `DATABASE_URL` or
`REDIS_URL` are used instead of a server of our own.
"""

import contextlib
import dataclasses
import os
import secrets
from collections.abc import Callable, Iterator

import psycopg
from psycopg import conninfo, sql

from settld.launcher import PostgresServer, RedisServer, start_postgres, start_redis
from settld.launcher.scratch import scratch_home, test_settings

# What a shell may carry and a test must not depend on.
_FOREIGN_PREFIXES = ("PROXY_", "SETTLD_", "DJANGO_", "OPS_WORKSPACE_")


@dataclasses.dataclass
class Servers:
    """What this run started itself; empty where the environment named servers."""

    stack: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)
    postgres: PostgresServer | None = None
    redis: RedisServer | None = None

    def stop(self) -> None:
        for server in (self.redis, self.postgres):
            if server is not None:
                server.stop()
        self.stack.close()


def start_for_tests() -> Servers:
    """Start what is missing and put every setting that a test run needs into the environment."""
    for name in [name for name in os.environ if name.startswith(_FOREIGN_PREFIXES)]:
        del os.environ[name]
    servers = Servers()
    needs = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    home = servers.stack.enter_context(scratch_home())
    try:
        if "DATABASE_URL" in needs:
            servers.postgres = start_postgres(home, durable=False)
            os.environ["DATABASE_URL"] = servers.postgres.url()
            os.environ["DATABASE_OWNER_URL"] = servers.postgres.url(role="postgres")
        if "REDIS_URL" in needs:
            servers.redis = start_redis(home, durable=False)
            os.environ["REDIS_URL"] = servers.redis.url
    except BaseException:
        servers.stop()
        raise
    os.environ.update(test_settings(home), SETTLD_TEST_RUN=secrets.token_hex(4))
    return servers


def owner_url() -> str:
    return os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"]


def admin_connection(database: str) -> psycopg.Connection:
    """Connect to one database of the test server as the owner, outside Django."""
    return psycopg.connect(conninfo.make_conninfo(owner_url(), dbname=database), autocommit=True)


def process_database() -> str:
    """The database of this test process."""
    return f"test_settld_{os.environ['SETTLD_TEST_RUN']}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


@contextlib.contextmanager
def template_database(build: Callable[[str], None]) -> Iterator[str]:
    """Yield the name of the run's migrated template, built by the first process that asks for it."""
    name = f"template_settld_{os.environ['SETTLD_TEST_RUN']}"
    with admin_connection("postgres") as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])  # falls with the connection
        if not _exists(connection, name):
            _create(connection, f"{name}_new")
            build(f"{name}_new")
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(f"{name}_new"), sql.Identifier(name)
                )
            )
        yield name


def clone_database(*, template: str, name: str) -> None:
    with admin_connection("postgres") as connection:
        drop_database(name)
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def drop_database(name: str) -> None:
    with admin_connection("postgres") as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _exists(connection: psycopg.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _create(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
