"""The customer portal: its sessions and configurations, its page, and what a customer does there."""

import pytest
import stripe

from tests.stripe_simulator.shop import DECLINED, visit
from tests.support.simulator import ControlRefused

BACK = "http://127.0.0.1:9/billing"


@pytest.fixture
def subscriber(shop):
    """A customer with a running monthly subscription: (customer id, subscription id)."""
    session = shop.act(shop.subscribe(), "pay", email="kim@example.com")["session"]
    return session["customer"], session["subscription"]


@pytest.fixture
def portal(shop, subscriber):
    def open_one(**params):
        asked = {"customer": subscriber[0], "return_url": BACK, **params}
        return shop.client.v1.billing_portal.sessions.create(params=asked)

    return open_one


def test_a_session_has_a_page_and_the_default_configuration(portal, shop, stripe_sim, subscriber):
    made = portal()

    assert (made.customer, made.return_url, made.flow) == (subscriber[0], BACK, None)
    assert made.url == f"{stripe_sim.url}/p/session/{made.id}"
    listed = shop.client.v1.billing_portal.configurations.list().data
    assert [(one.id, one.is_default) for one in listed] == [(made.configuration, True)]
    page = visit(made.url)
    assert page.status == 200
    for text in (
        "Team plan",
        "29.00 USD",
        "Renews on",
        "kim@example.com",
        "Visa ending in 4242",
        f'href="{BACK}"',
    ):
        assert text in page.text


def test_the_plan_is_changed_among_the_active_recurring_prices(portal, shop, subscriber):
    made = portal()
    page = visit(made.url)
    assert (shop.bigger in page.text, shop.retired in page.text, shop.once in page.text) == (
        True,
        False,
        False,
    )

    done = visit(f"{made.url}/plan", {"subscription": subscriber[1], "price": shop.bigger})

    assert (done.status, done.location) == (303, f"/p/session/{made.id}?done=plan")
    found = shop.client.v1.subscriptions.retrieve(subscriber[1])
    assert [item.price.id for item in found["items"].data] == [shop.bigger]
    assert shop.events()[-1]["type"] == "customer.subscription.updated"
    assert "Your plan has been changed." in visit(f"{made.url}?done=plan").text
    assert visit(f"{made.url}/plan", {"subscription": subscriber[1], "price": shop.retired}).status == 400


def test_a_cancellation_comes_at_the_period_s_end_and_can_be_taken_back(portal, shop, subscriber):
    made = portal()

    visit(f"{made.url}/cancel", {"subscription": subscriber[1]})
    planned = shop.client.v1.subscriptions.retrieve(subscriber[1])
    page = visit(made.url)
    visit(f"{made.url}/resume", {"subscription": subscriber[1]})

    assert planned.status == "active"
    assert planned.cancel_at == planned["items"].data[0].current_period_end
    assert ("Ends on" in page.text, "Don&#x27;t cancel" in page.text or "Don't cancel" in page.text) == (
        True,
        True,
    )
    assert shop.client.v1.subscriptions.retrieve(subscriber[1]).cancel_at is None


def test_a_new_card_becomes_the_default(portal, shop, subscriber):
    made = portal()

    refused = visit(f"{made.url}/card", {"card_number": DECLINED})
    done = visit(f"{made.url}/card", {"card_number": "5555 5555 5555 4444"})

    assert (refused.status, "Your card was declined." in refused.text) == (402, True)
    assert done.status == 303
    customer = shop.client.v1.customers.retrieve(subscriber[0])
    default = customer.invoice_settings.default_payment_method
    assert shop.client.v1.payment_methods.retrieve(default).card.last4 == "4444"
    assert shop.client.v1.subscriptions.retrieve(subscriber[1]).default_payment_method == default


def test_the_control_door_does_the_same(portal, shop, stripe_sim, subscriber):
    made = portal()

    def act(verb, **body):
        return stripe_sim.control(f"/_sim/portal/{made.id}/{verb}", body)

    assert act("plan", price=shop.bigger)["items"]["data"][0]["price"]["id"] == shop.bigger
    assert act("cancel")["cancel_at"]
    assert act("resume")["cancel_at"] is None
    assert act("card", card="5555555555554444")["card"]["last4"] == "4444"
    with pytest.raises(ControlRefused, match="No such price"):
        act("plan", price="price_none")


def test_a_session_lasts_an_hour(portal, stripe_sim):
    stripe_sim.control("/_sim/clock", {"now": 1_800_000_000})
    made = portal()

    stripe_sim.control("/_sim/clock", {"now": 1_800_003_600})

    assert visit(made.url).status == 410


def test_a_flow_shows_its_own_part_and_leads_where_it_says(portal, shop, subscriber):
    end = {"type": "redirect", "redirect": {"return_url": "http://127.0.0.1:9/done"}}
    about = {"subscription": subscriber[1]}
    made = portal(
        flow_data={"type": "subscription_cancel", "subscription_cancel": about, "after_completion": end}
    )

    page = visit(made.url)
    done = visit(f"{made.url}/cancel", about)

    assert made.flow.subscription_cancel.subscription == subscriber[1]
    assert ("Cancel subscription" in page.text, "Change plan" in page.text) == (True, False)
    assert done.location == "http://127.0.0.1:9/done"


def test_a_configuration_says_what_is_allowed(portal, shop, subscriber):
    configurations = shop.client.v1.billing_portal.configurations
    features = {
        "invoice_history": {"enabled": True},
        "subscription_cancel": {"enabled": True, "mode": "immediately"},
    }
    made = configurations.create(params={"features": features, "name": "small"})
    session = portal(configuration=made.id)

    page = visit(session.url)
    refused = visit(f"{session.url}/plan", {"price": shop.bigger})
    visit(f"{session.url}/cancel", {"subscription": subscriber[1]})

    assert ("Change plan" in page.text, "New card number" in page.text) == (False, False)
    assert refused.status == 403
    assert shop.client.v1.subscriptions.retrieve(subscriber[1]).status == "canceled"
    changed = configurations.update(made.id, params={"active": False})
    assert (changed.active, configurations.retrieve(made.id).name) == (False, "small")
    with pytest.raises(stripe.InvalidRequestError, match="not active"):
        portal(configuration=made.id)


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"customer": "cus_nobody"}, "customer"),
        ({"return_url": "/billing"}, "return_url"),
        ({"configuration": "bpc_nobody"}, "configuration"),
        ({"flow_data": {"type": "dance"}}, "flow_data[type]"),
        (
            {"flow_data": {"type": "subscription_cancel", "subscription_cancel": {"subscription": "sub_x"}}},
            "flow_data[subscription_cancel][subscription]",
        ),
        ({"surprise": "x"}, "surprise"),
    ],
)
def test_a_bad_session_is_refused(params, param, portal):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        portal(**params)

    assert (refused.value.http_status, refused.value.param) == (400, param)
