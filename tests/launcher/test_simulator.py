"""The simulator's events find this deployment, also when its port has changed."""

import pytest

from settld.launcher import commands
from settld.launcher.home import open_home
from settld.launcher.http import get_json, status_of
from settld.launcher.ports import free_port
from settld.launcher.processes import spawn, stop, wait_until
from settld.launcher.simulator import INTAKE_PATH, connect_events


@pytest.fixture
def simulator_url(tmp_path):
    home = open_home(tmp_path / "state")
    port = free_port()
    process = spawn(
        commands.simulator(port=port, data=home.simulator),
        log=home.logs / "simulator.log",
        cwd=commands.CHECKOUT,
    )
    url = f"http://127.0.0.1:{port}"
    assert wait_until(lambda: status_of(f"{url}/_sim/health") == 200, seconds=30)
    yield url
    stop(process, first=15, patience_seconds=10)


def test_one_endpoint_is_kept_and_moves_with_the_port(simulator_url):
    ids = set()
    for base_url in ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "http://127.0.0.1:8001"):
        connect_events(simulator_url=simulator_url, base_url=base_url, secret="whsec_test")
        endpoints = get_json(f"{simulator_url}/_sim/webhook_endpoints")["webhook_endpoints"]
        assert [endpoint["url"] for endpoint in endpoints] == [base_url + INTAKE_PATH]
        ids.add(endpoints[0]["id"])

    assert len(ids) == 1
