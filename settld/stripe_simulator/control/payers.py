"""What a person does in a browser, without the browser: checkout, payment links, the portal."""

from settld.stripe_simulator.control.fields import BadControl, integer, known, text
from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.pages.checkout import after
from settld.stripe_simulator.resources import (
    checkout_payments,
    checkout_sessions,
    checkout_settlements,
    payment_links,
    portal_actions,
    portal_sessions,
)
from settld.stripe_simulator.resources.checkout_payers import DECLINING, METHODS, Payer
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

PAYER = ("card", "email", "method", "name")
OUTCOMES = ("paid", "failed")


def pay(world: World, body: Json, session_id: str) -> Json:
    """Pay an open session: `{session, redirect}`. A declined card is an error, and the session stays open."""
    known(body, *PAYER, "subscription_after_seconds")
    seconds = integer(body, "subscription_after_seconds")
    if seconds is not None and not 0 <= seconds <= 30 * 86_400:
        raise BadControl("subscription_after_seconds is from 0 to 30 days")
    session = checkout_sessions.find(world, session_id)
    paid = checkout_payments.pay(world, session, payer=_payer(body), subscription_after_seconds=seconds)
    return {"session": paid, "redirect": after(paid)}


def fail(world: World, body: Json, session_id: str) -> Json:
    """Try a card that is declined, and stay on the page: `{session, error}`."""
    known(body, *PAYER)
    session = checkout_sessions.find(world, session_id)
    payer = _payer({"card": DECLINING, **body})
    try:
        checkout_payments.pay(world, session, payer=payer)
    except StripeError as error:
        if error.kind == "card_error":
            return {"session": checkout_sessions.find(world, session_id), **error.body()}
        raise
    raise BadControl("that card was not declined")


def abandon(world: World, body: Json, session_id: str) -> Json:
    """Go back to the shop. The session stays open, as at Stripe."""
    known(body)
    session = checkout_sessions.find(world, session_id)
    return {"session": session, "redirect": session["cancel_url"]}


def expire(world: World, body: Json, session_id: str) -> Json:
    """The session's time is over, whatever the clock says."""
    known(body)
    session = checkout_sessions.find(world, session_id)
    if session["status"] != "open":
        raise BadControl(f"the session is {session['status']}", status=409)
    checkout_sessions.end(world, session)
    return {"session": session}


def settle(world: World, body: Json, session_id: str) -> Json:
    """The money of a delayed payment arrives or does not (`outcome`)."""
    known(body, "outcome")
    outcome = text(body, "outcome", "paid")
    if outcome not in OUTCOMES:
        raise BadControl(f"outcome is one of {', '.join(OUTCOMES)}")
    session = checkout_sessions.find(world, session_id)
    return {"session": checkout_settlements.settle(world, session, is_paid=outcome == "paid")}


def provision(world: World, body: Json, session_id: str) -> Json:
    """Make the subscription now that `subscription_after_seconds` put off."""
    known(body)
    checkout_payments.provision(world, session_id)
    return {"session": checkout_sessions.find(world, session_id)}


def open_link(world: World, body: Json, link_id: str) -> Json:
    """Come by a payment link: a new session, not paid yet."""
    known(body)
    return {"session": payment_links.open_session(world, payment_links.find(world, link_id))}


def pay_link(world: World, body: Json, link_id: str) -> Json:
    """Come by a payment link and pay."""
    known(body, *PAYER)
    session = payment_links.open_session(world, payment_links.find(world, link_id))
    paid = checkout_payments.pay(world, session, payer=_payer(body))
    return {"session": paid, "redirect": after(paid)}


def change_plan(world: World, body: Json, session_id: str) -> Json:
    known(body, "price", "subscription")
    session, price = portal_sessions.find(world, session_id), text(body, "price")
    if price is None:
        raise BadControl("price is missing")
    named = text(body, "subscription")
    return portal_actions.change_plan(world, session, price_id=price, subscription_id=named)


def cancel(world: World, body: Json, session_id: str) -> Json:
    known(body, "subscription")
    session = portal_sessions.find(world, session_id)
    return portal_actions.cancel(world, session, subscription_id=text(body, "subscription"))


def resume(world: World, body: Json, session_id: str) -> Json:
    known(body, "subscription")
    session = portal_sessions.find(world, session_id)
    return portal_actions.resume(world, session, subscription_id=text(body, "subscription"))


def update_card(world: World, body: Json, session_id: str) -> Json:
    known(body, "card")
    session = portal_sessions.find(world, session_id)
    return portal_actions.update_card(world, session, number=text(body, "card", "5555555555554444"))


def _payer(body: Json) -> Payer:
    method = text(body, "method", "card")
    if method not in METHODS:
        raise BadControl(f"method is one of {', '.join(METHODS)}")
    return Payer(
        email=text(body, "email", "payer@example.com"),
        name=text(body, "name", "Sam Payer"),
        card_number=text(body, "card", "4242424242424242"),
        method=method,
    )


CONTROLS = {
    "POST /_sim/checkout/sessions/{id}/pay": pay,
    "POST /_sim/checkout/sessions/{id}/fail": fail,
    "POST /_sim/checkout/sessions/{id}/abandon": abandon,
    "POST /_sim/checkout/sessions/{id}/expire": expire,
    "POST /_sim/checkout/sessions/{id}/settle": settle,
    "POST /_sim/checkout/sessions/{id}/provision": provision,
    "POST /_sim/payment_links/{id}/open": open_link,
    "POST /_sim/payment_links/{id}/pay": pay_link,
    "POST /_sim/portal/{id}/plan": change_plan,
    "POST /_sim/portal/{id}/cancel": cancel,
    "POST /_sim/portal/{id}/resume": resume,
    "POST /_sim/portal/{id}/card": update_card,
}
