"""The customer portal: one customer's subscription, payment methods and invoices."""

import datetime as dt

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.forms import Form
from settld.stripe_simulator.pages import html
from settld.stripe_simulator.pages.html import Markup
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import (
    customers,
    payment_methods,
    portal_actions,
    portal_sessions,
    products,
    subscription_bodies,
)
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.wire import Answer, Json
from settld.stripe_simulator.world import World

DONE = {
    "card": "Your card has been saved.",
    "cancel": "Your cancellation has been saved.",
    "plan": "Your plan has been changed.",
    "resume": "Your subscription goes on.",
}
# What of the page a session shows that was opened for one purpose.
FLOW_PARTS = {
    "payment_method_update": ("card",),
    "subscription_cancel": ("cancel",),
    "subscription_update": ("plan",),
    "subscription_update_confirm": ("plan",),
}
ALL_PARTS = ("plan", "cancel", "card", "invoices")
BAD_STATES = ("past_due", "unpaid", "incomplete", "paused")


def show(world: World, session_id: str, form: Form) -> Answer:
    done = Params(form, allowed=form.keys()).form.get("done")
    session = portal_sessions.find(world, session_id)
    return _page(world, session, done=DONE.get(str(done), ""))


def change_plan(world: World, session_id: str, form: Form) -> Answer:
    params = Params(form, allowed=("price", "subscription"))
    session, price_id = portal_sessions.find(world, session_id), params.required_text("price")
    portal_actions.change_plan(world, session, price_id=price_id, subscription_id=params.text("subscription"))
    return _after(session, "plan")


def cancel(world: World, session_id: str, form: Form) -> Answer:
    subscription_id = Params(form, allowed=("subscription",)).text("subscription")
    session = portal_sessions.find(world, session_id)
    portal_actions.cancel(world, session, subscription_id=subscription_id)
    return _after(session, "cancel")


def resume(world: World, session_id: str, form: Form) -> Answer:
    subscription_id = Params(form, allowed=("subscription",)).text("subscription")
    session = portal_sessions.find(world, session_id)
    portal_actions.resume(world, session, subscription_id=subscription_id)
    return _after(session, "resume")


def update_card(world: World, session_id: str, form: Form) -> Answer:
    number = Params(form, allowed=("card_number",)).required_text("card_number")
    session = portal_sessions.find(world, session_id)
    try:
        with world.store.attempt():
            portal_actions.update_card(world, session, number=number)
    except StripeError as error:
        return _page(world, session, error=error.message)
    return _after(session, "card")


def _after(session: Json, verb: str) -> Answer:
    """Back to the page with a word about what was done, or where the session's flow leads."""
    completion = (session["flow"] or {}).get("after_completion") or {}
    if completion.get("redirect"):
        return html.redirect(completion["redirect"]["return_url"])
    return html.redirect(f"/p/session/{session['id']}?done={verb}")


def _page(world: World, session: Json, *, done: str = "", error: str = "") -> Answer:
    customer = customers.find(world, session["customer"])
    parts = FLOW_PARTS[session["flow"]["type"]] if session["flow"] else ALL_PARTS
    live = subscription_bodies.live_of(world, customer["id"])
    sections = [_subscription(world, session, body, parts) for body in live]
    sections += [] if live else [html.fill("portal_nothing")]
    if "card" in parts and portal_actions.feature(world, session, "payment_method_update")["enabled"]:
        sections.append(_card(world, session, customer))
    if "invoices" in parts and portal_actions.feature(world, session, "invoice_history")["enabled"]:
        sections.append(_invoices(world, customer))
    url = session["return_url"]
    body = html.fill(
        "portal",
        back=html.optional("back", url, url=url, text="Return to the shop"),
        done=html.optional("done", done, message=done),
        error=html.optional("error", error, message=error),
        who=customer["email"] or customer["name"] or customer["id"],
        sections=html.join(sections),
    )
    return html.page(title="Customer portal", body=body, status=402 if error else 200)


def _subscription(world: World, session: Json, body: Json, parts: tuple[str, ...]) -> Markup:
    price, quantity = body["items"]["data"][0]["price"], body["items"]["data"][0].get("quantity") or 1
    actions: list[Markup] = []
    if "plan" in parts and portal_actions.feature(world, session, "subscription_update")["enabled"]:
        actions.append(_plans(world, session, body, price))
    if "cancel" in parts and portal_actions.feature(world, session, "subscription_cancel")["enabled"]:
        actions.append(_ending(session, body))
    return html.fill(
        "portal_subscription",
        name=_name(world, price),
        amount=html.money((price["unit_amount"] or 0) * quantity, price["currency"]),
        rhythm=f"per {html.every(price['recurring'])}",
        kind="bad" if body["status"] in BAD_STATES or body["cancel_at"] else "good",
        state=_state(body),
        actions=html.join(actions),
    )


def _state(body: Json) -> str:
    if body["cancel_at"]:
        return f"Ends on {_date(body['cancel_at'])}."
    if body["status"] == "trialing":
        return f"Trial until {_date(body['trial_end'])}."
    if body["status"] in BAD_STATES:
        return {"past_due": "The last payment failed.", "paused": "Paused."}.get(body["status"], "Not paid.")
    return f"Renews on {_date(subscription_bodies.period_end(body))}."


def _plans(world: World, session: Json, body: Json, current: Json) -> Markup:
    options = [
        html.fill(
            "portal_plan",
            price_id=price["id"],
            checked="checked" if price["id"] == current["id"] else "",
            name=_name(world, price) + (" (current)" if price["id"] == current["id"] else ""),
            amount=_rate(price),
        )
        for price in portal_actions.plans(world, session, body)
    ]
    if len(options) < 2:
        return Markup("")
    options_text = html.join(options)
    return html.fill(
        "portal_plans", session_id=session["id"], subscription_id=body["id"], options=options_text
    )


def _rate(price: Json) -> str:
    return f"{html.money(price['unit_amount'], price['currency'])} / {html.every(price['recurring'])}"


def _ending(session: Json, body: Json) -> Markup:
    verb, text, kind = ("cancel", "Cancel subscription", "danger")
    if body["cancel_at"]:
        verb, text, kind = ("resume", "Don't cancel", "quiet")
    return html.fill(
        "portal_button", session_id=session["id"], subscription_id=body["id"], verb=verb, text=text, kind=kind
    )


def _card(world: World, session: Json, customer: Json) -> Markup:
    default = customer["invoice_settings"]["default_payment_method"]
    methods = [
        _method(body, is_default=body["id"] == default) for body in payment_methods.of(world, customer["id"])
    ]
    return html.fill("portal_card", session_id=session["id"], methods=html.join(methods))


def _method(body: Json, *, is_default: bool) -> Markup:
    told = body[body["type"]]
    expiry = f"expires {told['exp_month']:02d}/{told['exp_year']}" if "exp_month" in told else ""
    brand = str(told.get("brand") or body["type"]).replace("_", " ").capitalize()
    default = " · default" if is_default else ""
    return html.fill("portal_method", brand=brand, last4=told["last4"], expiry=expiry, default=default)


def _invoices(world: World, customer: Json) -> Markup:
    found = world.store.select(Selection(kind="invoice", labels={"customer": [customer["id"]]}), limit=24)
    rows = [
        html.fill(
            "portal_invoice",
            date=_date(body["created"]),
            number=body["number"] or "",
            status=body["status"],
            amount=html.money(body["total"], body["currency"]),
        )
        for body in found
    ]
    return html.fill("portal_invoices", rows=html.join(rows))


def _name(world: World, price: Json) -> str:
    return str(price["nickname"] or products.find(world, price["product"])["name"])


def _date(at: int) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%d %B %Y}"
