"""Payment links: made, visited, paid once by each visitor, deactivated."""

import pytest
import stripe

from tests.stripe_simulator.shop import visit
from tests.support.simulator import ControlRefused

AFTER = {"type": "redirect", "redirect": {"url": "http://127.0.0.1:9/thanks?s={CHECKOUT_SESSION_ID}"}}


@pytest.fixture
def make_link(shop):
    def make(**params):
        lines = [{"price": shop.once, "quantity": 1}]
        return shop.client.v1.payment_links.create(params={"line_items": lines, **params})

    return make


def test_a_link_can_be_read_listed_and_changed(make_link, shop, stripe_sim):
    made = make_link(metadata={"op": "1"}, after_completion=AFTER, customer_creation="always")

    assert (made.active, made.currency, made.customer_creation) == (True, "usd", "always")
    assert made.url == f"{stripe_sim.url}/b/{made.id}"
    links = shop.client.v1.payment_links
    assert links.retrieve(made.id).to_dict() == made.to_dict()
    assert [one.amount_total for one in links.line_items.list(made.id).data] == [500]
    changed = links.update(made.id, params={"active": False, "metadata": {"op": "2"}})
    assert (changed.active, changed.metadata.to_dict()) == (False, {"op": "2"})
    other = make_link()
    assert [one.id for one in links.list(params={"active": True}).data] == [other.id]
    assert [one.id for one in links.list(params={"active": False}).data] == [made.id]


def test_each_visit_opens_a_session_of_its_own_and_each_payer_is_a_new_customer(make_link, shop, stripe_sim):
    link = make_link(metadata={"op": "1"}, customer_creation="always", after_completion=AFTER)

    first, second = visit(link.url), visit(link.url)
    paid = visit(stripe_sim.url + first.location, {"email": "a@example.com", "name": "A"})
    other = stripe_sim.control(f"/_sim/payment_links/{link.id}/pay", {"email": "a@example.com"})["session"]

    assert first.location != second.location
    sessions = shop.client.v1.checkout.sessions.list(params={"payment_link": link.id}).data
    assert [one.status for one in sessions] == ["complete", "open", "complete"]
    assert sessions[2].metadata.to_dict() == {"op": "1"}
    assert paid.location == f"http://127.0.0.1:9/thanks?s={sessions[2].id}"
    assert len({sessions[2].customer, other["customer"]}) == 2


def test_a_deactivated_link_opens_nothing(make_link, shop, stripe_sim):
    link = make_link(inactive_message="Sold out <for now>")
    shop.client.v1.payment_links.update(link.id, params={"active": False})

    page = visit(link.url)

    assert (page.status, "Sold out &lt;for now&gt;" in page.text) == (410, True)
    with pytest.raises(ControlRefused, match="Sold out"):
        stripe_sim.control(f"/_sim/payment_links/{link.id}/pay", {})
    assert shop.client.v1.checkout.sessions.list().data == []


def test_a_link_with_a_limit_closes_itself(make_link, shop, stripe_sim):
    link = make_link(restrictions={"completed_sessions": {"limit": 1}})

    stripe_sim.control(f"/_sim/payment_links/{link.id}/pay", {})

    found = shop.client.v1.payment_links.retrieve(link.id)
    assert (found.active, found.restrictions.completed_sessions.count) == (False, 1)


def test_a_recurring_price_makes_a_link_that_subscribes(shop, stripe_sim):
    params = {"line_items": [{"price": shop.monthly, "quantity": 1}]}
    link = shop.client.v1.payment_links.create(params=params)

    session = stripe_sim.control(f"/_sim/payment_links/{link.id}/pay", {})["session"]

    assert session["mode"] == "subscription"
    assert shop.client.v1.subscriptions.retrieve(session["subscription"]).status == "active"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"line_items": []}, "line_items"),
        ({"line_items": [{"price": "price_none", "quantity": 1}]}, "line_items[0][price]"),
        ({"after_completion": {"type": "redirect"}}, "after_completion[redirect][url]"),
        ({"after_completion": {"type": "fireworks"}}, "after_completion[type]"),
        ({"customer_creation": "never"}, "customer_creation"),
        ({"subscription_data": {"trial_period_days": 1}}, "subscription_data"),
        ({"surprise": 1}, "surprise"),
        ({"transfer_data": {"destination": "acct_1"}}, "transfer_data"),
    ],
)
def test_a_bad_link_is_refused(params, param, make_link, shop):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        make_link(**params)

    assert (refused.value.http_status, refused.value.param) == (400, param)
    assert shop.client.v1.payment_links.list().data == []
