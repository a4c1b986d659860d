"""The hosted checkout page: what is bought, a card to pay it with, and what became of it."""

import datetime as dt

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.forms import Form
from settld.stripe_simulator.pages import html
from settld.stripe_simulator.pages.html import Markup
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import checkout_payments, checkout_sessions, checkout_settlements
from settld.stripe_simulator.resources.checkout_payers import Payer
from settld.stripe_simulator.wire import Answer, Json
from settld.stripe_simulator.world import World

GOOD_CARD, DECLINED_CARD = "4242 4242 4242 4242", "4000 0000 0000 0002"
FIELDS = ("card_number", "cvc", "email", "expiry", "method", "name")
METHODS = ("card", "declined", "us_bank_account")
VERBS = {"payment": "Pay", "setup": "Save this card", "subscription": "Subscribe"}


def show(world: World, session_id: str, form: Form) -> Answer:
    Params(form, allowed=form.keys())
    session = checkout_sessions.find(world, session_id)
    if session["status"] == "complete":
        return _done(world, session)
    if session["status"] == "expired":
        more = _link(session["cancel_url"], "Return to the shop")
        return html.notice(
            title="This checkout session has expired",
            message="It was not paid, and it cannot be paid any more. Start again from the shop.",
            status=410,
            more=more,
        )
    return _ask(world, session)


def pay(world: World, session_id: str, form: Form) -> Answer:
    """Take the form; a declined card is asked for again, and nothing but the attempt is left of it."""
    params = Params(form, allowed=FIELDS)
    session = checkout_sessions.find(world, session_id)
    if session["status"] != "open":
        return show(world, session_id, {})
    method = params.choice("method", METHODS) or "card"
    number = DECLINED_CARD if method == "declined" else params.text("card_number") or GOOD_CARD
    payer = Payer(
        email=params.text("email", max_length=512),
        name=params.text("name", max_length=150),
        card_number=number,
        method="us_bank_account" if method == "us_bank_account" else "card",
    )
    try:
        checkout_payments.pay(world, session, payer=payer)
    except StripeError as error:
        return _ask(world, session, payer=payer, error=error.message)
    return html.redirect(after(session) or f"/c/pay/{session_id}")


def settle(world: World, session_id: str, form: Form) -> Answer:
    """Play the bank of a payment that arrives later."""
    params = Params(form, allowed=("outcome",))
    session = checkout_sessions.find(world, session_id)
    is_paid = params.choice("outcome", ("paid", "failed")) == "paid"
    checkout_settlements.settle(world, session, is_paid=is_paid)
    return html.redirect(f"/c/pay/{session_id}")


def after(session: Json) -> str | None:
    """Where the payer goes after paying."""
    url: str | None = session["success_url"]
    return url and url.replace("{CHECKOUT_SESSION_ID}", session["id"])


def _done(world: World, session: Json) -> Answer:
    is_waiting = checkout_settlements.is_waiting(world, session)
    amount = html.money(session["amount_total"], session["currency"])
    message = {
        "paid": f"You paid {amount}. There is nothing more to do here.",
        "unpaid": f"The order is placed, but {amount} has not arrived from the bank.",
        "no_payment_required": "Nothing had to be paid. There is nothing more to do here.",
    }[session["payment_status"]]
    if is_waiting:
        message = (
            f"The order is placed. {amount} is on its way from the bank; you may decide what becomes of it."
        )
    settle_form = html.optional("checkout_settle", is_waiting, session_id=session["id"])
    more = html.join([settle_form, _link(after(session), "Continue to the shop")])
    good = is_waiting or session["payment_status"] != "unpaid"
    return html.notice(title="You are all done here", message=message, more=more, good=good)


def _link(url: str | None, text: str) -> Markup:
    return html.optional("link", url, url=url, text=text)


def _ask(world: World, session: Json, *, payer: Payer | None = None, error: str = "") -> Answer:
    told = session["customer_details"] or {}
    verb = VERBS[session["mode"]]
    items = checkout_sessions.details(world, session["id"])["items"]
    is_delayed = session["mode"] != "setup" and bool(session["amount_total"])
    expiry = dt.datetime.fromtimestamp(world.clock.now() + 4 * 365 * 86_400, dt.UTC).strftime("%m / %y")
    body = html.fill(
        "checkout",
        back=html.optional(
            "back", session["cancel_url"], url=session["cancel_url"], text="Cancel and go back"
        ),
        heading=_heading(session, items),
        total=_total(session, items),
        lines=html.join([_line(item) for item in items]),
        form_title="Pay with card" if is_delayed else "Your card",
        error=html.optional("error", error, message=error),
        session_id=session["id"],
        email=told.get("email") or (payer and payer.email) or "payer@example.com",
        email_lock="readonly" if told.get("email") else "",
        card_number=payer.card_number if payer else GOOD_CARD,
        expiry=expiry,
        name=(payer and payer.name) or "Sam Payer",
        pay=f"{verb} {html.money(session['amount_total'], session['currency'])}" if is_delayed else verb,
        delayed=html.optional("checkout_delayed", is_delayed),
        closes=f"at {dt.datetime.fromtimestamp(session['expires_at'], dt.UTC):%Y-%m-%d %H:%M} UTC",
    )
    return html.page(title="Checkout", body=body, status=402 if error else 200)


def _heading(session: Json, items: list[Json]) -> str:
    if not items:
        return "A card for later payments"
    names = items[0]["description"] if len(items) == 1 else f"{len(items)} things"
    return f"Subscribe to {names}" if session["mode"] == "subscription" else f"Pay for {names}"


def _total(session: Json, items: list[Json]) -> Markup:
    recurring = next((item["price"]["recurring"] for item in items if item["price"]["recurring"]), None)
    if session["mode"] == "setup":
        return Markup("Nothing to pay")
    total = html.money(session["amount_total"], session["currency"])
    rhythm = f"per {html.every(recurring)}" if recurring and session["amount_total"] else ""
    return html.fill("checkout_total", total=total, rhythm=rhythm)


def _line(item: Json) -> Markup:
    price = item["price"]
    each = html.money(price["unit_amount"], price["currency"])
    rhythm = f" every {html.every(price['recurring'])}" if price["recurring"] else ""
    detail = f"{item['quantity']} at {each}{rhythm}"
    amount = html.money(item["amount_total"], item["currency"])
    return html.fill("checkout_line", name=item["description"] or "", detail=detail, amount=amount)
