"""One supervisor for all processes: starts, restarts with growing pauses, stops in order."""

import dataclasses
import signal
import subprocess
import time
from collections.abc import Callable
from types import FrameType

from settld.launcher.console import LogFollower, say
from settld.launcher.home import Home
from settld.launcher.processes import record, signal_group, spawn, stop

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
# A terminal's Ctrl-C, and `make` passing it on, arrive together; only a later signal means impatience.
_IMPATIENT_AFTER_SECONDS = 2.0


class StopRequested(Exception):
    """A signal asked us to end; raised only where a wait may be left at once."""


@dataclasses.dataclass
class Child:
    """A process to keep running. `start` must be called from the main thread."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    stop_signal: int = signal.SIGTERM
    patience_seconds: float = 12.0
    insist_signal: int = signal.SIGKILL
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_seconds: float = _FIRST_PAUSE_SECONDS
    restart_at: float | None = None


class Supervisor:
    """Children in the order of their start; they are stopped in the reverse order."""

    def __init__(self, home: Home, *, show_all: bool) -> None:
        self._home = home
        self._show_all = show_all
        self._children: list[Child] = []
        self._followers: list[LogFollower] = []
        self._asked_at: float | None = None
        self._impatient = False

    @property
    def has_children(self) -> bool:
        return bool(self._children)

    def install_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > _IMPATIENT_AFTER_SECONDS:
            self._impatient = True
            for child in self._children:
                if child.process is not None and child.process.poll() is None and child.name != "postgres":
                    signal_group(child.process.pid, signal.SIGKILL)

    def check_stop(self) -> None:
        """Leave the start-up when a signal asked for it."""
        if self._asked_at is not None:
            raise StopRequested

    def add(self, child: Child, *, process: subprocess.Popen[bytes] | None = None) -> None:
        """Start a child, or take over one that runs, and keep it running from now on."""
        self.check_stop()
        log = self._home.logs / f"{child.name}.log"
        self._followers.append(LogFollower(name=child.name, log=log, everything=self._show_all))
        child.process = process or child.start()
        child.started_at = time.monotonic()
        self._children.append(child)
        self._record()

    def sleep(self, seconds: float) -> None:
        """Wait with open eyes: logs are shown, fallen children are restarted, a stop is heard."""
        deadline = time.monotonic() + seconds
        while True:
            self.check_stop()
            for follower in self._followers:
                follower.show_new()
            for child in self._children:
                self._tend(child)
            if (left := deadline - time.monotonic()) <= 0:
                return
            time.sleep(min(0.2, left))

    def run_until_stopped(self) -> None:
        """Supervise until a signal comes."""
        try:
            while True:
                self.sleep(30)
                for follower in self._followers:
                    follower.rotate()
        except StopRequested:
            return

    def run_command(self, command: list[str], *, name: str, environment: dict[str, str]) -> int:
        """Run a command to its end under the same eyes; its output goes to its log."""
        self.check_stop()
        process = spawn(command, log=self._home.logs / f"{name}.log", environment=environment)
        child = Child(name=name, start=lambda: process, process=process)
        self._children.append(child)
        self._record()
        try:
            while process.poll() is None:
                self._look_after_others(child)
                time.sleep(0.05)
            return process.returncode
        finally:
            stop(process, first=signal.SIGTERM, patience_seconds=5)
            self._children.remove(child)

    def _look_after_others(self, busy: Child) -> None:
        self.check_stop()
        for follower in self._followers:
            follower.show_new()
        for child in self._children:
            if child is not busy:
                self._tend(child)

    def _tend(self, child: Child) -> None:
        now = time.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at:
                child.restart_at = None
                try:
                    child.process = child.start()
                except Exception as error:
                    self._postpone(child, f"could not be started: {error}")
                    return
                child.started_at = time.monotonic()
                say(child.name, "started again")
                self._record()
            return
        if child.process is None or (code := child.process.poll()) is None:
            return
        signal_group(child.process.pid, signal.SIGKILL)  # workers of a leader that fell
        if now - child.started_at > _STEADY_SECONDS:
            child.pause_seconds = _FIRST_PAUSE_SECONDS
        self._postpone(child, f"ended ({describe_exit(code)})")

    def _postpone(self, child: Child, what: str) -> None:
        say(
            child.name,
            f"{what}; next try in {child.pause_seconds:g} s; log: {self._home.logs / child.name}.log",
        )
        child.restart_at = time.monotonic() + child.pause_seconds
        child.pause_seconds = min(child.pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    def stop_all(self) -> None:
        """Stop in reverse order; whoever does not listen is ended with its whole group."""
        for child in reversed(self._children):
            if child.process is None:
                continue
            patience = 0.0 if self._impatient and child.name != "postgres" else child.patience_seconds
            stop(child.process, first=child.stop_signal, patience_seconds=patience, then=child.insist_signal)
        self._children.clear()
        self._home.pids.unlink(missing_ok=True)

    def _record(self) -> None:
        record(self._home, {c.name: c.process for c in self._children if c.process is not None})


def describe_exit(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
