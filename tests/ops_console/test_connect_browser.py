"""A restriction shows while one watches, in a real browser with a real worker and the simulator."""

import json

import pytest

from tests.ops_console import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
]

BASE = "/ops/finance/money-rails/stripe-connect/accounts"


def test_an_account_is_restricted_and_comes_back_while_one_watches(live_db):
    from tests.ops_console.world import World, make_person
    from tests.support.deployment import running
    from tests.support.http import Server

    make_person("ada", {"tenant_a": "finance"})
    with running("simulator", "web", "worker") as deployment, browser.window(deployment) as page:
        world = World(browser.RemoteApi(deployment))
        stripe = Server(deployment.simulator_url)

        def control(path, body):
            answer = stripe.send("POST", f"/_sim/{path}", content=json.dumps(body).encode(), headers={})
            assert answer.status == 200, answer.raw

        control("accounts/acct_p1", {"preset": "verified"})
        world.controls(realMoneyEnabled=True)
        mapped = world.api.put(f"{BASE}/acct_p1", {"partyId": "p1", "enableConnect": True})
        assert mapped.status_code == 200
        world.payout("p1", cents=12_345, moneyRailProviderId="stripe_sim")

        page.login("ada", path="/console/connect")
        page.one("a[href='/console/connect/sync']").click()
        page.shows("Look at every account now?")
        page.one("#act button[type=submit]").click()
        page.shows("1 account synced.")
        page.shows("Verified")

        control("accounts/acct_p1/advance", {"toward": "past_due", "steps": 2})
        page.shows("Held up")
        page.shows("The website of the business")
        page.one("tr[data-href] a").click()
        page.shows("Payouts held up")
        page.one("a[href$='/disable'], a[href$='/enable']").click()
        page.shows("Enable this account?")
        control("accounts/acct_p1/advance", {"toward": "verified", "steps": 2})
        page.shows("Payouts may go to this account.")
        assert "Enable this account?" in page.text  # the page went on under the form
        assert page.complaints() == []
