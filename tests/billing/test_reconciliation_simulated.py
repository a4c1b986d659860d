"""Loops against the Stripe simulator: real HTTP, real objects, every event lost."""

import dataclasses
import datetime as dt

import pytest

from billing.services import outbox, reconciliation, remediation_work
from billing.states import Scope
from settld.core import clock, tenancy
from settld.stripe_gateway import calls as gateway
from settld.stripe_gateway import circuit, skew
from tests.billing import checkouts, factories
from tests.billing.checkouts import guardrails
from tests.billing.workers import invoices, owe_expiry, owed, payments, session, subscription
from tests.support.simulator import stripe_sim, stripe_simulator

__all__ = ["guardrails", "stripe_sim", "stripe_simulator"]
pytestmark = pytest.mark.django_db
NOW = factories.NOW


@pytest.fixture
def sim(stripe_sim, stripe_at, settings, monkeypatch):
    """The simulator, its clock and ours at NOW."""
    monkeypatch.setattr(gateway, "pause", lambda _seconds: None)
    stripe_at(stripe_sim.url)
    settings.STRIPE = dataclasses.replace(settings.STRIPE, circuit_failure_threshold=1_000)
    circuit.for_address(stripe_sim.url).record_answer()
    skew.forget()
    stripe_sim.control("/_sim/clock", {"now": int(NOW.timestamp())})
    yield stripe_sim
    skew.forget()


@pytest.fixture
def entity(sim):
    factories.plan(price_id=sim.price(unit_amount=4_900)["id"])
    return factories.workspace_entity()


def later(sim, **by: float):
    """Both clocks, so much after NOW."""
    at = NOW + dt.timedelta(**by)
    sim.control("/_sim/clock", {"now": int(at.timestamp())})
    return clock.freeze(at)


def buy(sim, entity, **how) -> str:
    """Start a checkout and pay it at the provider; nobody tells us. Gives the session's id."""
    with clock.freeze(NOW):
        told = checkouts.start(entity).body["checkoutSession"]
    session_id = told["providerCheckoutSessionId"]
    sim.control(f"/_sim/checkout/sessions/{session_id}/pay", how)
    return session_id


def buy_and_learn(sim, entity) -> None:
    """The same, and the loops find out."""
    buy(sim, entity)
    with later(sim, minutes=16):
        reconciliation.run(Scope.CHECKOUT_OPEN)
    with later(sim, minutes=30):
        reconciliation.run(Scope.CHECKOUT_COMPLETED_PENDING)


def test_t136_a_purchase_of_which_every_event_was_lost_is_found_out(sim, entity):
    """T-136: open -> completed -> subscription projected; then its invoice and the payment by its real id."""
    buy_and_learn(sim, entity)
    with later(sim, hours=1):
        reconciliation.run(Scope.INVOICES_RECENT)
        again = [reconciliation.run(scope) for scope in (Scope.SUBSCRIPTIONS_ACTIVE, Scope.INVOICES_RECENT)]

    (invoice,), (payment,) = invoices(entity), payments(entity)
    bought = session(entity)
    made = subscription(entity, bought.provider_subscription_id)
    assert bought.status == "completed_reconciled"
    assert (made.status, made.is_current) == ("active", True)
    assert (invoice.status, invoice.amount_paid_minor, invoice.subscription_id) == ("paid", 4_900, made.pk)
    assert payment.is_fallback_id is False
    assert [summary.figures["driftDetected"] for summary in again] == [0, 0]


def test_t136_a_subscription_cancelled_at_the_provider_ends_here(sim, entity):
    """T-136 subscriptions_active: terminal -> canceled, ended_at, not current."""
    buy_and_learn(sim, entity)
    subscription_id = session(entity).provider_subscription_id
    with later(sim, days=2):
        sim.provoke(subscription_id, "cancel")
        reconciliation.run(Scope.SUBSCRIPTIONS_ACTIVE)

    ended = subscription(entity, subscription_id)
    assert (ended.status, ended.is_current) == ("canceled", False)
    assert ended.ended_at is not None


def test_t123_a_second_subscription_is_found_and_the_younger_one_cancelled(sim, entity):
    """T-123, T-136: backfill by the customer's listing, remediation, real DELETE; the first one lives."""
    buy_and_learn(sim, entity)
    first = subscription(entity, session(entity).provider_subscription_id)
    price = factories.PlanPrice.objects.get().provider_price_id
    with later(sim, days=1):
        second = sim.subscribe(session(entity).provider_customer_id, price)["id"]
        reconciliation.run(Scope.SUBSCRIPTIONS_ACTIVE)
        remediation_work.tick()

    row = owed(entity)
    assert (row.status, row.metadata_json["outcome"]) == ("succeeded", "canceled")
    assert sim.get(f"/v1/subscriptions/{second}")["status"] == "canceled"
    assert sim.get(f"/v1/subscriptions/{first.provider_subscription_id}")["status"] == "active"
    assert subscription(entity, second).status == "canceled"


@pytest.mark.parametrize("paid", [False, True])
def test_t073_an_expire_job_at_the_real_door(sim, entity, guardrails, paid):
    """T-073: an open session ends; one that was paid meanwhile is left alone, and said."""
    with clock.freeze(NOW):
        session_id = checkouts.start(entity).body["checkoutSession"]["providerCheckoutSessionId"]
    if paid:
        sim.control(f"/_sim/checkout/sessions/{session_id}/pay", {})
    owe_expiry(entity, session_id)

    with later(sim, minutes=1):
        outbox.tick()

    assert sim.get(f"/v1/checkout/sessions/{session_id}")["status"] == ("complete" if paid else "expired")
    assert ("BILLING_ORPHAN_CHECKOUT_SESSION_COMPLETED" in guardrails) is paid


def test_t125_an_answer_that_was_lost_ends_the_job_at_the_next_try(sim, entity):
    """T-125: the provider did it, the connection broke; the retry finds it done."""
    with clock.freeze(NOW):
        session_id = checkouts.start(entity).body["checkoutSession"]["providerCheckoutSessionId"]
    owe_expiry(entity, session_id)
    sim.fault("reset_after", path=f"/v1/checkout/sessions/{session_id}/expire", times=None)

    with later(sim, minutes=1):
        outbox.tick()
    with later(sim, minutes=3):
        outbox.tick()

    with tenancy.tenant_scope(entity.tenant_id):
        row = outbox.BillingOutboxJob.objects.get(job_type="expire_checkout_session")
    assert (row.status, row.attempt_count) == ("succeeded", 2)


def test_t136_a_hold_finds_the_session_that_a_lost_answer_made(sim, entity):
    """T-136 checkout_recovery_verification: made at the provider, unknown here past the deadline."""
    sim.fault("reset_after", path="/v1/checkout/sessions", times=None)
    with clock.freeze(NOW):
        assert checkouts.told(entity) == (409, "request_in_progress")
    sim.control("/_sim/faults", method="DELETE")
    (made,) = sim.get("/v1/checkout/sessions", limit=10)["data"]
    with later(sim, hours=23):
        sim.fault("status_500_before", method="GET", path="/v1/checkout/sessions", times=None)
        reconciliation.run(Scope.PENDING_RECENT)
        held = session(entity).status
        sim.control("/_sim/faults", method="DELETE")
        reconciliation.run(Scope.CHECKOUT_RECOVERY_VERIFICATION)

    assert held == "recovery_verification_pending"
    assert (session(entity).status, session(entity).provider_checkout_session_id) == ("open", made["id"])
