"""TCP ports on loopback: the one that the reader chose, and free ones for inner use."""

import errno
import socket
from pathlib import Path

from settld.launcher.errors import LauncherError


def read_port(text: str) -> int:
    """Read PORT; blank means 8000."""
    value = text.strip() or "8000"
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise LauncherError(
            f"PORT={text} is not a port.", advice="Give a number from 1 to 65535: make run PORT=8001"
        )
    return int(value)


def require_free(host: str, port: int) -> None:
    """Say so when somebody else listens there already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise LauncherError(
                    f"Port {port} needs root.", advice="Choose one above 1023: make run PORT=8000"
                ) from error
            raise LauncherError(
                f"Port {port} on {host} is busy: another program listens there.",
                advice=f"Stop it, or choose another: make run PORT={_suggest(host, port)}",
            ) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def kept_port(file: Path, host: str = "127.0.0.1") -> int:
    """The port of earlier runs, or a free one to keep; another only when somebody else has taken it."""
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        port = 0
    if not (1 <= port <= 65535 and _is_free(host, port)):
        port = free_port(host)
        file.write_text(f"{port}\n")
    return port


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _suggest(host: str, port: int) -> int:
    for candidate in range(port + 1, min(port + 100, 65535)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return candidate
    return free_port(host)
