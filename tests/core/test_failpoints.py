"""Failpoints: nothing when unset, a kill at the pass that was asked for, never in production."""

import os
import signal
import subprocess
import sys

import pytest

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


def test_a_point_that_makes_no_sense_stops_the_start():
    assert "must look like name=kill" in run("here=explode").stderr
