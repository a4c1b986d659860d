"""The embedded servers: durable, private, and on their feet again after a crash."""

import os
import signal
import stat

import psycopg
import pytest
import redis

from settld.launcher import start_postgres, start_redis
from settld.launcher.errors import LauncherError
from settld.launcher.home import open_home
from settld.launcher.processes import wait_until, working_in
from settld.launcher.scratch import scratch_home


@pytest.fixture
def home():
    with scratch_home() as home:
        yield home


def ask(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()


def test_postgresql_is_durable_and_listens_on_a_private_socket_only(home):
    server = start_postgres(home)
    try:
        settings = (
            "SELECT current_setting('fsync'), current_setting('synchronous_commit'), "
            "current_setting('full_page_writes'), current_setting('listen_addresses')"
        )
        assert ask(server.url(), settings) == ("on", "on", "on", "")
        assert stat.S_IMODE(server.sockets.stat().st_mode) & 0o007 == 0
    finally:
        server.stop()


def test_neither_role_can_pass_row_level_security_and_the_application_owns_nothing(home):
    server = start_postgres(home, durable=False)
    try:
        rights = "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        assert ask(server.url(role="settld_app"), rights) == (False, False, False)
        assert ask(server.url(role="settld_owner"), rights) == (False, False, False)
        assert ask(server.url(), owner) == ("settld_owner",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(server.url(), "CREATE TABLE mine (a int)")
    finally:
        server.stop()


def test_a_killed_postgresql_starts_again_with_what_was_committed(home):
    server = start_postgres(home)
    with psycopg.connect(server.url(role="settld_owner")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    # Another process has the number by now, as happens in a container.
    pid_file = home.postgres / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n" + pid_file.read_text().partition("\n")[2])

    again = start_postgres(home)
    try:
        assert ask(again.url(role="settld_owner"), "SELECT answer FROM kept") == (42,)
    finally:
        again.stop()


def test_a_server_left_running_by_a_killed_run_is_stopped_first(home):
    left = start_postgres(home)
    again = start_postgres(home)
    try:
        assert left.process.wait(timeout=5) is not None
        assert ask(again.url(), "SELECT 1") == (1,)
    finally:
        again.stop()
    assert wait_until(lambda: not working_in(home.postgres / "data"), seconds=5)


def test_half_made_data_is_made_anew(home):
    (home.postgres / "data").mkdir(parents=True)
    (home.postgres / "data.new").mkdir()
    (home.postgres / "data.new" / "PG_VERSION").write_text("18\n")

    server = start_postgres(home, durable=False)
    server.stop()

    assert (home.postgres / "data" / "PG_VERSION").exists()
    assert not (home.postgres / "data.new").exists()


def test_data_of_another_major_version_is_refused_untouched(home):
    start_postgres(home, durable=False).stop()
    (home.postgres / "data" / "PG_VERSION").write_text("14\n")

    with pytest.raises(LauncherError, match="was made by PostgreSQL 14"):
        start_postgres(home)


def test_servers_of_a_home_with_a_long_path_work():
    with scratch_home() as short:
        home = open_home(short.root / ("x" * 110))
        postgres, store = start_postgres(home, durable=False), start_redis(home, durable=False)
        try:
            assert ask(postgres.url(), "SELECT 1") == (1,)
            assert redis.Redis.from_url(store.url).ping()
        finally:
            store.stop()
            postgres.stop()


def test_redis_keeps_what_was_written_over_a_kill(home):
    server = start_redis(home)
    with redis.Redis.from_url(server.url) as client:
        client.set("bell", "rung")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()

    again = start_redis(home)
    try:
        with redis.Redis.from_url(again.url) as client:
            assert client.get("bell") == b"rung"
            assert client.config_get("port")["port"] == "0"
    finally:
        again.stop()
