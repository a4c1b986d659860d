"""Running one evidence command as a process of its own, and writing down how it went."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from ops_console.evidence.drills.errors import DrillStopped
from ops_console.evidence.drills.redaction import HIDDEN, redacted

MOST_TAIL: Final = 12_000
PATIENCE_SECONDS: Final = 900
TOKEN_FLAG: Final = "--ops-token"  # noqa: S105  (the flag's name, not a token)


@dataclass(frozen=True)
class Run:
    """How one command ended."""

    record: dict[str, Any]
    has_written: bool

    @property
    def is_ok(self) -> bool:
        """Tell whether it passed."""
        return bool(self.record["ok"])


def skipped(part: str) -> dict[str, Any]:
    """Write down that a run was left out on purpose."""
    return {"skipped": True, "reason": f"skip_{part}_run"}


def run(command: str, flags: dict[str, str], *, token: str, out: str, has_fixed_clock: bool) -> Run:
    """Run a management command that writes `out`, and see whether it was this run that wrote it.

    With a fixed clock no time is measured, so that equal runs leave equal records.
    """
    words = [command, *(f"{name}={value}" for name, value in flags.items()), f"--out={out}"]
    before, started = _identity(out), time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603  (our own command; no shell reads the words)
            [sys.executable, str(settings.BASE_DIR / "manage.py"), *words, f"{TOKEN_FLAG}={token}"],
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "settld.settings"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        code, stdout, stderr = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        code, stdout, stderr = -signal.SIGKILL, late.stdout or b"", late.stderr or b""
    except OSError as error:
        raise DrillStopped(f"cannot start {command}: {error.strerror}") from None
    elapsed = None if has_fixed_clock else round((time.monotonic() - started) * 1000)
    record = {
        "ok": code == 0,
        "status": code if code >= 0 else None,
        "signal": signal.Signals(-code).name if code < 0 else None,
        "runtimeMs": elapsed,
        "command": [
            "python",
            "manage.py",
            *(redacted(word, token) for word in words),
            f"{TOKEN_FLAG}={HIDDEN}",
        ],
        "stdoutTail": _tail(stdout, token),
        "stderrTail": _tail(stderr, token),
    }
    return Run(record, has_written=_identity(out) not in (None, before))


def _identity(path: str) -> tuple[int, int, int] | None:
    """Tell one writing of a file from another: evidence is written anew and moved into place."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _tail(output: bytes, token: str) -> str:
    """Hide the token first, then cut: half a token is a secret, too."""
    text: str = redacted(output.decode("utf-8", "replace"), token)
    return text[-MOST_TAIL:]
