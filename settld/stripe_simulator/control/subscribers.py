"""What subscribers, their banks and time do: subscriptions by hand, cards that fail, renewals, refunds."""

from collections.abc import Callable
from typing import Any

from settld.stripe_simulator.control.fields import BadControl, boolean, integer, known, text, texts
from settld.stripe_simulator.resources import (
    charges,
    collection,
    customers,
    invoices,
    payment_intents,
    payment_methods,
    refunds,
    subscription_bodies,
    subscription_ends,
    subscription_periods,
    subscriptions,
)
from settld.stripe_simulator.resources.cards import OUTCOMES
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, World

USUAL_CARD = "4242424242424242"


def set_card(world: World, body: Json, customer_id: str) -> Json:
    """What charges to a customer come to from now on; with `number` on a new card, its default.

    Without, it is the default method, or the newest; its expiry may change, as banks do by themselves.
    """
    known(body, "number", "charges", "exp_month", "exp_year", "last4")
    customer = customers.find(world, customer_id)
    number, outcome = text(body, "number"), text(body, "charges")
    month, year = integer(body, "exp_month"), integer(body, "exp_year")
    if outcome is not None and outcome not in OUTCOMES:
        raise BadControl(f"charges is one of {', '.join(OUTCOMES)}")
    if (month is not None and not 1 <= month <= 12) or (year is not None and not 2000 <= year <= 9999):
        raise BadControl("exp_month is from 1 to 12, exp_year from 2000 to 9999")
    if number is not None:
        method = payment_methods.attach_card(
            world,
            customer_id=customer_id,
            number=number,
            exp_month=month or 12,
            exp_year=year,
            origin=PROVIDER,
        )
        customers.set_default(world, customer_id, method["id"], origin=PROVIDER)
    else:
        method = _method_of(world, customer)
        payment_methods.amend(
            world,
            method,
            exp_month=month,
            exp_year=year,
            last4=text(body, "last4"),
            event_type="payment_method.automatically_updated",
            origin=PROVIDER,
        )
    if outcome is not None:
        payment_methods.set_outcome(world, method["id"], outcome)
    return {**method, "charges": payment_methods.outcome_of(world, method["id"])}


def _method_of(world: World, customer: Json) -> Json:
    default = customer["invoice_settings"]["default_payment_method"]
    found = payment_methods.of(world, customer["id"])
    if not found:
        raise BadControl("the customer has no payment method: name a card number", status=409)
    return next((method for method in found if method["id"] == default), found[0])


def update_method(world: World, body: Json, method_id: str) -> Json:
    """The bank's news of a card: `payment_method.automatically_updated`."""
    known(body, "charges", "exp_month", "exp_year", "last4")
    outcome = text(body, "charges")
    if outcome is not None and outcome not in OUTCOMES:
        raise BadControl(f"charges is one of {', '.join(OUTCOMES)}")
    method = payment_methods.amend(
        world,
        payment_methods.find(world, method_id),
        exp_month=integer(body, "exp_month"),
        exp_year=integer(body, "exp_year"),
        last4=text(body, "last4"),
        event_type="payment_method.automatically_updated",
        origin=PROVIDER,
    )
    if outcome is not None:
        payment_methods.set_outcome(world, method_id, outcome)
    return method


def start_subscription(world: World, body: Json) -> Json:
    """A subscription that no checkout made, such as a duplicate. A customer without a card gets one."""
    known(body, "customer", "price", "quantity", "metadata", "trial_days", "pays", "payment_method")
    customer_id, price_id = _required(body, "customer"), _required(body, "price")
    pays, method_id = boolean(body, "pays"), text(body, "payment_method")
    customer = customers.find(world, customer_id)
    if method_id is None and payment_methods.of(world, customer_id):
        method_id = _method_of(world, customer)["id"]
    elif method_id is None:
        method = payment_methods.attach_card(
            world, customer_id=customer_id, number=USUAL_CARD, origin=PROVIDER
        )
        method_id = method["id"]
    return subscriptions.start(
        world,
        customer_id=customer_id,
        items=[{"price": price_id, "quantity": _positive(body, "quantity") or 1}],
        metadata=texts(body, "metadata"),
        payment_method_id=method_id,
        trial_days=_positive(body, "trial_days"),
        pays=pays,
        origin=PROVIDER,
    )


def renew(world: World, body: Json, subscription_id: str) -> Json:
    """The next period now, invoiced and collected at once."""
    known(body, "pays")
    found = _running(world, subscription_id)
    subscription_periods.renew(world, found, pays=boolean(body, "pays"), origin=PROVIDER)
    return subscription_bodies.find(world, subscription_id)


def fail_payment(world: World, body: Json, subscription_id: str) -> Json:
    """A try that fails: of the open invoice, else of a renewal now. The subscription becomes past_due."""
    known(body)
    found = _running(world, subscription_id)
    invoice = _open_invoice(world, found)
    if invoice is None:
        subscription_periods.renew(world, found, pays=False, origin=PROVIDER)
    else:
        collection.collect(
            world, invoice, payment_method_id=_charged(world, found), pays=False, origin=PROVIDER
        )
    return subscription_bodies.find(world, subscription_id)


def recover(world: World, body: Json, subscription_id: str) -> Json:
    """The open invoice is paid after all."""
    known(body)
    found = subscription_bodies.find_live(world, subscription_id)
    invoice = _open_invoice(world, found)
    if invoice is None:
        raise BadControl("the subscription has no open invoice", status=409)
    method_id = _charged(world, found)
    collection.collect(world, invoice, payment_method_id=method_id, pays=True, origin=PROVIDER)
    return subscription_bodies.find(world, subscription_id)


def _open_invoice(world: World, found: Json) -> Json | None:
    invoice = invoices.find(world, found["latest_invoice"]) if found["latest_invoice"] else None
    if invoice is not None and invoice["status"] == "draft":
        invoices.finalize(world, invoice, origin=PROVIDER)
    return invoice if invoice is not None and invoice["status"] == "open" else None


def _charged(world: World, found: Json) -> str:
    method_id = subscription_bodies.default_method(world, found)
    if method_id is not None:
        return method_id
    return str(_method_of(world, customers.find(world, found["customer"]))["id"])


def _running(world: World, subscription_id: str) -> Json:
    found = subscription_bodies.find_live(world, subscription_id)
    if found["status"] in ("paused", "incomplete"):
        raise BadControl(f"the subscription is {found['status']}", status=409)
    return found


def pause(world: World, body: Json, subscription_id: str) -> Json:
    """To the status `paused`, as after a trial without a payment method."""
    known(body)
    found = _running(world, subscription_id)
    subscription_periods.pause(world, found, origin=PROVIDER)
    return found


def resume(world: World, body: Json, subscription_id: str) -> Json:
    known(body, "pays")
    found = subscription_bodies.find_live(world, subscription_id)
    if found["status"] != "paused":
        raise BadControl(f"the subscription is {found['status']}, not paused", status=409)
    subscription_periods.resume(world, found, pays=boolean(body, "pays"), origin=PROVIDER)
    return subscription_bodies.find(world, subscription_id)


def cancel(world: World, body: Json, subscription_id: str) -> Json:
    """At once, or with `at_period_end` as a customer does on the portal."""
    known(body, "at_period_end")
    found = subscription_bodies.find_live(world, subscription_id)
    if boolean(body, "at_period_end"):
        return subscriptions.update_as_customer(
            world, subscription_id=subscription_id, cancel_at_period_end=True, origin=PROVIDER
        )
    return subscription_ends.end(world, found, origin=PROVIDER)


def set_status(world: World, body: Json, subscription_id: str) -> Json:
    """Straight to `past_due`, `unpaid` or `active`, with nothing but the news of it."""
    known(body, "status")
    found = _running(world, subscription_id)
    status = text(body, "status")
    if status not in ("active", "past_due", "unpaid"):
        raise BadControl("status is one of active, past_due, unpaid")
    collection.set_status(world, found, status, origin=PROVIDER)
    return found


def make_refund(world: World, body: Json) -> Json:
    """Money given back outside the product, from a charge or the charge of a payment intent."""
    known(body, "charge", "payment_intent", "amount", "reason", "metadata")
    charge = refunds.charge_of(world, charge_id=text(body, "charge"), intent_id=text(body, "payment_intent"))
    return refunds.give_back(
        world,
        charge=charges.find(world, charge["id"]),
        amount=_positive(body, "amount"),
        reason=text(body, "reason"),
        metadata=texts(body, "metadata"),
        origin=PROVIDER,
    )


def settle_payment(world: World, body: Json, intent_id: str) -> Json:
    """A payment that was processing comes to its end."""
    known(body, "succeeds")
    succeeds = boolean(body, "succeeds")
    return payment_intents.settle(world, intent_id, succeeds=succeeds is not False, origin=PROVIDER)


def make_customer(world: World, body: Json) -> Json:
    """A customer that the product did not make."""
    known(body, "email", "name", "metadata")
    return customers.insert(
        world,
        email=text(body, "email"),
        name=text(body, "name"),
        metadata=texts(body, "metadata"),
        origin=PROVIDER,
    )


def _required(body: Json, name: str) -> str:
    value: Any = text(body, name)
    if not value:
        raise BadControl(f"{name} is missing")
    return str(value)


def _positive(body: Json, name: str) -> int | None:
    value: int | None = integer(body, name)
    if value is not None and value < 1:
        raise BadControl(f"{name} is at least 1")
    return value


VERBS: dict[str, Callable[[World, Json, str], Json]] = {
    "renew": renew,
    "fail_payment": fail_payment,
    "recover": recover,
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
    "status": set_status,
}
CONTROLS: dict[str, Callable[..., Json]] = {
    "POST /_sim/customers": make_customer,
    "POST /_sim/customers/{id}/card": set_card,
    "POST /_sim/payment_methods/{id}": update_method,
    "POST /_sim/payment_intents/{id}/settle": settle_payment,
    "POST /_sim/refunds": make_refund,
    "POST /_sim/subscriptions": start_subscription,
    **{f"POST /_sim/subscriptions/{{id}}/{verb}": act for verb, act in VERBS.items()},
}
