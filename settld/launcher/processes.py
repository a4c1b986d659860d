"""Starting and ending processes of ours, and finding those that an earlier, crashed run left behind."""

import dataclasses
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from settld.launcher.home import Home, write_private
from settld.launcher.privileges import RunAs, in_child


def spawn(
    command: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    run_as: RunAs | None = None,
    death_signal: int = signal.SIGTERM,
    cwd: str | os.PathLike[str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so a terminal's Ctrl-C reaches only its supervisor.

    Output is appended to `log`. The process gets `death_signal` when the calling thread ends,
    so call this from the thread that lives as long as the run (the main one).
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=in_child(run_as, death_signal=death_signal),
        )


def stop(
    process: subprocess.Popen[bytes], *, first: int, patience_seconds: float, then: int = signal.SIGKILL
) -> None:
    """Ask the process to end, insist on its whole group after a while, and reap it."""
    if process.poll() is None:
        _signal(process.pid, first)
        try:
            process.wait(timeout=patience_seconds)
        except subprocess.TimeoutExpired:
            signal_group(process.pid, then)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                signal_group(process.pid, signal.SIGKILL)
                process.wait(timeout=5)
    signal_group(process.pid, signal.SIGKILL)  # a leader that died may leave workers in its group


def signal_group(leader_pid: int, number: int) -> None:
    try:
        os.killpg(leader_pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def size_of(log: Path) -> int:
    """Where a log ends now; 0 when there is none yet."""
    return log.stat().st_size if log.exists() else 0


def tail(log: Path, *, lines: int = 12, since: int = 0) -> str:
    """The last lines of a log, written after `since`, for a message that explains a failure."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - 8192))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""


@dataclasses.dataclass(frozen=True)
class Recorded:
    """One process as written down: enough to tell it from a stranger who got its number later."""

    name: str
    pid: int
    created_at: float


def record(home: Home, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Write down who runs, so that the next start can clean up if this one is killed."""
    rows = []
    for name, process in processes.items():
        try:
            rows.append(Recorded(name, process.pid, psutil.Process(process.pid).create_time()))
        except psutil.Error:
            continue
    write_private(home.pids, json.dumps([dataclasses.asdict(row) for row in rows]))


def end_leftovers(home: Home, *, patience_seconds: float = 10) -> list[str]:
    """End what a killed run left running; return the names. The caller holds the home's lock."""
    try:
        rows = [Recorded(**row) for row in json.loads(home.pids.read_text())]
    except (OSError, ValueError, TypeError):
        rows = []
    ended = [row for row in rows if _is_still(row)]
    for row in ended:
        signal_group(row.pid, signal.SIGINT if row.name == "postgres" else signal.SIGTERM)
    wait_until(lambda: not any(_is_still(row) for row in ended), seconds=patience_seconds)
    for row in ended:
        signal_group(row.pid, signal.SIGQUIT if row.name == "postgres" and _is_still(row) else signal.SIGKILL)
    home.pids.unlink(missing_ok=True)
    return [row.name for row in ended]


def _is_still(row: Recorded) -> bool:
    try:
        process = psutil.Process(row.pid)
        return abs(process.create_time() - row.created_at) < 0.05 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def working_in(folder: Path) -> list[psutil.Process]:
    """Processes whose working directory is the folder: PostgreSQL's, when it is a data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_until(done: Callable[[], bool], *, seconds: float) -> bool:
    """Poll until true; False when the time is up first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(0.05)
    return done()
