"""Checkout billing: plans on sale, a tenant that subscribes to one, and a payment link that was paid.

Prices are made at the provider as whoever runs the deployment would, everything else over our API.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ops_console.demo.cast import TROUPES, Troupe
from ops_console.demo.http import Api, DemoError, Simulator

SUBSCRIBER: Final = TROUPES[0]  # the other one is left to be subscribed by whoever looks
SUBSCRIBED_WITHIN_SECONDS: Final = 15
CHOSEN: Final = "growth"
SERVICE: Final = ("Onboarding day", 45_000)
REFUSED: Final = (403, 404)  # billing is off here, or the demo's token may not manage its catalog


@dataclass(frozen=True)
class Offer:
    """One plan: what it costs a month, and how much of what it grants."""

    code: str
    name: str
    cents: int
    payment_links: int
    payouts: int


OFFERS: Final = (
    Offer("starter", "Starter", 2_900, 3, 20),
    Offer("growth", "Growth", 9_900, 25, 100),
    Offer("scale", "Scale", 29_900, 250, 1_000),
)


def open_shop(api: Api, simulator: Simulator) -> bool:
    """Put plans and one service on sale; False where this deployment sells nothing, or not to us."""
    listed = api.get("/api/console/billing/plans", allow=REFUSED)
    if listed.status != 200:
        return False
    known = {plan["code"] for plan in listed.body["plans"]}
    for offer in OFFERS:
        if offer.code not in known:
            api.post("/api/console/billing/plans", _plan(offer, _price(simulator, offer.name, offer.cents)))
    if not api.get("/api/console/billing/catalog-items").body["items"]:
        price_id = _price(simulator, *SERVICE, is_monthly=False)
        api.post("/api/console/billing/catalog-items", {"providerPriceId": price_id, "name": SERVICE[0]})
    return True


def subscribe(api: Api, simulator: Simulator, troupe: Troupe) -> None:
    """Start a checkout and pay for it as a person would on the provider's page, unless that was done."""
    if _subscription(api):
        return
    home = f"/w/{troupe.tenant_id}/billing"
    order = {
        "planCode": CHOSEN,
        "successPath": f"{home}?checkout=success",
        "cancelPath": f"{home}?checkout=cancelled",
    }
    session = api.post("/api/billing/checkout", order, key="demo-billing-checkout").body["checkoutSession"]
    session_id = session["providerCheckoutSessionId"]
    if simulator.read(f"/v1/checkout/sessions/{session_id}", {})["status"] == "open":
        payer = {"email": troupe.email, "name": troupe.name}
        simulator.control(f"checkout/sessions/{session_id}/pay", payer)


def sell_once(api: Api, simulator: Simulator, troupe: Troupe, *, say: Callable[[str], None]) -> None:
    """Wait for the subscription, make a payment link under it, and have a stranger pay it."""
    ends_at = time.monotonic() + SUBSCRIBED_WITHIN_SECONDS
    while not (subscription := _subscription(api)):
        if time.monotonic() > ends_at:
            raise DemoError(f"the subscription of {troupe.tenant_id} was not confirmed by an event")
        time.sleep(0.2)
    if not api.get("/api/billing/payment-links").body["paymentLinks"]:
        item = api.get("/api/console/billing/catalog-items").body["items"][0]
        wish = {"successPath": "/w/paid", "lineItems": [{"priceId": item["providerPriceId"], "quantity": 2}]}
        link = api.post("/api/billing/payment-links", wish, key="demo-billing-link").body["paymentLink"]
        simulator.control(f"payment_links/{link['id']}/pay", {"email": "buyer@example.com"})
    api.post("/api/billing/payment-methods/sync", {})
    say(f"{troupe.name}: subscribed ({subscription['status']}), a payment link sold")


def _subscription(api: Api) -> dict[str, Any] | None:
    found: dict[str, Any] | None = api.get("/api/billing/subscription").body["subscription"]
    return found


def _plan(offer: Offer, price_id: str) -> dict[str, Any]:
    quotas = {
        "payment_links_created_monthly": (offer.payment_links, "hard"),
        "payouts_submitted_monthly": (offer.payouts, "soft"),  # more is counted, not refused
    }
    entitlements: list[dict[str, Any]] = [
        {
            "code": code,
            "schemaVersion": "entitlement.quota.v1",
            "valueJson": {"limit": limit, "interval": "month", "enforcement": enforcement},
        }
        for code, (limit, enforcement) in quotas.items()
    ]
    support = {"enabled": offer.code != "starter"}
    entitlements.append(
        {"code": "priority_support", "schemaVersion": "entitlement.boolean.v1", "valueJson": support}
    )
    return {
        "code": offer.code,
        "name": offer.name,
        "corePrice": {"providerPriceId": price_id},
        "entitlements": entitlements,
    }


def _price(simulator: Simulator, name: str, cents: int, *, is_monthly: bool = True) -> str:
    form = {"currency": "usd", "unit_amount": str(cents), "product_data[name]": name}
    if is_monthly:
        form["recurring[interval]"] = "month"
    return str(simulator.call("/v1/prices", form, key=f"demo-price-{name}-{cents}")["id"])
