"""What the adapter asks for when it reads, all pages or none, and plain data throughout (spec 5.0, 5.6)."""

import pytest
import stripe

from billing.provider_time import ProviderTime
from billing.providers import base, calls
from billing.providers.errors import Category, ProviderProblem
from settld.stripe_gateway import circuit
from tests.stripe_gateway.scripted_stripe import Say, ScriptedStripe, refusal

pytestmark = pytest.mark.django_db
KEY = "k" * 64


@pytest.fixture
def scripted(stripe_at):
    server = ScriptedStripe()
    stripe_at(server.url)
    circuit.for_address(server.url).record_answer()
    yield server
    server.stop()


@pytest.fixture
def provider():
    return base.active()


def session(number=1, **changes):
    return {
        "id": f"cs_{number}",
        "object": "checkout.session",
        "status": "open",
        "metadata": {"operation_key": KEY},
        "client_reference_id": "7",
    } | changes


def price(number=1, **changes):
    return {
        "id": f"price_{number}",
        "object": "price",
        "active": True,
        "type": "recurring",
        "currency": "usd",
        "unit_amount": 1500,
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        "product": {"id": "prod_1", "object": "product", "name": "Pro"},
    } | changes


def subscription(number=1, **changes):
    return {
        "id": f"sub_{number}",
        "object": "subscription",
        "status": "active",
        "created": 1_790_000_000,
        "customer": "cus_1",
        "items": {"object": "list", "data": []},
    } | changes


def page(*rows, has_more=False):
    return Say(200, {"object": "list", "data": list(rows), "has_more": has_more})


def find(provider):
    return provider.list_checkout_sessions_by_operation_key(
        KEY, client_reference_id="7", created_from=ProviderTime(1_000), created_to=ProviderTime(2_000)
    )


def test_t064_a_session_is_looked_for_on_every_page_of_its_span(scripted, provider):
    scripted.will(
        page(session(3, metadata={}), session(2, metadata=None), has_more=True),
        page(session(1), session(0, client_reference_id="8")),
    )

    found = find(provider)

    assert [answer.facts.id for answer in found] == ["cs_1"]
    assert [request.query for request in scripted.heard] == [
        {"limit": "100", "created[gte]": "1000", "created[lte]": "2000"},
        {"limit": "100", "created[gte]": "1000", "created[lte]": "2000", "starting_after": "cs_2"},
    ]


def test_t064_no_match_is_an_answer_only_when_every_page_was_read(scripted, provider):
    scripted.will(page(session(1, metadata={"operation_key": "other"})))
    assert find(provider) == ()
    scripted.will(page(session(1, metadata={}), has_more=True), refusal(400))
    with pytest.raises(ProviderProblem):
        find(provider)


def test_t064_a_list_without_an_end_is_no_answer(scripted, provider, monkeypatch):
    monkeypatch.setattr(calls, "MAX_PAGES", 3)
    scripted.will(page(session(1), has_more=True))
    with pytest.raises(ProviderProblem, match="more than 3 pages") as caught:
        find(provider)
    assert (caught.value.category, len(scripted.heard)) == (Category.UNKNOWN, 3)


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list"},
        {"object": "list", "data": [1]},
        {"object": "list", "data": [], "has_more": True},
        {},
    ],
)
def test_a_page_in_another_form_is_no_answer(scripted, provider, body):
    scripted.will(Say(200, body))
    with pytest.raises(ProviderProblem) as caught:
        find(provider)
    assert caught.value.is_unusable_answer


def test_somebody_elses_odd_session_does_not_stop_a_search(scripted, provider):
    scripted.will(page({"id": "cs_9", "object": "checkout.session", "status": "strange"}, session(1)))
    assert [answer.facts.id for answer in find(provider)] == ["cs_1"]


def test_sessions_are_listed_by_what_they_led_to(scripted, provider):
    scripted.will(page(session(1)))
    provider.list_checkout_sessions(subscription="sub_1")
    provider.list_checkout_sessions(payment_link="plink_1", status="complete", created_from=ProviderTime(5))
    assert [request.query for request in scripted.heard] == [
        {"limit": "100", "subscription": "sub_1"},
        {"limit": "100", "payment_link": "plink_1", "status": "complete", "created[gte]": "5"},
    ]
    with pytest.raises(ValueError, match="name a subscription"):
        provider.list_checkout_sessions(status="open")


READS = {
    "retrieve_checkout_session": ("cs_1", "/v1/checkout/sessions/cs_1", {}, session(1)),
    "retrieve_price": ("price_1", "/v1/prices/price_1", {"expand[0]": "product"}, price()),
    "retrieve_subscription": ("sub_1", "/v1/subscriptions/sub_1", {}, subscription()),
    "retrieve_invoice": (
        "in_1",
        "/v1/invoices/in_1",
        {"expand[0]": "payments"},
        {"id": "in_1", "object": "invoice", "status": "paid", "currency": "usd"},
    ),
    "retrieve_customer": (
        "cus_1",
        "/v1/customers/cus_1",
        {},
        {"id": "cus_1", "object": "customer", "deleted": True},
    ),
    "retrieve_event": (
        "evt_1",
        "/v1/events/evt_1",
        {},
        {"id": "evt_1", "object": "event", "type": "x.y", "created": 1, "data": {"object": {}}},
    ),
}


@pytest.mark.parametrize("name", READS)
def test_one_object_is_asked_for_by_its_id(scripted, provider, name):
    identity, path, query, body = READS[name]
    scripted.will(Say(200, body))
    answer = getattr(provider, name)(identity)
    (request,) = scripted.heard
    assert (request.method, request.path, request.query) == ("GET", path, query)
    assert (answer.facts.id, answer.raw) == (identity, body)
    assert "idempotency-key" not in request.headers


@pytest.mark.parametrize("name", READS)
def test_an_empty_id_asks_nothing(scripted, provider, name):
    with pytest.raises(ProviderProblem) as caught:
        getattr(provider, name)("")
    assert (caught.value.is_local, scripted.heard) == (True, [])


def test_an_id_cannot_lead_to_another_path(scripted, provider):
    scripted.will(refusal(404, code="resource_missing"))
    with pytest.raises(ProviderProblem):
        provider.retrieve_subscription("../customers/cus_1?x=1")
    assert scripted.heard[0].path == "/v1/subscriptions/..%2Fcustomers%2Fcus_1%3Fx%3D1"


def test_prices_are_one_page_with_their_products(scripted, provider):
    scripted.will(page(price(1), price(2, product="prod_2"), has_more=True))
    listed = provider.list_prices(limit=2)
    assert [(p.facts.id, p.facts.product_id, p.facts.product_name) for p in listed.items] == [
        ("price_1", "prod_1", "Pro"),
        ("price_2", "prod_2", None),
    ]
    assert [request.query for request in scripted.heard] == [
        {"limit": "2", "expand[0]": "data.product", "active": "true"}
    ]


def test_a_customers_subscriptions_of_every_status_are_listed(scripted, provider):
    scripted.will(page(subscription(2), has_more=True), page(subscription(1, status="canceled")))
    listed = provider.list_subscriptions(customer="cus_1")
    assert [(row.facts.id, row.facts.status) for row in listed.items] == [
        ("sub_2", "active"),
        ("sub_1", "canceled"),
    ]
    assert scripted.heard[1].query == {
        "limit": "100",
        "customer": "cus_1",
        "status": "all",
        "starting_after": "sub_2",
    }


def test_invoices_come_with_their_payments(scripted, provider):
    scripted.will(page())
    assert provider.list_invoices(customer="cus_1", created_from=ProviderTime(9)).items == ()
    assert scripted.heard[0].query == {
        "limit": "100",
        "customer": "cus_1",
        "created[gte]": "9",
        "expand[0]": "data.payments",
    }


def test_payment_methods_of_all_types_are_listed(scripted, provider):
    scripted.will(page({"id": "pm_1", "object": "payment_method", "type": "card", "card": {"last4": "4242"}}))
    (method,) = provider.list_customer_payment_methods("cus_1").items
    assert (method.facts.id, method.facts.last4) == ("pm_1", "4242")
    assert (scripted.heard[0].path, scripted.heard[0].query) == (
        "/v1/customers/cus_1/payment_methods",
        {"limit": "100"},
    )


def test_a_duplicate_is_cancelled_at_once_without_a_bill(scripted, provider):
    scripted.will(Say(200, subscription(status="canceled")))
    answer = provider.cancel_subscription("sub_1", idempotency_key="key_1", profile="worker")
    (request,) = scripted.heard
    assert (request.method, request.path) == ("DELETE", "/v1/subscriptions/sub_1")
    assert request.query | request.form == {"invoice_now": "false", "prorate": "false"}
    assert answer.facts.status == "canceled"


def test_a_link_is_switched_off(scripted, provider):
    link = {"id": "plink_1", "object": "payment_link", "url": "https://buy.example.com/1", "active": False}
    scripted.will(Say(200, link))
    answer = provider.update_payment_link("plink_1", active=False, idempotency_key="key_1")
    assert (scripted.heard[0].path, scripted.heard[0].form) == (
        "/v1/payment_links/plink_1",
        {"active": "false"},
    )
    assert answer.facts.active is False


def test_t175_answers_are_read_without_one_dict_method_of_the_sdks_objects(scripted, provider, monkeypatch):
    def forbidden(self, name):
        raise AttributeError(f"StripeObject has no {name}")

    for name in ("get", "items", "keys", "values", "__iter__", "__getitem__", "to_dict"):
        monkeypatch.setattr(
            stripe.StripeObject, name, property(lambda self, name=name: forbidden(self, name)), raising=False
        )
    scripted.will(
        Say(
            200, subscription(metadata={"operation_key": KEY}, customer={"id": "cus_9", "object": "customer"})
        )
    )
    answer = provider.retrieve_subscription("sub_1")
    scripted.will(page(session(1)))
    (found,) = find(provider)

    assert (answer.facts.customer_id, answer.facts.operation_key) == ("cus_9", KEY)
    assert found.facts.id == "cs_1"
    assert are_plain(answer.raw)
    assert are_plain(found.raw)


def are_plain(value) -> bool:
    """Nothing but JSON's own types, at any depth."""
    if type(value) is dict:
        return all(are_plain(member) for member in value.values())
    if type(value) is list:
        return all(are_plain(member) for member in value)
    return value is None or type(value) in (str, int, float, bool)
