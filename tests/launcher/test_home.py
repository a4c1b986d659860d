"""The state folder, its lock and its secrets."""

import json
import os
import stat
import subprocess
import sys

import pytest

from settld.launcher.errors import LauncherError
from settld.launcher.home import SOCKET_DIR_MAX_BYTES, HomeLock, open_home, private_folder
from settld.launcher.secrets_store import load_secrets


def mode_of(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_new_home_lets_nobody_list_it_and_keeps_the_modes_of_its_parents(tmp_path):
    parent = tmp_path / "private"
    parent.mkdir(mode=0o700)

    home = open_home(parent / "state")

    assert mode_of(home.root) == (0o711 if os.geteuid() == 0 else 0o700)
    assert mode_of(parent) == 0o700
    assert {mode_of(path) for path in (home.logs, home.redis, home.simulator)} == {0o700}


def test_sockets_lie_in_the_home_while_their_path_fits(tmp_path):
    home = open_home(tmp_path / "s")

    assert home.sockets == home.root / "run"


def test_sockets_of_a_home_with_a_long_path_lie_in_a_short_folder_of_its_own(tmp_path):
    first, second = (open_home(tmp_path / ("x" * 120) / name) for name in ("one", "two"))

    assert len(str(first.sockets)) <= SOCKET_DIR_MAX_BYTES
    assert first.sockets != second.sockets
    assert first.sockets == open_home(first.root).sockets


def test_a_socket_folder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sockets").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(LauncherError, match="not a folder of ours"):
        private_folder(tmp_path / "sockets", uid=os.geteuid(), gid=os.getegid())


def test_a_home_that_is_a_file_is_told_with_a_way_out(tmp_path):
    (tmp_path / "state").write_text("")

    with pytest.raises(LauncherError, match="SETTLD_HOME="):
        open_home(tmp_path / "state")


def test_a_second_run_on_one_home_is_told_who_has_it(tmp_path):
    home = open_home(tmp_path / "state")
    first = HomeLock(home)
    first.acquire(port=8123)

    with pytest.raises(LauncherError, match=rf"process {os.getpid()}, http://127.0.0.1:8123"):
        HomeLock(home).acquire(port=8124)

    first.release()
    HomeLock(home).acquire(port=8124)


def test_a_lock_file_of_a_killed_run_stops_nobody(tmp_path):
    home = open_home(tmp_path / "state")
    script = (
        "import os, signal, sys; from settld.launcher.home import *; "
        "HomeLock(open_home(sys.argv[1])).acquire(port=1); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(home.root)], check=False)

    assert killed.returncode == -9
    assert json.loads(home.lock.read_text())["port"] == 1
    HomeLock(home).acquire(port=2)


def test_secrets_are_made_once_and_readable_by_their_owner_alone(tmp_path):
    home = open_home(tmp_path / "state")

    secrets = load_secrets(home)

    assert load_secrets(home) == secrets
    assert mode_of(home.secrets) == mode_of(home.signing_key) == 0o600
    assert "BEGIN PRIVATE KEY" in home.signing_key.read_text()
    assert secrets.stripe_key.startswith("sk_test_")


def test_damaged_secrets_stop_the_start_and_stay_as_they_are(tmp_path):
    home = open_home(tmp_path / "state")
    home.secrets.write_text("{half")

    with pytest.raises(LauncherError, match="Put it back from a copy"):
        load_secrets(home)

    assert home.secrets.read_text() == "{half"
