"""Lines on the terminal: short, prefixed, and only the ones a person should look at."""

import json
import re
import sys
import time
from pathlib import Path

_WORTH_SEEING = re.compile(r"\b(WARNING|WARN|ERROR|CRITICAL|FATAL|PANIC|Traceback)\b|^\w*(Error|Exception)\b")
_MAX_LINE = 240
# A process that says the same thing over and over must not hide the others.
_LINES_PER_WINDOW = 6
_WINDOW_SECONDS = 30.0


def say(name: str, text: str) -> None:
    """Print with the name of who speaks; a terminal that is gone stops nothing."""
    try:
        for line in text.splitlines() or [""]:
            print(f"{name:>9} | {line}", flush=True)
    except (BrokenPipeError, OSError, ValueError):
        return


def plain(text: str = "", *, to_stderr: bool = False) -> None:
    try:
        print(text, file=sys.stderr if to_stderr else sys.stdout, flush=True)
    except (BrokenPipeError, OSError, ValueError):
        return


class LogFollower:
    """Shows what is new in a log since the last look: everything, or warnings and worse."""

    def __init__(self, *, name: str, log: Path, everything: bool) -> None:
        self._name = name
        self._log = log
        self._everything = everything
        self._offset = log.stat().st_size if log.exists() else 0
        self._rest = b""
        self._window_began = 0.0
        self._shown = 0
        self._withheld = 0

    def show_new(self) -> None:
        try:
            size = self._log.stat().st_size
            if size < self._offset:
                self._offset, self._rest = 0, b""
            if size == self._offset:
                return
            with self._log.open("rb") as file:
                file.seek(self._offset)
                data = file.read(256 * 1024)
                self._offset = file.tell()
        except OSError:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip()
            if text and (self._everything or (_is_worth_seeing(text) and self._has_room())):
                say(self._name, text if len(text) <= _MAX_LINE else text[: _MAX_LINE - 1] + "…")

    def _has_room(self) -> bool:
        now = time.monotonic()
        if now - self._window_began > _WINDOW_SECONDS:
            if self._withheld:
                say(self._name, f"({self._withheld} more in {self._log})")
            self._window_began, self._shown, self._withheld = now, 0, 0
        self._shown += 1
        self._withheld += self._shown > _LINES_PER_WINDOW
        return self._shown <= _LINES_PER_WINDOW

    def rotate(self, *, max_bytes: int = 20_000_000) -> None:
        """Keep one older log; the process goes on appending to the same file."""
        try:
            if self._log.stat().st_size <= max_bytes:
                return
            self._log.with_suffix(".log.1").write_bytes(self._log.read_bytes())
            with self._log.open("r+b") as file:
                file.truncate(0)
            self._offset, self._rest = 0, b""
        except OSError:
            return


def _is_worth_seeing(text: str) -> bool:
    if text.startswith("{"):
        try:
            return str(json.loads(text).get("level", "")).lower() in {"warning", "error", "critical"}
        except (ValueError, AttributeError):
            pass
    return bool(_WORTH_SEEING.search(text))
