"""Paying a checkout session: what is made of it, and in which order the world is told."""

from settld.stripe_simulator import timers
from settld.stripe_simulator.errors import Refused, StripeError
from settld.stripe_simulator.resources import (
    cards,
    checkout_payers,
    checkout_sessions,
    checkout_settlements,
    events,
    invoices,
    payment_intents,
    payment_links,
    payment_methods,
    setup_intents,
    subscriptions,
)
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.resources.checkout_payers import Payer
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, World

PROVISION = "checkout.subscription"


def pay(world: World, session: Json, *, payer: Payer, subscription_after_seconds: int | None = None) -> Json:
    """Complete an open session; the session as it is then.

    A declined card raises StripeError (402 `card_error`) and leaves the session open; what is left of the try
    is a failed payment. With `subscription_after_seconds` the subscription comes so much later on the virtual
    clock than the completion, which then does not name it.
    """
    if session["status"] != "open":
        raise Refused(f"This Checkout Session is {session['status']} and cannot be paid.", param="session")
    try:
        with world.store.attempt():
            _complete(world, session, payer, subscription_after_seconds)
    except StripeError as error:
        if error.kind == "card_error" and session["mode"] == "payment":
            _remember_failure(world, session["id"], payer)
        raise
    return checkout_sessions.find(world, session["id"])


def _complete(world: World, session: Json, payer: Payer, after_seconds: int | None) -> None:
    """The payment is made before the session is complete; its subscription or invoice after."""
    customer_id = checkout_payers.customer(world, session, payer)
    method_id = checkout_payers.method(world, session, payer, customer_id)
    made: Json = {"customer": customer_id, "customer_details": checkout_payers.told(session, payer)}
    if session["mode"] == "payment" and session["amount_total"]:
        made["payment_intent"] = _collect(world, session, customer_id, method_id)
    if session["mode"] == "setup" and method_id:
        made["setup_intent"] = _set_up(world, session, customer_id, method_id)
    if session["payment_status"] == "unpaid" and not payer.pays_later:
        made["payment_status"] = "paid"
    with events.held_back(world) as later:
        if session["mode"] == "subscription" and after_seconds is None:
            made |= _subscribe(world, session, customer_id=str(customer_id), method_id=method_id)
        if session["mode"] == "payment" and (session["invoice_creation"] or {}).get("enabled"):
            made["invoice"] = _invoice(world, session, made)
    timers.drop(world, kind=checkout_sessions.KIND, object_id=session["id"])
    checkout_sessions.keep(world, session, **made, status="complete", url=None)
    checkout_settlements.await_money(world, session)
    checkout_sessions.tell(world, "completed", session)
    events.release(world, later)
    if session["mode"] == "subscription" and after_seconds is not None:
        _put_off(world, session, method_id, after_seconds)
    if session["payment_link"]:
        payment_links.count_completed(world, session["payment_link"])


def _collect(world: World, session: Json, customer_id: str | None, method_id: str | None) -> str:
    """Take the amount, by the payment of an earlier try if there was one."""
    intent = _intent(world, session, customer_id)
    payment_intents.confirm(world, intent, payment_method_id=method_id, origin=PROVIDER)
    if intent["status"] == "requires_payment_method":
        raise cards.card_error(**cards.FAILURE)
    return str(intent["id"])


def _intent(world: World, session: Json, customer_id: str | None) -> Json:
    if session["payment_intent"]:
        intent = payment_intents.find(world, session["payment_intent"])
        change = Change(intent)
        intent["customer"] = customer_id
        change.keep(world, origin=PROVIDER, event_type=None)
        values = [customer_id] if customer_id else []
        world.store.relabel(kind=payment_intents.KIND, object_id=intent["id"], name="customer", values=values)
        return intent
    told = checkout_sessions.details(world, session["id"])["intent_data"]
    return payment_intents.insert(
        world,
        amount=session["amount_total"],
        currency=session["currency"],
        customer_id=customer_id,
        metadata=told.get("metadata", {}),
        description=told.get("description"),
        origin=PROVIDER,
    )


def _remember_failure(world: World, session_id: str, payer: Payer) -> None:
    """A declined card leaves a failed payment, which the next try goes on with."""
    session = checkout_sessions.find(world, session_id)
    intent = _intent(world, session, session["customer"])
    method_id = checkout_payers.declined_method(world, session, payer)
    payment_intents.confirm(world, intent, payment_method_id=method_id, origin=PROVIDER)
    checkout_sessions.keep(world, session, payment_intent=intent["id"])


def _set_up(world: World, session: Json, customer_id: str | None, method_id: str) -> str:
    told = checkout_sessions.details(world, session["id"])["intent_data"]
    made = setup_intents.succeed(
        world, customer_id=customer_id, payment_method_id=method_id, told=told, origin=PROVIDER
    )
    return str(made["id"])


def _subscribe(world: World, session: Json, *, customer_id: str, method_id: str | None) -> Json:
    """The subscription and its first invoice, as changes of the session; a first charge that fails raises."""
    details = checkout_sessions.details(world, session["id"])
    told = details["subscription_data"]
    lines = [{"price": item["price"]["id"], "quantity": item["quantity"]} for item in details["items"]]
    subscription = subscriptions.start(
        world,
        customer_id=customer_id,
        items=lines,
        metadata=told.get("metadata", {}),
        payment_method_id=method_id,
        trial_days=told.get("trial_period_days"),
        even_inactive=True,
        origin=PROVIDER,
    )
    is_later = method_id is not None and payment_methods.outcome_of(world, method_id) == "later"
    if subscription["status"] == "incomplete" and not is_later:
        raise cards.card_error(**cards.FAILURE)
    return {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}


def _invoice(world: World, session: Json, made: Json) -> str:
    items = checkout_sessions.details(world, session["id"])["items"]
    told = session["invoice_creation"]["invoice_data"]
    invoice = invoices.bill_once(
        world,
        customer_id=made["customer"],
        lines=[{"price": item["price"], "quantity": item["quantity"]} for item in items],
        metadata=told["metadata"] or {},
        payment_method_id=None,
        payment_intent_id=made.get("payment_intent"),
        description=told["description"],
        origin=PROVIDER,
    )
    return str(invoice["id"])


def _put_off(world: World, session: Json, method_id: str | None, seconds: int) -> None:
    now = world.clock.now()
    world.store.insert(
        kind=PROVISION, body={"id": session["id"], "created": now, "payment_method": method_id}
    )
    timers.put(world, kind=PROVISION, object_id=session["id"], at=now + seconds)


@timers.fires(PROVISION)
def provision(world: World, session_id: str) -> None:
    """Make the subscription that a completed session still waits for; nothing when it waits for none."""
    waiting = world.store.get(kind=PROVISION, object_id=session_id)
    session = world.store.get(kind=checkout_sessions.KIND, object_id=session_id)
    if waiting is None or session is None:
        return
    timers.drop(world, kind=PROVISION, object_id=session_id)
    world.store.delete(kind=PROVISION, object_id=session_id)
    made = _subscribe(world, session, customer_id=session["customer"], method_id=waiting["payment_method"])
    checkout_sessions.keep(world, session, **made)
    checkout_settlements.await_money(world, session)
