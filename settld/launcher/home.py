"""The state folder (SETTLD_HOME): where things lie in it, and the lock that makes a run its only user."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Any

from settld.launcher.errors import LauncherError

# sun_path holds 107 bytes; ".s.PGSQL.5432.lock" and "/redis.sock" must still fit behind the folder.
SOCKET_DIR_MAX_BYTES = 88


@dataclasses.dataclass(frozen=True)
class Home:
    """Paths below one state folder; nothing is created by asking for a path."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def simulator(self) -> Path:
        return self.root / "simulator"

    @property
    def simulator_port(self) -> Path:
        """The simulator's port; addresses of its pages are kept, here and by whoever was given one."""
        return self.root / "simulator.port"

    @property
    def metrics(self) -> Path:
        """Where web and workers count together for /metrics."""
        return self.root / "metrics"

    @property
    def static(self) -> Path:
        return self.root / "static"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def signing_key(self) -> Path:
        return self.root / "signing_key.pem"

    @property
    def lock(self) -> Path:
        return self.root / "run.lock"

    @property
    def pids(self) -> Path:
        return self.root / "pids.json"

    @property
    def run(self) -> Path:
        """What the running deployment is: URL, ports and environment; private to the owner."""
        return self.root / "run.json"

    @property
    def demo(self) -> Path:
        return self.root / "demo.json"

    @property
    def sockets(self) -> Path:
        """Where the servers' sockets lie: in the state folder, or in /tmp when its path is too long."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= SOCKET_DIR_MAX_BYTES:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()) / f"settld-{digest}"  # noqa: S108


def open_home(path: str | os.PathLike[str]) -> Home:
    """Create the state folder where needed and check that we may write in it; parents keep their modes.

    As root the folder can be passed through (0711), so that PostgreSQL's own user reaches its data
    below it; every secret in it has a mode of its own. For anyone else it is private (0700).
    """
    root = Path(path).expanduser().absolute()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        root = root.resolve()
        for private in (root / "logs", root / "simulator", root / "redis", root / "static"):
            private.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise LauncherError(
            f"The state folder {root} cannot be used: {error.strerror or error}.",
            advice="Name one that you may write to: make run SETTLD_HOME=/path/to/folder",
        ) from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise LauncherError(
            f"The state folder {root} belongs to someone else (uid {root.stat().st_uid}).",
            advice="Name another: make run SETTLD_HOME=/path/to/folder",
        )
    return Home(root)


def private_folder(path: Path, *, uid: int, gid: int, mode: int = 0o700) -> None:
    """Make a folder that only its owner enters; refuse one that somebody else put there first."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in {os.geteuid(), uid}:
        raise LauncherError(
            f"{path} is not a folder of ours (owner uid {facts.st_uid}), so no socket is put there.",
            advice="Remove it, or use a shorter SETTLD_HOME so that the sockets fit inside.",
        )
    if (facts.st_uid, facts.st_gid) != (uid, gid):
        os.chown(path, uid, gid, follow_symlinks=False)
    if stat.S_IMODE(facts.st_mode) != mode or facts.st_uid != uid:
        path.chmod(mode)


class HomeLock:
    """One run per state folder. The kernel drops the lock with its process, so it cannot go stale."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._file: IO[str] | None = None

    def acquire(self, *, port: int) -> None:
        """Take the folder, or say who has it."""
        descriptor = os.open(self._home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _read_holder(file)
            file.close()
            raise LauncherError(
                f"Settld is already running on {self._home.root} (process {holder.get('pid', 'unknown')}, "
                f"http://127.0.0.1:{holder.get('port', '?')}).",
                advice="Stop it with Ctrl-C there, or run beside it: "
                "make run PORT=<another> SETTLD_HOME=<another folder>",
            ) from error
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "port": port}, file)
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.close()
            self._file = None


def _read_holder(file: IO[str]) -> dict[str, Any]:
    try:
        held = json.loads(file.read() or "{}")
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner alone."""
    partial = path.with_name(path.name + ".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
