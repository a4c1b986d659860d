"""PostgreSQL refuses to run as root: the user it runs as instead, and what that user needs.

A checkout often lies in a home folder that only root may enter (/root, mode 0700). No parent folder
is ever opened up for it. Where the paths cannot be reached, the server's process alone keeps one
capability, CAP_DAC_OVERRIDE, as an ambient one; where they can, it keeps none.
"""

import ctypes
import dataclasses
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from settld.launcher.errors import LauncherError

USER_NAME = "settld-postgres"

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclasses.dataclass(frozen=True)
class RunAs:
    """The user that PostgreSQL's processes have; `override` when they need CAP_DAC_OVERRIDE."""

    uid: int
    gid: int
    switch: bool
    override: bool = False


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapData(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def in_child(run_as: RunAs | None = None, *, death_signal: int | None = None) -> Callable[[], None]:
    """Build what a child does between fork and exec: become the user, then follow us into death."""
    parent = os.getpid()

    def prepare() -> None:
        if run_as is not None and run_as.switch:
            _become(run_as)
        if death_signal is not None and _libc is not None:
            # Last: a change of credentials clears it. A parent that died in between is noticed by hand.
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def _become(run_as: RunAs) -> None:
    if run_as.override:
        # Keeps the capability over the change of user, and in access(2), with which PostgreSQL looks
        # for its own programs and which would otherwise ask as a user without any.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(run_as.gid, run_as.gid, run_as.gid)
    os.setresuid(run_as.uid, run_as.uid, run_as.uid)
    if run_as.override:
        assert _libc is not None  # noqa: S101  # only Linux asks for an override
        header = _CapHeader(_CAPABILITY_VERSION_3, 0)
        data = (_CapData * 2)()
        mask = 1 << _CAP_DAC_OVERRIDE
        data[0].effective = data[0].permitted = data[0].inheritable = mask
        if _libc.capset(ctypes.byref(header), data) != 0:
            raise OSError(ctypes.get_errno(), "capset")
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE)


def _prctl(option: int, *arguments: int) -> None:
    assert _libc is not None  # noqa: S101
    padded = (*arguments, 0, 0, 0, 0)[:4]
    if _libc.prctl(option, *padded) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def choose_user(data_dir: Path) -> RunAs:
    """The user to run PostgreSQL as: ourselves, or, for root, the owner of the data or a user of its own."""
    if os.geteuid() != 0:
        return RunAs(uid=os.geteuid(), gid=os.getegid(), switch=False)
    if data_dir.exists() and (facts := data_dir.stat()).st_uid != 0:
        return RunAs(uid=facts.st_uid, gid=facts.st_gid, switch=True)
    account = _account(USER_NAME) or _create_account() or _account("nobody")
    if account is None:
        raise LauncherError(
            "PostgreSQL does not run as root, and no other user exists or can be created here.",
            advice=f"Create one (useradd --system {USER_NAME}), start as another user, or set DATABASE_URL.",
        )
    return RunAs(uid=account.pw_uid, gid=account.pw_gid, switch=True)


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create_account() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        return None
    subprocess.run(
        [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
         "--shell", "/usr/sbin/nologin", USER_NAME],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    return _account(USER_NAME)


def with_reach(run_as: RunAs, *, program: Path, writable: list[Path]) -> RunAs:
    """Add the capability where the user cannot reach the paths; say what to do if there is none."""
    if not run_as.switch or _reaches(run_as, program=program, writable=writable):
        return run_as
    lifted = dataclasses.replace(run_as, override=True)
    if _libc is not None and _reaches(lifted, program=program, writable=writable):
        return lifted
    raise LauncherError(
        f"PostgreSQL runs as user {_name(run_as.uid)} here, who cannot reach {program} or "
        f"{writable[0]}, and this container's root may not lend it CAP_DAC_OVERRIDE.",
        advice="Put the checkout and SETTLD_HOME where other users may enter (for example /srv/settld), "
        "start as an ordinary user, or set DATABASE_URL.",
    )


def _reaches(run_as: RunAs, *, program: Path, writable: list[Path]) -> bool:
    script = (
        '"$1" --version >/dev/null && shift && for d; do cd "$d" && : >.reach && rm -f .reach || exit 1; done'
    )
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", str(program), *map(str, writable)],
            stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd="/",
            preexec_fn=in_child(run_as),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
