"""`python -m settld.launcher`: run, servers, manage, scratch."""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable

from settld.launcher import commands, console
from settld.launcher.errors import LauncherError
from settld.launcher.given import given_environment
from settld.launcher.home import HomeLock, open_home
from settld.launcher.postgres import start_postgres
from settld.launcher.processes import end_leftovers
from settld.launcher.redis_server import start_redis
from settld.launcher.run import run
from settld.launcher.scratch import manage_on_scratch


def main(arguments: list[str]) -> int:
    """Do one command; a problem is told in words, without a traceback."""
    os.chdir(commands.CHECKOUT)
    # Not argparse's sub-parsers for these two: every argument behind belongs to manage.py.
    if arguments[:1] == ["manage"]:
        return _told(lambda: _manage(arguments[1:]))
    if arguments[:1] == ["scratch"]:
        return _told(lambda: manage_on_scratch(arguments[1:]))
    parser = argparse.ArgumentParser(prog="python -m settld.launcher", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run", help="start everything and stay")
    verbs.add_parser("manage", help="run a management command inside the running deployment")
    verbs.add_parser("scratch", help="run a management command on an empty database made for it")
    servers = verbs.add_parser("servers", help="start PostgreSQL and Redis alone and stay")
    servers.add_argument("--home", required=True, help="state folder")
    servers.add_argument("--fast", action="store_true", help="without durability, for tests")
    parsed = parser.parse_args(arguments)
    if parsed.verb == "run":
        return _told(run)
    return _told(lambda: _servers(parsed.home, durable=not parsed.fast))


def _told(verb: Callable[[], int]) -> int:
    try:
        return verb()
    except LauncherError as error:
        console.plain(f"\nsettld: {error}", to_stderr=True)
        return 1


def _manage(arguments: list[str]) -> int:
    given = given_environment(commands.CHECKOUT)
    home = open_home(given.get("SETTLD_HOME", "").strip() or commands.CHECKOUT / ".local")
    try:
        running = json.loads(home.run.read_text())["environment"]
    except (OSError, ValueError, KeyError) as error:
        raise LauncherError(
            f"Nothing is running on {home.root}.", advice="Start it first, in another terminal: make run"
        ) from error
    os.execve(sys.executable, commands.manage(*arguments), {**given, **running})  # noqa: S606


def _servers(folder: str, *, durable: bool) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    home = open_home(folder)
    lock = HomeLock(home)
    lock.acquire(port=0)
    end_leftovers(home)
    postgres = start_postgres(home, durable=durable)
    try:
        redis = start_redis(home, durable=durable)
        try:
            console.plain(f"DATABASE_URL={postgres.url()}")
            console.plain(f"DATABASE_OWNER_URL={postgres.url(role='settld_owner')}")
            console.plain(f"REDIS_URL={redis.url}")
            stop.wait()
        finally:
            redis.stop()
    finally:
        postgres.stop()
        lock.release()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
