"""Portal, payment links, payment methods and refresh against the Stripe simulator, a process of its own."""

import datetime as dt

import pytest

from billing.models import CheckoutSession, Customer, PaymentLink, PaymentMethod
from billing.services import recovery
from settld.core import clock, tenancy
from settld.stripe_gateway import circuit
from tests.billing import checkouts, factories, payloads
from tests.support.api import body
from tests.support.simulator import ControlRefused, stripe_sim, stripe_simulator

__all__ = ["stripe_sim", "stripe_simulator"]
pytestmark = pytest.mark.django_db
CHECKOUT = {"planCode": "pro", "successPath": "/done", "cancelPath": "/back"}
LEASE = dt.timedelta(seconds=121)


@pytest.fixture
def sim(stripe_sim, stripe_at):
    stripe_at(stripe_sim.url)
    circuit.for_address(stripe_sim.url).record_answer()
    return stripe_sim


@pytest.fixture
def entity(sim):
    made = {"unit_amount": 4_900, "currency": "usd", "interval": "month", "name": "Pro"}
    factories.plan(price_id=sim.control("/_sim/prices", made)["id"])
    return factories.workspace_entity()


@pytest.fixture
def deliver(sim):
    """Apply every event of the provider that we have not seen, oldest first or in another order."""
    seen: set[str] = set()

    def those(order=lambda events: events) -> None:
        events = reversed(sim.get("/v1/events", limit=100)["data"])
        fresh = [event for event in events if event["id"] not in seen]
        seen.update(event["id"] for event in fresh)
        for event in order(fresh):
            payloads.deliver(event)

    return those


def post(api, path, sent=None, key="key-1"):
    return api.post(f"/api/billing/{path}", sent or {}, headers={"Idempotency-Key": key})


def subscribe(api, sim) -> str:
    """Start a checkout, pay it, come back; the customer that paid."""
    started = body(post(api, "checkout", CHECKOUT))["checkoutSession"]
    sim.control(f"/_sim/checkout/sessions/{started['providerCheckoutSessionId']}/pay", {})
    snapshot = body(post(api, "checkout/refresh"))
    assert snapshot["subscription"]["status"] == "active"
    return snapshot["customer"]["providerCustomerId"]


def methods(api) -> dict[str, bool]:
    return {
        m["last4"]: m["isDefault"] for m in body(api.get("/api/billing/payment-methods"))["paymentMethods"]
    }


def test_t158_coming_back_to_the_portal_and_to_other_cards(api, entity, sim, deliver):
    customer = subscribe(api, sim)
    (session,) = checkouts.sessions(entity)
    assert (session.status, session.provider_customer_id) == ("completed_reconciled", customer)
    deliver()
    assert [row.status for row in checkouts.sessions(entity)] == ["completed_reconciled"]

    answer = post(api, "portal", {"returnPath": "/w/billing"})
    portal = body(answer)["portalSession"]
    assert answer.status_code == 200
    assert portal["url"].startswith(sim.url)
    assert post(api, "portal", {"returnPath": "/w/billing"}).content == answer.content

    synced = body(post(api, "payment-methods/sync"))
    assert (synced["syncStatus"], synced["fetchedCount"]) == ("succeeded", 1)
    assert list(methods(api)) == ["4242"]
    sim.control("/_sim/clock", {"advance_seconds": 5})
    sim.control(f"/_sim/portal/{portal['id']}/card", {"card": "5555555555554444"})
    deliver(reversed)
    after_events = methods(api)
    sim.control("/_sim/clock", {"advance_seconds": 5})
    assert body(post(api, "payment-methods/sync"))["fetchedCount"] == len(after_events)
    assert methods(api) == after_events  # events and a look tell the same
    assert after_events["4444"] is True


def test_t158_a_portal_answer_that_was_lost_is_repeated_under_its_key(api, entity, sim):
    subscribe(api, sim)
    sim.fault("reset_after", path="/v1/billing_portal/sessions", times=None)
    answer = post(api, "portal", {"returnPath": "/w"})
    assert (answer.status_code, body(answer)["code"]) == (409, "request_in_progress")
    sim.control("/_sim/faults", method="DELETE")
    circuit.for_address(sim.url).record_answer()
    with clock.freeze(dt.datetime.now(dt.UTC) + LEASE):
        assert recovery.recover_pending(limit=5) == {"succeeded": 1}
        assert post(api, "portal", {"returnPath": "/w"}).headers["Idempotent-Replayed"] == "true"


def test_t159_two_payers_of_one_link_are_nobodys_customers(api, entity, sim, deliver):
    once = sim.control("/_sim/prices", {"unit_amount": 500, "currency": "usd", "name": "Once"})["id"]
    sent = {
        "successPath": "/thanks",
        "lineItems": [{"name": "Setup", "amountMinor": 1_500, "quantity": 2}, {"priceId": once}],
    }
    answer = post(api, "payment-links", sent)
    assert answer.status_code == 200, answer.content
    link = body(answer)["paymentLink"]
    assert post(api, "payment-links", sent).content == answer.content
    paid = [
        sim.control(f"/_sim/payment_links/{link['id']}/pay", {"email": f"{who}@example.com"})["session"]
        for who in ("ann", "bob")
    ]
    assert [session["amount_total"] for session in paid] == [3_500, 3_500]
    deliver(reversed)
    with tenancy.tenant_scope(entity.tenant_id):
        sessions = CheckoutSession.objects.filter(flow="payment_link")
        assert {row.provider_checkout_session_id for row in sessions} == {session["id"] for session in paid}
        assert {(row.status, row.idempotency_row_id) for row in sessions} == {("completed_reconciled", None)}
        payers = Customer.objects.all()
        assert {row.provider_customer_id for row in payers} == {session["customer"] for session in paid}
        assert {(row.origin, row.is_primary) for row in payers} == {("payment_link", False)}
        assert not PaymentMethod.objects.exists()
    assert body(post(api, "payment-methods/sync"))["syncStatus"] == "skipped"

    (listed,) = body(api.get("/api/billing/payment-links"))["paymentLinks"]
    off = post(api, f"payment-links/{listed['id']}/deactivate")
    assert body(off)["paymentLink"]["active"] is False
    with pytest.raises(ControlRefused):
        sim.control(f"/_sim/payment_links/{link['id']}/pay", {})


def test_t159_a_recurring_price_is_refused_by_what_the_provider_says(api, entity, sim):
    monthly = sim.control(
        "/_sim/prices", {"unit_amount": 900, "currency": "usd", "interval": "month", "name": "More"}
    )["id"]
    for price_id in (monthly, "price_unknown"):
        answer = post(api, "payment-links", {"successPath": "/x", "lineItems": [{"priceId": price_id}]})
        assert (answer.status_code, list(body(answer)["fieldErrors"])) == (400, ["lineItems[0].priceId"])
    assert checkouts.requests(entity) == []


@pytest.mark.parametrize("path", ["/v1/prices", "/v1/payment_links"])
def test_t159_a_lost_answer_ends_in_one_link(api, entity, sim, path):
    sim.fault("reset_after", path=path, times=None)
    sent = {"successPath": "/x", "oneOff": {"name": "Setup", "amountMinor": 1_500}}
    assert body(post(api, "payment-links", sent))["code"] == "request_in_progress"
    sim.control("/_sim/faults", method="DELETE")
    circuit.for_address(sim.url).record_answer()
    with clock.freeze(dt.datetime.now(dt.UTC) + LEASE):
        answer = post(api, "payment-links", sent)
    assert answer.status_code == 200, answer.content
    assert len(sim.get("/v1/payment_links")["data"]) == 1
    assert len(sim.get("/v1/prices", limit=100)["data"]) == 2  # the plan's and the link's
    with tenancy.tenant_scope(entity.tenant_id):
        assert PaymentLink.objects.count() == 1
