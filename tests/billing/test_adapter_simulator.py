"""Every method of the adapter against the Stripe simulator, a process of its own."""

import time

import pytest

from billing.provider_time import ProviderTime
from billing.providers import base
from billing.providers.errors import Category, ProviderProblem
from settld.stripe_gateway import circuit
from tests.support.simulator import stripe_sim, stripe_simulator

__all__ = ["stripe_sim", "stripe_simulator"]

pytestmark = pytest.mark.django_db
KEY = "k" * 64


@pytest.fixture
def sim(stripe_sim, stripe_at):
    stripe_at(stripe_sim.url)
    circuit.for_address(stripe_sim.url).record_answer()
    return stripe_sim


@pytest.fixture
def provider():
    return base.active()


@pytest.fixture
def price(sim):
    made = {"unit_amount": 1500, "currency": "usd", "interval": "month", "name": "Pro"}
    return sim.control("/_sim/prices", made)["id"]


def params(price_id, **changes):
    metadata = {"operation_key": KEY, "billable_entity_id": "7"}
    return {
        "mode": "subscription",
        "line_items": [{"price": price_id, "quantity": 1}],
        "success_url": "https://app.example.com/ok",
        "cancel_url": "https://app.example.com/no",
        "client_reference_id": "7",
        "metadata": metadata,
        "subscription_data": {"metadata": metadata},
        "expires_at": int(time.time()) + 3600,
    } | changes


def test_t040_one_key_makes_one_session_and_says_so_when_it_is_asked_again(sim, provider, price):
    asked = params(price)
    first = provider.create_checkout_session(asked, idempotency_key="key_1")
    again = provider.create_checkout_session(asked, idempotency_key="key_1")
    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert first.facts == again.facts
    assert (first.facts.status, first.facts.operation_key, first.facts.mode) == ("open", KEY, "subscription")
    assert first.facts.expires_at == ProviderTime(asked["expires_at"])


def test_t045_other_parameters_under_the_same_key_are_a_mismatch(sim, provider, price):
    asked = params(price)
    provider.create_checkout_session(asked, idempotency_key="key_1")
    with pytest.raises(ProviderProblem) as caught:
        provider.create_checkout_session(asked | {"client_reference_id": "8"}, idempotency_key="key_1")
    assert caught.value.is_idempotency_mismatch


def test_t052_a_failure_that_was_saved_is_repeated_as_saved(sim, provider, price):
    asked = params(price)
    sim.fault("status_500_after", path="/v1/checkout/sessions")
    told = []
    for _ in range(2):
        with pytest.raises(ProviderProblem) as caught:
            provider.create_checkout_session(asked, idempotency_key="key_1")
        told.append((caught.value.category, caught.value.is_saved_failure))
    assert told == [(Category.TRANSIENT_PROVIDER, False), (Category.TRANSIENT_PROVIDER, True)]


def test_t064_a_session_whose_answer_was_lost_is_found_by_its_operation(sim, provider, price):
    began = ProviderTime(int(time.time()) - 300)
    for number in range(101):
        provider.create_checkout_session(
            params(price, metadata={"operation_key": f"other_{number}"}), idempotency_key=f"other_{number}"
        )
    sim.fault("reset_after", path="/v1/checkout/sessions", times=3)
    with pytest.raises(ProviderProblem) as caught:
        provider.create_checkout_session(params(price), idempotency_key="key_1")
    assert caught.value.category is Category.TRANSIENT_NETWORK
    later = ProviderTime(began.seconds + 86_400)

    def find(**changes):
        return provider.list_checkout_sessions_by_operation_key(
            changes.get("key", KEY),
            client_reference_id=changes.get("reference", "7"),
            created_from=changes.get("since", began),
            created_to=later,
        )

    (found,) = find()
    assert (found.facts.status, found.facts.operation_key) == ("open", KEY)
    assert find(key="other_0") != ()  # the oldest, on the second page
    assert find(reference="8") == find(key="nobody") == find(since=later) == ()


def test_a_paid_checkout_is_read_from_every_side(sim, provider, price):
    session = provider.create_checkout_session(params(price), idempotency_key="key_1").facts
    sim.control(f"/_sim/checkout/sessions/{session.id}/pay", {"email": "a@example.com"})

    paid = provider.retrieve_checkout_session(session.id).facts
    subscription = provider.retrieve_subscription(paid.subscription_id)
    assert (paid.status, paid.payment_status, paid.customer_email) == ("complete", "paid", "a@example.com")
    assert (subscription.facts.status, subscription.facts.operation_key) == ("active", KEY)
    assert [item.price_id for item in subscription.facts.items] == [price]
    assert subscription.facts.current_period_end > subscription.facts.created
    assert subscription.provider_time >= subscription.facts.created
    (listed,) = provider.list_subscriptions(customer=paid.customer_id).items
    assert listed.facts == subscription.facts
    (by_subscription,) = provider.list_checkout_sessions(subscription=paid.subscription_id).items
    assert by_subscription.facts.id == session.id

    (billed,) = provider.list_invoices(customer=paid.customer_id, created_from=ProviderTime(1)).items
    invoice = provider.retrieve_invoice(billed.facts.id).facts
    assert (invoice.is_paid, invoice.amount_paid, invoice.currency) == (True, 1500, "USD")
    assert (invoice.subscription_id, invoice.operation_key) == (paid.subscription_id, KEY)
    assert invoice.payment_id == billed.facts.payment_id is not None

    (method,) = provider.list_customer_payment_methods(paid.customer_id).items
    assert (method.facts.type, method.facts.brand, method.facts.last4) == ("card", "visa", "4242")
    customer = provider.retrieve_customer(paid.customer_id).facts
    assert (customer.email, customer.is_deleted) == ("a@example.com", False)

    portal = provider.create_portal_session(
        {"customer": paid.customer_id, "return_url": "https://app.example.com/"}, idempotency_key="key_2"
    )
    assert portal.facts.url.startswith("http")


def test_a_duplicate_is_ended_once(sim, provider, price):
    customer = sim.control("/_sim/customers", {"email": "a@example.com"})["id"]
    made = sim.control("/_sim/subscriptions", {"customer": customer, "price": price})["id"]
    ended = provider.cancel_subscription(made, idempotency_key="key_1", profile="worker").facts
    assert (ended.status, ended.ended_at is not None) == ("canceled", True)
    with pytest.raises(ProviderProblem) as caught:
        provider.cancel_subscription(made, idempotency_key="key_1", profile="worker")
    assert caught.value.is_missing
    (listed,) = provider.list_subscriptions(customer=customer).items
    assert listed.facts.status == "canceled"


def test_only_an_open_session_is_ended(sim, provider, price):
    session = provider.create_checkout_session(params(price), idempotency_key="key_1").facts
    assert provider.expire_checkout_session(session.id, idempotency_key="key_2").facts.status == "expired"
    with pytest.raises(ProviderProblem) as caught:
        provider.expire_checkout_session(session.id, idempotency_key="key_3")
    assert caught.value.is_rejection


def test_a_payment_link_is_made_paid_found_and_switched_off(sim, provider):
    once = provider.create_price(
        {"currency": "usd", "unit_amount": 700, "product_data": {"name": "A thing"}}, idempotency_key="p"
    ).facts
    assert (once.type, once.unit_amount, once.active) == ("one_time", 700, True)
    assert provider.retrieve_price(once.id).facts.product_name == "A thing"
    assert once.id in {row.facts.id for row in provider.list_prices().items}
    link = provider.create_payment_link(
        {"line_items": [{"price": once.id, "quantity": 2}], "metadata": {"operation_key": KEY}},
        idempotency_key="l",
    ).facts
    assert (link.active, link.metadata) == (True, {"operation_key": KEY})
    sim.control(f"/_sim/payment_links/{link.id}/pay", {"email": "b@example.com"})
    (session,) = provider.list_checkout_sessions(payment_link=link.id, status="complete").items
    assert (session.facts.payment_link_id, session.facts.amount_total) == (link.id, 1400)
    assert provider.update_payment_link(link.id, active=False, idempotency_key="off").facts.active is False


def test_an_event_is_read_again(sim, provider, price):
    session = provider.create_checkout_session(params(price), idempotency_key="key_1").facts
    sim.control(f"/_sim/checkout/sessions/{session.id}/pay", {})
    (event,) = sim.get("/v1/events", type="checkout.session.completed")["data"]
    facts = provider.retrieve_event(event["id"]).facts
    assert (facts.type, facts.livemode, facts.thing["id"]) == (
        "checkout.session.completed",
        False,
        session.id,
    )


@pytest.mark.parametrize(
    "name",
    [
        "retrieve_checkout_session",
        "retrieve_price",
        "retrieve_subscription",
        "retrieve_invoice",
        "retrieve_customer",
        "retrieve_event",
    ],
)
def test_what_is_not_there_is_missing(sim, provider, name):
    with pytest.raises(ProviderProblem) as caught:
        getattr(provider, name)("none_1")
    assert (caught.value.is_missing, caught.value.category) == (True, Category.NOT_FOUND)
