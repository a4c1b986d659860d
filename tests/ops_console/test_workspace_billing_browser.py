"""A workspace buys in a real browser (section 14): on the simulator's pages, whatever becomes of webhooks.

One deployment and one window serve several workspaces, so that each story begins with nothing.
"""

import contextlib
import json
import re
import time

import pytest

from tests.ops_console import browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
]
SUBSCRIBE = "button[name=method][value=card]"
START = "form[action$='/billing/checkout'] button[type=submit]"
PATIENCE_SECONDS = 120


class Shop:
    """What is sold, the simulator's control door, and what our API and the provider know afterwards."""

    def __init__(self, deployment):
        from tests.support.http import Server

        self.deployment = deployment
        self.ours = Server(deployment.base_url)
        self.stripe = Server(deployment.simulator_url)
        # What the provider still owes to earlier stories, whose rows are gone, is refused for ever.
        self.earlier = {row["id"] for row in self.underway()}

    def control(self, path, body=None, method="POST"):
        content = json.dumps(body or {}).encode()
        headers = {"content-type": "application/json"}
        answer = self.stripe.send(method, f"/_sim/{path}", content=content, headers=headers)
        assert answer.status == 200, answer.raw
        return answer.json

    def read(self, path):
        headers = {"authorization": "Bearer sk_test_browser"}
        answer = self.stripe.send("GET", path, headers=headers)
        assert answer.status == 200, answer.raw
        return answer.json["data"]

    def api(self, method, path, tenant_id="tenant_a", **body):
        headers = {
            "x-proxy-ops-token": self.deployment.ops_token,
            "x-proxy-tenant-id": tenant_id,
            "content-type": "application/json",
        }
        content = json.dumps(body).encode() if body else b""
        answer = self.ours.send(method, f"/api{path}", content=content, headers=headers)
        assert answer.status == 200, answer.raw
        return answer.json

    def sell(self, code, *, cents):
        price = self.control("prices", {"unit_amount": cents, "interval": "month", "name": code.title()})
        wish = {
            "code": code,
            "name": code.title(),
            "corePrice": {"providerPriceId": price["id"]},
            "entitlements": [
                {
                    "code": "payment_links_created_monthly",
                    "schemaVersion": "entitlement.quota.v1",
                    "valueJson": {"limit": 10, "interval": "month", "enforcement": "hard"},
                }
            ],
        }
        self.api("POST", "/console/billing/plans", **wish)

    def settle(self):
        """Let everything that was kept back arrive, in some other order."""
        self.control("webhooks", method="DELETE")
        self.control("webhooks/flush", {"order": "shuffle"})
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while left := [row for row in self.underway() if row["id"] not in self.earlier]:
            assert time.monotonic() < ends_at, left[:5]
            time.sleep(0.1)

    def underway(self):
        """List what the provider has not delivered yet."""
        answer = self.stripe.send("GET", "/_sim/webhooks/deliveries?status=pending&limit=100", headers={})
        assert answer.status == 200, answer.raw
        return answer.json["deliveries"]

    def require_one_subscription(self, tenant_id):
        """One at the provider, the same one here, and nothing in the way of anything."""
        told = self.api("GET", "/billing/subscription", tenant_id)
        sessions = self.at_the_provider(told["billableEntity"]["id"])
        assert [session["status"] for session in sessions] == ["complete"], tenant_id
        current = told["subscription"]
        assert (current["status"], current["isCurrent"]) == ("active", True), tenant_id
        assert sessions[0]["subscription"] == current["providerSubscriptionId"]
        assert [row["status"] for row in self.sessions(tenant_id)] == ["completed_reconciled"], tenant_id

    def at_the_provider(self, entity_id):
        return [
            session
            for session in self.read("/v1/checkout/sessions?limit=100")
            if session["client_reference_id"] == str(entity_id) and session["mode"] == "subscription"
        ]

    def require_a_session_that_only_the_provider_knows(self, tenant_id):
        told = self.api("GET", "/billing/subscription", tenant_id)
        sessions = self.at_the_provider(told["billableEntity"]["id"])
        assert [session["status"] for session in sessions] == ["open"], tenant_id
        assert self.sessions(tenant_id) == [], tenant_id

    def sessions(self, tenant_id):
        entries = self.api("GET", "/billing/timeline?source=checkout_session", tenant_id)["entries"]
        return [entry for entry in entries if "subscription" in entry["description"]]


@pytest.fixture
def shop(deployment):
    made = Shop(deployment)
    made.sell("pro", cents=4_900)
    made.sell("team", cents=9_900)
    yield made
    made.control("webhooks", method="DELETE")


def home(tenant_id):
    return f"/w/{tenant_id}/billing"


def buy(page, tenant_id, *, twice=False):
    """Choose a plan and pay for it on the provider's page; the browser comes back by itself."""
    from selenium.webdriver import ActionChains

    page.open(home(tenant_id))
    page.one("#plan option[value=team]").click()
    button = page.one(START)
    act = ActionChains(page.driver)
    (act.double_click(button) if twice else act.click(button)).perform()
    pay(page)


def pay(page):
    page.until(lambda: "/c/pay/" in page.driver.current_url)
    page.one(SUBSCRIBE).click()


def is_subscribed(page):
    return "99.00 USD per month" in page.text and "Renews on" in page.text


ASTRAY = {
    "tenant_late": {"mode": "hold"},
    "tenant_double": {"mode": "duplicate", "copies": 2},
    "tenant_turned": {"mode": "reorder", "window": 6, "delay_ms": 1_500},
    "tenant_lost": {"mode": "drop"},
}


def test_a_workspace_subscribes_whatever_becomes_of_the_webhooks(shop, deployment):
    from tests.ops_console.world import make_person

    tenants = ["tenant_a", *ASTRAY]
    make_person("ada", dict.fromkeys(tenants, "finance"))
    with browser.window(deployment) as page:
        page.login("ada", path=home("tenant_a"))
        assert "No subscription" in page.text
        for tenant_id in tenants:
            if tenant_id in ASTRAY:
                shop.control("webhooks", {"rules": [{"type": "*", **ASTRAY[tenant_id]}]})
            buy(page, tenant_id)
            page.shows("Subscription confirmed. The plan Team is active.")
            page.until(lambda: is_subscribed(page))
            assert page.path == home(tenant_id)
            shop.settle()
            shop.require_one_subscription(tenant_id)
            page.driver.refresh()
            assert is_subscribed(page), tenant_id
            assert not page.one(START).is_enabled()

        cancel_in_the_portal(page)
        sell_to_a_stranger(page, shop)

        # Without scripts nothing keeps a button from being clicked twice, the page asks the provider when
        # it is told to, and the address alone confirms nothing.
        page.without_scripts()
        shop.control("webhooks", {"rules": [{"type": "*", "mode": "drop"}]})
        tenants_without("ada", "tenant_plain")
        buy(page, "tenant_plain", twice=True)
        page.until(lambda: page.path == f"{home('tenant_plain')}?checkout=success")
        assert "Confirming…" in page.text
        assert "Subscription confirmed" not in page.text
        page.one("#confirming form:not([hidden]) button").click()
        page.shows("Subscription confirmed. The plan Team is active.")
        shop.settle()
        shop.require_one_subscription("tenant_plain")


def tenants_without(username, tenant_id):
    """Give somebody one more workspace."""
    from settld.core import clock
    from settld.core.principals import Actor
    from settld.tenants.models import User
    from settld.tenants.services import memberships, tenants

    tenants.ensure(tenant_id=tenant_id, source="tests", now=clock.now())
    user = User.objects.get(username=username)
    actor = Actor.system("tests")
    memberships.upsert(tenant_id=tenant_id, user=user, role="owner", actor=actor, now=clock.now())


def cancel_in_the_portal(page):
    page.open(home("tenant_a"))
    page.one("#manage form button").click()
    page.until(lambda: "/p/session/" in page.driver.current_url)
    page.one("form[action$='/cancel'] button").click()
    page.shows("Your cancellation has been saved.")
    page.one("a[href*='portal=back']").click()
    page.until(lambda: page.path == f"{home('tenant_a')}?portal=back")
    page.shows("Ends on")
    assert "Renews on" not in page.text


def sell_to_a_stranger(page, shop):
    page.open(home("tenant_a"))
    page.one("#own-name").send_keys("Setup day")
    page.one("#own-amount").send_keys("1200.50")
    page.one("form:has(#own-name) button").click()
    page.shows("The payment link is ready.")
    page.shows("1,200.50 USD")
    address = page.one("tr.is-current input[readonly]").get_attribute("value")
    page.one("tr.is-current [data-copy]").click()
    page.until(lambda: page.one("tr.is-current [data-copy]").text in ("Copied", "Press Ctrl+C"))

    session = page.driver.get_cookie("sessionid")
    page.driver.delete_all_cookies()
    page.driver.get(address)
    pay(page)
    page.until(lambda: page.path == "/w/paid")
    assert "If your payment went through" in page.text
    page.driver.add_cookie({name: session[name] for name in ("name", "value", "path")})
    shop.settle()
    page.open(f"{home('tenant_a')}?tab=timeline&source=checkout_session")
    page.shows("The payment link checkout session is completed reconciled.")
    page.press("/")
    assert page.driver.switch_to.active_element.get_attribute("name") == "operationKey"
    page.open(f"{home('tenant_a')}?tab=usage")
    assert "1 of 10 used this month" in page.text
    page.open(home("tenant_a"))
    page.one(".confirm summary").click()
    page.one(".confirm button").click()
    page.shows("Nobody can pay it any more.")
    assert page.complaints() == []
    page.driver.get(address)
    page.shows("This link has been deactivated")
    assert len(page.complaints()) == 1  # the provider's own 410


@contextlib.contextmanager
def doomed(deployment):
    """Web processes that die between the provider's answer and their commit; whole ones take over after."""
    deployment.stop("web")
    try:
        yield lambda: deployment.start("web", SETTLD_FAILPOINTS="billing.checkout.dispatched=kill")
    finally:
        deployment.start("web")


def test_a_web_process_killed_between_the_provider_s_answer_and_its_commit_costs_nobody_a_second_checkout(
    shop, deployment
):
    from tests.ops_console.world import make_person

    make_person("ada", {"tenant_again": "finance", "tenant_beat": "finance"})
    with browser.window(deployment) as page:
        page.login("ada", path=home("tenant_again"))
        with doomed(deployment) as start:
            for tenant_id in ("tenant_again", "tenant_beat"):
                start()
                page.open(home(tenant_id))
                page.one("#plan option[value=team]").click()
                page.one(START).click()
                page.until(lambda: not page.all(".frame") or "request_in_progress" in page.text)
                deployment.kill("web")
        page.complaints()  # of a connection that was cut
        for tenant_id in ("tenant_again", "tenant_beat"):
            shop.require_a_session_that_only_the_provider_knows(tenant_id)

        # The person tries again: the page offers the very request that had no answer.
        page.open(home("tenant_again"))
        page.shows("whether the provider has it is not known yet")
        lease_is_over("tenant_again")
        page.one(START).click()
        pay(page)
        page.shows("Subscription confirmed. The plan Team is active.")
        shop.settle()
        shop.require_one_subscription("tenant_again")

        # Nobody tries again: the loop finds the session, and the page leads there.
        lease_is_over("tenant_beat")
        recovered = deployment.manage("billing_run", "recover")
        assert recovered.returncode == 0, recovered.stderr
        page.open(home("tenant_beat"))
        page.shows("A checkout is open until")
        assert re.search("/c/pay/", page.one("#blocked a").get_attribute("href"))
        page.one("#blocked a").click()
        pay(page)
        page.shows("Subscription confirmed. The plan Team is active.")
        shop.settle()
        shop.require_one_subscription("tenant_beat")
        assert page.complaints() == []


def lease_is_over(tenant_id):
    """As two minutes later."""
    from billing.models import BillableEntity, BillingRequest
    from settld.core import clock, tenancy
    from tests.billing import factories

    with tenancy.tenant_scope(tenant_id):
        entity = BillableEntity.objects.get(tenant_id=tenant_id)
    with factories.locked(entity):
        pending = BillingRequest.objects.filter(tenant_id=tenant_id, status="pending")
        assert pending.update(pending_lease_expires_at=clock.now()) == 1
