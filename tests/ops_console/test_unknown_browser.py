"""Unknown outcomes and the import of statements in a real browser, with scripts and without."""

import pytest

from tests.closing.files import file, line
from tests.ops_console import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
]


def stripe_payout(deployment, world):
    """A payout over the simulator whose answer was lost after the transfer was made."""
    import http.client
    import json
    from urllib.parse import urlsplit

    parts = urlsplit(deployment.simulator_url)

    def control(path, body):
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        assert connection.getresponse().status == 200

    control("/_sim/accounts/acct_browser", {"preset": "verified"})
    world.controls(realMoneyEnabled=True)
    operation = world.payout(
        "p1", moneyRailProviderId="stripe_sim", counterpartyRef="stripe_connect:acct_browser"
    )
    rule = {"kind": "reset_after", "method": "POST", "path": "/v1/transfers", "times": 3}
    control("/_sim/faults", {"rules": [rule]})
    path = f"/ops/money-rails/stripe_sim/operations/{operation['operationId']}/submit"
    assert world.api.post(path, {}).status_code == 502
    return operation


def test_an_operator_asks_the_provider_and_imports_a_file(live_db, tmp_path):
    from tests.ops_console.world import World, make_person
    from tests.support.deployment import running

    with running("simulator", "web") as deployment, browser.window(deployment) as page:
        make_person("ada", {"tenant_a": "finance"})
        world = World(browser.RemoteApi(deployment))
        operation = stripe_payout(deployment, world)

        page.login("ada", path="/console/unknown-outcomes")
        assert "h" in page.one("[data-countdown]").text
        page.one("tbody a").click()
        page.one("#listing a").click()
        page.shows("as ordered")
        page.one("#act a.button--main").click()
        page.shows("Ask the provider?")
        page.one("#act button[type=submit]").click()
        page.shows("it is adopted and the payout is submitted")
        assert world.read(operation)["state"] == "submitted"
        page.open("/console/unknown-outcomes")
        page.shows("Every outcome is known")

        chosen = tmp_path / "march.csv"
        chosen.write_bytes(file(line("pty_1")))
        page.without_scripts()
        page.emulate(scheme="dark", width=390)
        page.open("/console/statements/import")
        page.one("input[type=file]").send_keys(str(chosen))
        page.one("#act button[type=submit]").click()
        page.shows("Import this file?")
        page.one("#act form button[type=submit]").click()
        page.shows("Imported: 1 new, 0 replaced, 0 unchanged.")
        assert page.complaints() == []
