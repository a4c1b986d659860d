"""The supervisor: restarts the fallen, stops in reverse order."""

import os
import signal
import sys

import pytest

from settld.launcher.home import open_home
from settld.launcher.processes import spawn
from settld.launcher.supervisor import Child, StopRequested, Supervisor, describe_exit


@pytest.fixture
def supervisor(tmp_path):
    supervisor = Supervisor(open_home(tmp_path / "state"), show_all=False)
    yield supervisor
    supervisor.stop_all()


def child(tmp_path, name, script):
    log = tmp_path / "state" / "logs" / f"{name}.log"
    return Child(name=name, start=lambda: spawn([sys.executable, "-c", script], log=log))


def test_a_fallen_child_is_started_again_and_said(supervisor, tmp_path, capsys):
    web = child(tmp_path, "web", "import time; time.sleep(60)")
    supervisor.add(web)
    first = web.process.pid

    os.kill(first, signal.SIGKILL)
    supervisor.sleep(1.5)

    assert web.process.pid != first
    assert web.process.poll() is None
    said = capsys.readouterr().out
    assert "ended (signal SIGKILL); next try in 0.5 s" in said
    assert "started again" in said


def test_a_child_that_keeps_falling_is_tried_less_and_less_often(supervisor, tmp_path):
    web = child(tmp_path, "web", "raise SystemExit(3)")
    supervisor.add(web)

    supervisor.sleep(2.5)

    assert web.pause_seconds >= 2


def test_warnings_of_a_child_are_shown_and_the_rest_stays_in_its_log(supervisor, tmp_path, capsys):
    script = (
        "import time; print('quiet line'); print('WARNING loud line');"
        'print(\'{"level": "error", "event": "json line"}\', flush=True); time.sleep(60)'
    )
    supervisor.add(child(tmp_path, "web", script))

    supervisor.sleep(1)

    said = capsys.readouterr().out
    assert "loud line" in said
    assert "json line" in said
    assert "quiet" not in said
    assert "quiet line" in (tmp_path / "state" / "logs" / "web.log").read_text()


def test_children_are_stopped_in_the_reverse_order_of_their_start(supervisor, tmp_path):
    order = tmp_path / "order"
    script = (
        "import signal, sys, time\n"
        "def end(*_):\n    open({path!r}, 'a').write({name!r}); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('on', flush=True); time.sleep(60)"
    )
    for name in "abc":
        supervisor.add(child(tmp_path, name, script.format(path=str(order), name=name)))
    supervisor.sleep(1)

    supervisor.stop_all()

    assert order.read_text() == "cba"


def test_a_signal_ends_the_wait(supervisor):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    supervisor.install_signals()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRequested):
            supervisor.sleep(5)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(("code", "text"), [(3, "exit code 3"), (-9, "signal SIGKILL"), (-64, "SIGRTMAX")])
def test_an_exit_is_described(code, text):
    assert text in describe_exit(code)
