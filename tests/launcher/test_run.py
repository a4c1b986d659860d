"""`make run` as a whole: up from nothing, found again, and nothing left when it is stopped."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from settld.launcher import commands
from settld.launcher.ports import free_port
from settld.launcher.processes import wait_until
from settld.launcher.scratch import scratch_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@contextlib.contextmanager
def launcher(home, port, **settings):
    """Run it as `make run` does, without the test run's own servers and settings."""
    foreign = (
        "DATABASE_",
        "REDIS_",
        "SETTLD_",
        "PROXY_",
        "DJANGO_",
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "BILLING_",
        "APP_PUBLIC_URL",
        "PYTEST_",
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {"SETTLD_HOME": str(home.root), "PORT": str(port)} | settings
    log = home.root.parent / f"output-{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "settld.launcher", "run"],
            env=environment,
            cwd=commands.CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process, log
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def wait_ready(process, log, *, seconds):
    ready = wait_until(lambda: process.poll() is not None or "Try next" in log.read_text(), seconds=seconds)
    text = log.read_text()
    assert ready, text
    assert process.poll() is None, text
    return text


def status_of(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def family(process):
    return psutil.Process(process.pid).children(recursive=True)


def are_gone(processes):
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_it_comes_up_from_nothing_is_stopped_by_ctrl_c_and_cleans_up_after_a_kill():
    with scratch_home() as home:
        began = time.monotonic()
        with launcher(home, port := free_port()) as (process, log):
            text = wait_ready(process, log, seconds=180)
            first_seconds = time.monotonic() - began
            assert status_of(port, "/healthz") == 200
            assert "demo | failed" not in text, text
            simulator_port = int(home.simulator_port.read_text())
            started = family(process)
            assert len(started) >= 6

            process.send_signal(signal.SIGINT)

            assert process.wait(timeout=60) == 0
            assert wait_until(lambda: are_gone(started), seconds=5)
            assert not home.pids.exists()
        began = time.monotonic()
        with launcher(home, free_port()) as (process, log):
            wait_ready(process, log, seconds=180)
            assert time.monotonic() - began < first_seconds  # it found its state again
            assert status_of(simulator_port, "/_sim/health") == 200  # links of the first run still lead there
            left = family(process)
            process.kill()
            process.wait()
        with launcher(home, free_port(), SETTLD_DEMO="0") as (process, log):
            wait_ready(process, log, seconds=60)
            assert are_gone(left)


def test_two_deployments_run_beside_each_other_and_one_home_has_one():
    with scratch_home() as first, scratch_home() as second:
        ports = free_port(), free_port()
        with (
            launcher(first, ports[0], SETTLD_DEMO="0") as (one, one_log),
            launcher(second, ports[1], SETTLD_DEMO="0") as (two, two_log),
        ):
            wait_ready(one, one_log, seconds=180)
            wait_ready(two, two_log, seconds=180)
            with launcher(first, free_port()) as (third, third_log):
                assert third.wait(timeout=60) == 1
                assert "already running" in third_log.read_text()
            assert [status_of(port, "/healthz") for port in ports] == [200, 200]
