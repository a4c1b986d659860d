"""Ending our own processes, all of them, and nobody else's."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from settld.launcher.home import open_home
from settld.launcher.processes import end_leftovers, record, spawn, stop, wait_until

SLEEPER = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('on', flush=True); time.sleep(60)"
)
WITH_WORKER = (
    f"import subprocess, sys, time; w = subprocess.Popen([sys.executable, '-c', '{SLEEPER}']);"
    "print(w.pid, flush=True); time.sleep(60)"
)


@pytest.fixture
def home(tmp_path):
    return open_home(tmp_path / "state")


def start(home, script):
    log = home.logs / "child.log"
    process = spawn([sys.executable, "-c", script], log=log)
    assert wait_until(lambda: bool(log.read_text()), seconds=20)
    return process, log.read_text().strip()


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_ignores_the_request_is_ended_all_the_same(home):
    process, _ = start(home, STUBBORN)

    stop(process, first=signal.SIGTERM, patience_seconds=0.3)

    assert process.returncode == -signal.SIGKILL


def test_the_workers_of_a_stopped_process_end_with_it(home):
    process, worker = start(home, WITH_WORKER)

    stop(process, first=signal.SIGTERM, patience_seconds=5)

    assert wait_until(lambda: is_gone(int(worker)), seconds=5)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_child_ends_when_its_supervisor_is_killed(home):
    script = (
        "import sys, time; from pathlib import Path; from settld.launcher.processes import spawn\n"
        f"p = spawn([sys.executable, '-c', '{SLEEPER}'], log=Path({str(home.logs / 'x.log')!r}))\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    supervisor, child = start(home, script)
    assert not is_gone(int(child))

    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()

    assert wait_until(lambda: is_gone(int(child)), seconds=5)


def test_leftovers_of_a_killed_run_are_ended_at_the_next_start(home):
    process, _ = start(home, STUBBORN)
    record(home, {"worker": process})

    ended = end_leftovers(home, patience_seconds=0.5)

    assert ended == ["worker"]
    assert process.wait(timeout=5) == -signal.SIGKILL
    assert not home.pids.exists()


def test_a_stranger_with_a_recorded_number_is_left_alone(home):
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    row = {"name": "web", "pid": stranger.pid, "created_at": time.time() - 86_400}
    home.pids.write_text(json.dumps([row]))
    try:
        assert end_leftovers(home) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_damaged_record_stops_nothing(home):
    home.pids.write_text("{half")

    assert end_leftovers(home) == []
