"""The console in a real browser: keys, fragments, live updates, colours, and pages without scripts."""

import re

import pytest

from tests.ops_console import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
]


@pytest.fixture
def world(deployment):
    from tests.ops_console.world import World, make_person

    make_person("ada", {"tenant_a": "finance"})
    return World(browser.RemoteApi(deployment))


@pytest.fixture
def page(deployment):
    with browser.window(deployment) as opened:
        yield opened


def test_an_operator_enqueues_submits_and_watches(world, page):
    from tests.ops_console.world import PERIOD

    world.statement("p1", cents=12_345)
    page.login("ada", path="/console/statements")
    page.one("a.button--small[href$='/enqueue']").click()
    page.shows("Enqueue this payout?")
    page.one("select[name=provider] option[value=stub_default]").click()
    page.one("#act button[type=submit]").click()

    page.shows("Enqueued. Submit it when it is to be paid.")
    assert page.path.startswith("/console/payouts/stub_default/mop_tenant_a:party:p1")
    assert PERIOD in page.text
    page.one("#act a.button--main").click()
    page.shows("Submit this payout?")
    page.until(lambda: page.driver.switch_to.active_element.tag_name == "h2")  # the keyboard goes on there
    page.one("#act button[type=submit]").click()
    page.shows("Submitted.")
    page.shows("Money left: 123.45 USD")

    operation = world.api.get("/ops/money-rails/stub_default/operations")
    operation_id = re.search(r'"operationId":"([^"]+)"', operation.content.decode()).group(1)
    world.take({"providerId": "stub_default", "operationId": operation_id}, "confirmed")
    page.shows("Confirmed: applied")
    page.shows("Now: Confirmed")
    assert page.complaints() == []


def test_a_refusal_lands_in_the_form(world, page):
    from tests.ops_console.world import page_of

    operation = world.payout("p1")
    page.login("ada", path=page_of(operation))
    page.one("#act a.button--main").click()
    page.shows("Submit this payout?")
    world.controls(payoutKillSwitch=True)
    page.one("#act button[type=submit]").click()

    page.shows("PAYOUT_KILL_SWITCH_ACTIVE")
    assert "Refused as things stand" in page.one("#act form [role=alert]").text
    assert world.read(operation)["state"] == "initiated"


def test_keys_walk_the_list_and_open_a_payout(world, page):
    for party in ("p1", "p2", "p3"):
        world.payout(party)
    page.login("ada", path="/console/payouts")

    page.press("j")
    page.press("j")
    assert page.one("tr.is-current th").text == "p2"
    page.press("k")
    assert page.one("tr.is-current th").text == "p3"
    page.press("?")
    assert page.one("dialog[open]").text.startswith("Keyboard")
    page.press("?")
    page.until(lambda: not page.all("dialog[open]"))
    page.press("/")
    assert page.driver.switch_to.active_element.get_attribute("name") == "q"
    page.driver.switch_to.active_element.send_keys("p2")
    page.until(lambda: [row.text for row in page.all("tbody th")] == ["p2"])
    assert "q=p2" in page.path
    page.driver.back()
    page.until(lambda: len(page.all("tbody th")) == 3)
    page.press("j")
    page.press("\ue007")
    page.until(lambda: "mop_tenant_a:party:p3" in page.path)


def test_every_page_is_clean_in_both_colours_and_on_a_small_screen(world, page):
    from tests.ops_console.world import page_of

    operation = world.payout("a_party_with_quite_a_long_identifier_0001", state="confirmed")
    taken = world.payout("another_party_with_quite_a_long_identifier", period="2025-12", state="reversed")
    account = f"/console/chargebacks/of/sandbox/USD/{taken['metadata']['partyId']}"
    adjust = f"/console/chargebacks/adjust/stub_default/{taken['operationId']}"
    page.login("ada")
    pages = ("/console", "/console/payouts", "/console/statements", "/console/mismatches", "/console/audit")
    more = ("/console/chargebacks", account, adjust)
    for path in (*pages, *more, page_of(operation), f"{page_of(operation)}/cancel"):
        for scheme in ("light", "dark"):
            for width in (1360, 390):
                page.emulate(scheme=scheme, width=width)
                page.open(path)
                page.one("h1")
                wide = page.driver.execute_script("return document.documentElement.scrollWidth > innerWidth")
                assert not wide, (path, width)
    assert page.complaints() == []


def test_a_debt_is_found_by_keys_and_adjusted_in_the_form(world, page):
    for party, cents in (("p1", 4_000), ("p2", 9_000)):
        world.payout(party, cents=cents, period="2025-12", state="reversed")
    page.login("ada", path="/console/chargebacks")
    page.press("j")
    assert page.one("tr.is-current th").text == "p2"
    page.press("\ue007")
    page.until(lambda: page.path == "/console/chargebacks/of/sandbox/USD/p2")
    page.one("a.button--small[href*='/adjust/']").click()
    page.shows("Take an amount off this debt?")
    amount = page.one("[name=amount]")
    amount.clear()
    amount.send_keys("90.01")
    page.one("[name=reason_code] option[value=paid_otherwise]").click()
    page.one("#act button[type=submit]").click()
    page.shows("Only 90.00 is still open.")
    amount = page.one("[name=amount]")
    amount.clear()
    amount.send_keys("30")
    page.one("#act button[type=submit]").click()
    page.shows("30.00 USD taken off. p2 owes 60.00 USD from here on.")
    page.until(lambda: page.path == "/console/chargebacks/of/sandbox/USD/p2")
    assert "Taken off by decision" in page.text
    assert [complaint for complaint in page.complaints() if "422" not in complaint] == []


def test_the_colours_change_at_once_and_stay(world, page):
    page.login("ada")

    def ground():
        return page.one("body").value_of_css_property("background-color")

    light = ground()
    page.one("[data-theme-form] button").click()
    page.until(lambda: ground() != light)
    page.until(lambda: page.driver.get_cookie("settld_theme"))
    page.open("/console/payouts")
    assert ground() != light


def test_everything_works_without_scripts(world, page):
    from tests.ops_console.world import page_of

    operation = world.payout("p1")
    page.without_scripts()
    page.login("ada", path="/console/payouts")
    page.one("tbody th a").click()
    page.until(lambda: page.path == page_of(operation))
    page.one("#act a[href$='/cancel']").click()
    page.until(lambda: page.path == f"{page_of(operation)}/cancel")
    reason = page.one("[name=reason_code]")
    reason.clear()
    reason.send_keys("paid_elsewhere")
    page.one("#act button[type=submit]").click()

    page.until(lambda: page.path == page_of(operation))
    page.shows("Cancelled.")
    fresh = world.read(operation)
    assert (fresh["state"], fresh["reasonCode"]) == ("cancelled", "paid_elsewhere")


def test_a_session_that_ended_sends_the_live_page_to_the_login(world, page):
    from tests.ops_console.world import page_of

    operation = world.payout("p1")
    page.login("ada", path=page_of(operation))
    page.driver.delete_cookie("sessionid")

    page.until(lambda: page.path.startswith("/login?next="))
