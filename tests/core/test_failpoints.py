"""Failpoints: nothing when unset, a kill at the pass that was asked for, never in production."""

import os
import signal
import subprocess
import sys

import pytest

from settld.core import failpoints

CODE = """
from settld.core import failpoints
for number in range(3):
    failpoints.hit("here")
    print(number, flush=True)
"""


def run(points, env="test"):
    environment = os.environ | {"SETTLD_FAILPOINTS": points, "SETTLD_ENV": env}
    return subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    ("points", "printed", "code"),
    [
        ("", "0\n1\n2\n", 0),
        ("elsewhere=kill", "0\n1\n2\n", 0),
        ("here=kill", "", -signal.SIGKILL),
        ("elsewhere=kill, here=kill@3", "0\n1\n", -signal.SIGKILL),
    ],
)
def test_a_point_kills_at_its_pass(points, printed, code):
    done = run(points)
    assert (done.stdout, done.returncode) == (printed, code)


def test_production_has_none():
    assert run("here=kill", env="production").returncode == 0


def test_who_watches_hears_each_pass_and_may_end_the_work():
    heard = []

    class End(BaseException):
        pass

    def visitor(name):
        heard.append(name)
        if name == "last":
            raise End

    with failpoints.watched(visitor):
        failpoints.hit("first")
        with pytest.raises(End):
            failpoints.hit("last")
    failpoints.hit("unheard")
    assert heard == ["first", "last"]


def test_nobody_watches_in_production(monkeypatch):
    monkeypatch.setenv("SETTLD_ENV", "production")
    with pytest.raises(RuntimeError, match="in production"), failpoints.watched(lambda _name: None):
        pass


def test_a_point_that_makes_no_sense_stops_the_start():
    assert "must look like name=kill" in run("here=explode").stderr
