"""An operator of the deployment in a real browser: sells, follows a checkout, looks at failures (T-173)."""

from urllib.parse import urlencode

import pytest

from tests.ops_console import browser
from tests.ops_console.test_workspace_billing_browser import Shop

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
]
HOME = "/console/billing"
PAGES = ("events", "plans", "operations?queue=webhooks", "operations?queue=runs", "reports")


def buy(shop, key):
    """A checkout over our API, paid at the simulator, its events delivered."""
    answer = shop.ours.send(
        "POST",
        "/api/billing/checkout",
        content=b'{"planCode": "pro", "successPath": "/ok", "cancelPath": "/no"}',
        headers={
            "x-proxy-ops-token": shop.deployment.ops_token,
            "x-proxy-tenant-id": "tenant_a",
            "content-type": "application/json",
            "idempotency-key": key,
        },
    )
    assert answer.status == 200, answer.raw
    shop.control(f"checkout/sessions/{answer.json['checkoutSession']['providerCheckoutSessionId']}/pay")
    assert shop.control("webhooks/wait", {"timeout_ms": 20_000})["idle"]
    return answer.json["operationKey"]


def buy_elsewhere(shop, price_id):
    """Somebody sells over the same account without telling us: its events cannot be applied."""
    wish = {
        "mode": "subscription",
        "line_items[0][price]": price_id,
        "line_items[0][quantity]": "1",
        "success_url": "https://other.example/ok",
    }
    headers = {
        "authorization": "Bearer sk_test_browser",
        "content-type": "application/x-www-form-urlencoded",
        "idempotency-key": "elsewhere",
    }
    answer = shop.stripe.send(
        "POST", "/v1/checkout/sessions", content=urlencode(wish).encode(), headers=headers
    )
    assert answer.status == 200, answer.raw
    shop.control(f"checkout/sessions/{answer.json['id']}/pay")


def test_t173_an_operator_sells_follows_and_looks_after(deployment):
    """T-173: catalog, explorer, preview of a replay and a dry run; narrow, dark, and without scripts."""
    from tests.ops_console.world import make_person

    make_person("ada", {"tenant_a": "owner"}, platform_role="admin")
    shop = Shop(deployment)
    price = shop.control("prices", {"unit_amount": 4_900, "interval": "month", "name": "Pro"})

    with browser.window(deployment) as page:
        page.login("ada", path=f"{HOME}/plans/new")
        page.one("[name=code]").send_keys("pro")
        page.one("[name=name]").send_keys("Pro")
        page.one(f"option[value={price['id']}]").click()
        page.one("[name=entitlements]").send_keys("sso = on")
        page.one("#act button[type=submit]").click()
        page.shows("The plan pro is made.")
        page.shows("49.00 USD a month")

        key = buy(shop, "browser-1")
        page.open(f"{HOME}/events")
        page.one(f"a[href$='operationKey={key}']").click()
        page.shows("One operation through all sources")
        page.one(".timeline summary").click()
        page.shows(f'"operation_key": "{key}"')

        buy_elsewhere(shop, price["id"])
        page.open(f"{HOME}/operations?queue=webhooks")
        page.until(lambda: page.open(f"{HOME}/operations?queue=webhooks") or page.all("a[href$='/replay']"))
        page.one("a[href$='/replay']").click()
        page.shows("As things stand it would fail again.")

        page.open(f"{HOME}/operations?queue=runs")
        page.one("a[href$='/subscriptions_active/dry-run']").click()
        page.one("#act form button[type=submit]").click()
        page.shows("Dry run of subscriptions_active: 1 looked at, 0 differ, nothing was written.")

        page.emulate(scheme="dark", width=390)
        for name in PAGES:
            page.open(f"{HOME}/{name}")
            page.one("h1")
            assert not page.driver.execute_script(
                "return document.documentElement.scrollWidth > innerWidth"
            ), name
        page.without_scripts()
        page.open(f"{HOME}/plans")
        page.one("a[href$='/deactivate']").click()
        page.shows("Sell Pro no longer?")
        page.one("#act form button[type=submit]").click()
        page.shows("pro is no longer sold.")
        assert page.complaints() == []
