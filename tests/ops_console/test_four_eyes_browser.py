"""Two people at two browsers: one asks, the other decides; one of them without scripts, on a small screen."""

import json

import pytest

from tests.ops_console import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
]
ENTER = "\ue007"


@pytest.fixture
def world(deployment):
    from tests.ops_console.world import World, make_person

    make_person("ada", {"tenant_a": "finance"})
    make_person("ben", {"tenant_a": "admin"})
    return World(browser.RemoteApi(deployment))


def is_wide(page):
    return page.driver.execute_script("return document.documentElement.scrollWidth > innerWidth")


def cap(world):
    answer = world.api.get("/ops/finance/billing/plan")
    return json.loads(answer.content)["billing"]["moneyRails"]["maxPayoutAmountCents"]


def test_one_asks_with_scripts_and_the_other_approves_without(world, deployment):
    world.controls(fourEyes=True, maxPayoutAmountCents=50_000)
    with browser.window(deployment) as ada, browser.window(deployment) as ben:
        # --- Ada asks, by keyboard ---
        ada.login("ada", path="/console/controls")
        ada.one("a[href='/console/controls/edit']").send_keys(ENTER)
        field = ada.one("[name=max_payout]")
        field.clear()
        field.send_keys("900")
        ada.one("[name=reason]").send_keys("a large party joins", ENTER)
        ada.shows("A second person is needed")
        ada.one("main form button[type=submit]").send_keys(ENTER)
        ada.shows("Asked. Nothing is changed until a second person approves.")
        ada.shows("somebody else has to approve it")
        assert not ada.all("form[action$='/approve']")
        assert cap(world) == 50_000

        # --- Ben decides, without scripts, on a small dark screen ---
        ben.login("ben", path="/console/approvals")
        ben.without_scripts()
        ben.emulate(scheme="dark", width=390)
        for path in ("/console/approvals", "/console/controls", "/console/controls/edit"):
            ben.open(path)
            ben.one("h1")
            assert not is_wide(ben), path
        assert ben.one(".nav__count").text == "1"
        ben.open("/console/approvals")
        ben.one("td a").click()
        ben.shows("a large party joins")
        assert not is_wide(ben)
        ben.one("#approve-reason").send_keys("seen the contract")
        ben.one("form[action$='/approve'] button").click()
        ben.shows("Approved, and done.")
        assert cap(world) == 90_000

        # --- Ada sees it, simulates, and stops; Ben's browser says why ---
        ada.open("/console/controls")
        ada.shows("ada, approved by ben")
        ada.one("#simulate-party").send_keys("p1")
        ada.one("#simulate-amount").send_keys("901", ENTER)
        ada.shows("It would be refused")
        assert "party=p1" in ada.path
        ada.open("/console/controls")
        ada.one("a.button--big").click()
        ada.one("[name=reason]").send_keys("odd transfers")
        ada.one("#act button[type=submit]").click()
        ada.shows("All payouts are stopped.")
        ben.open("/console")
        assert "Payout kill switch is on: odd transfers" in ben.text
        assert [*ada.complaints(), *ben.complaints()] == []
