"""Invoices: drafted, finalized, paid or given up. What follows for a subscription is collection's to say."""

from collections.abc import Sequence

from settld.stripe_simulator.errors import Refused, missing
from settld.stripe_simulator.resources import (
    cards,
    customers,
    events,
    invoice_lines,
    invoice_payments,
    payment_intents,
    products,
)
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.invoice_lines import Line
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Origin, World

KIND = "invoice"


def bill_once(
    world: World,
    *,
    customer_id: str | None,
    lines: Sequence[Json],
    metadata: dict[str, str],
    payment_method_id: str | None,
    origin: Origin,
    payment_intent_id: str | None = None,
    description: str | None = None,
    pays: bool | None = None,
) -> Json:
    """A paid invoice for things bought once; `lines` are `{"price": <price>, "quantity": n}`.

    With `payment_intent_id` that payment pays for it (still open while the payment is processing). Without,
    the method is charged here, and StripeError 402 `card_declined` means that nothing was billed. A buyer
    who is no customer yet becomes one.
    """
    customer = (
        customers.find(world, customer_id, param="customer", status=400)
        if customer_id
        else customers.insert(world, email=None, name=None, metadata={}, origin=origin)
    )
    now = world.clock.now()
    plain = [
        invoice_lines.plain(
            one["price"],
            quantity=one["quantity"],
            at=now,
            name=products.find(world, one["price"]["product"])["name"],
        )
        for one in lines
    ]
    body = draft(
        world,
        customer=customer,
        currency=plain[0].price["currency"],
        lines=plain,
        billing_reason="manual",
        metadata=metadata,
        description=description,
        origin=origin,
    )
    finalize(world, body, origin=origin, intent_id=payment_intent_id)
    if body["status"] == "open":
        intent = attempt(world, body, payment_method_id=payment_method_id, pays=pays, origin=origin)
        if intent["status"] == "requires_payment_method":
            raise cards.card_error(**cards.FAILURE)
    return body


def draft(
    world: World,
    *,
    customer: Json,
    currency: str,
    lines: Sequence[Line],
    billing_reason: str,
    origin: Origin,
    metadata: dict[str, str] | None = None,
    subscription: Json | None = None,
    period: tuple[int, int] | None = None,
    description: str | None = None,
) -> Json:
    """A new draft, told by `invoice.created`. `period`: what `period_start` and `period_end` say."""
    body = sample(KIND)
    now = world.clock.now()
    total = sum(line.amount for line in lines)
    body.update(
        id=world.ids.next("in"),
        auto_advance=True,
        billing_reason=billing_reason,
        created=now,
        currency=currency,
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        description=description,
        metadata=metadata or {},
        starting_balance=customer["balance"],
    )
    body["period_start"], body["period_end"] = period or (now, now)
    for name in ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"):
        body[name] = total
    _owe(body)
    if subscription is not None:
        details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
        body["parent"] = {
            "type": "subscription_details",
            "quote_details": None,
            "subscription_details": details,
        }
    body["lines"]["data"] = [invoice_lines.render(world, line, invoice_id=body["id"]) for line in lines]
    body["lines"]["url"] = f"/v1/invoices/{body['id']}/lines"
    labels = {
        "customer": customer["id"],
        "subscription": subscription["id"] if subscription else None,
        "status": "draft",
    }
    make(world, body=body, origin=origin, labels=labels, event_type="invoice.created")
    return body


def _owe(body: Json) -> None:
    """What is due after the credit that the customer has, or adding what it owes already."""
    after = body["total"] + body["starting_balance"]
    body["amount_due"] = body["amount_remaining"] = max(0, after)


def subscription_id_of(body: Json) -> str | None:
    parent = body["parent"] or {}
    details = parent.get("subscription_details") or {}
    return details.get("subscription")


def finalize(world: World, body: Json, *, origin: Origin, intent_id: str | None = None) -> None:
    """Number a draft and open it, with the payment intent that is to pay it; nothing due is paid at once.

    The customer's credit is used up first, but not where a payment was made already (`intent_id`).
    """
    if body["status"] != "draft":
        message = f"Invoice {body['id']} is {body['status']}; only a draft can be finalized."
        raise Refused(message, code="invoice_not_editable")
    change = Change(body)
    now = world.clock.now()
    customer = customers.find(world, body["customer"])
    body["starting_balance"] = customer["balance"] if intent_id is None else 0
    _owe(body)
    after = body["total"] + body["starting_balance"]
    body["ending_balance"] = min(0, after)
    if body["starting_balance"] != body["ending_balance"]:
        delta = body["ending_balance"] - body["starting_balance"]
        customers.add_to_balance(world, body["customer"], delta, currency=body["currency"], origin=origin)
    body["number"] = customers.next_number(world, body["customer"])
    body["hosted_invoice_url"] = f"https://invoice.stripe.com/i/{world.platform_account_id}/{body['id']}"
    body["invoice_pdf"] = f"{body['hosted_invoice_url']}/pdf"
    body["effective_at"] = body["status_transitions"]["finalized_at"] = now
    _put(world, change, status="open", origin=origin, event_type="invoice.finalized")
    if body["amount_due"] == 0:
        mark_paid(world, body, origin=origin)
        return
    if intent_id is None:
        intent_id = payment_intents.insert(
            world,
            amount=body["amount_due"],
            currency=body["currency"],
            customer_id=body["customer"],
            metadata={},
            description=_purpose(body),
            origin=origin,
        )["id"]
    invoice_payments.insert(world, invoice=body, intent_id=intent_id, origin=origin)


def _purpose(body: Json) -> str:
    reasons = {
        "subscription_create": "Subscription creation",
        "subscription_cycle": "Subscription update",
        "subscription_update": "Subscription update",
    }
    return reasons.get(body["billing_reason"], f"Payment for Invoice {body['number']}")


def _put(world: World, change: Change, *, status: str, origin: Origin, event_type: str | None) -> None:
    body = change.body
    if body["status"] != status:
        body["status"] = status
        world.store.relabel(kind=KIND, object_id=body["id"], name="status", values=[status])
    change.keep(world, origin=origin, event_type=event_type)


def attempt(
    world: World,
    body: Json,
    *,
    payment_method_id: str | None,
    origin: Origin,
    pays: bool | None = None,
    next_attempt_at: int | None = None,
) -> Json:
    """Try to collect an open invoice from a method; the payment intent afterwards.

    Succeeded: the invoice is paid. Declined, or no method: the try is counted and told as
    `invoice.payment_failed`. Processing: it stays open until the payment settles.
    """
    payment = open_payment(world, body)
    intent = payment_intents.find(world, payment["payment"]["payment_intent"])
    if intent["status"] in payment_intents.UNPAID:
        payment_intents.confirm(world, intent, payment_method_id=payment_method_id, pays=pays, origin=origin)
    if intent["status"] == "succeeded":
        mark_paid(world, body, origin=origin)
    elif intent["status"] == "processing":
        change = Change(body)
        body.update(attempted=True, attempt_count=body["attempt_count"] + 1)
        change.keep(world, origin=origin, event_type="invoice.updated")
    else:
        note_failure(world, body, next_attempt_at=next_attempt_at, origin=origin)
    return intent


def open_payment(world: World, body: Json) -> Json:
    for payment in invoice_payments.of_invoice(world, body["id"]):
        if payment["status"] == "open":
            return payment
    raise Refused(f"Invoice {body['id']} is {body['status']}: nothing to pay.", code="invoice_not_payable")


def note_failure(world: World, body: Json, *, next_attempt_at: int | None, origin: Origin) -> None:
    change = Change(body)
    body.update(attempted=True, attempt_count=body["attempt_count"] + 1)
    body["next_payment_attempt"] = next_attempt_at
    change.keep(world, origin=origin, event_type="invoice.updated")
    events.emit(world, event_type="invoice.payment_failed", subject=body, origin=origin)


def mark_paid(world: World, body: Json, *, origin: Origin) -> None:
    """Told four ways, as at Stripe: updated, paid, payment_succeeded, and the invoice payment."""
    change = Change(body)
    body.update(
        amount_paid=body["amount_due"],
        amount_remaining=0,
        attempted=True,
        attempt_count=body["attempt_count"] + (1 if body["amount_due"] else 0),
        auto_advance=False,
        next_payment_attempt=None,
    )
    body["status_transitions"]["paid_at"] = world.clock.now()
    _put(world, change, status="paid", origin=origin, event_type="invoice.updated")
    for word in ("paid", "payment_succeeded"):
        events.emit(world, event_type=f"invoice.{word}", subject=body, origin=origin)
    for payment in invoice_payments.of_invoice(world, body["id"]):
        if payment["status"] == "open":
            invoice_payments.close(world, payment, status="paid", origin=origin)


def void(world: World, body: Json, *, origin: Origin) -> None:
    """Give an open invoice up; its payment is canceled."""
    _give_up(world, body, status="void", word="voided", origin=origin)
    cancel_payments(world, body, origin=origin)


def cancel_payments(world: World, body: Json, *, origin: Origin) -> None:
    """No payment intent is to pay this invoice any more."""
    for payment in invoice_payments.of_invoice(world, body["id"]):
        intent = payment_intents.find(world, payment["payment"]["payment_intent"])
        if payment["status"] == "open" and intent["status"] in payment_intents.UNPAID:
            payment_intents.cancel_one(world, intent, reason="void_invoice", origin=origin)
            invoice_payments.close(world, payment, status="canceled", origin=origin)


def mark_uncollectible(world: World, body: Json, *, origin: Origin) -> None:
    _give_up(world, body, status="uncollectible", word="marked_uncollectible", origin=origin)


def _give_up(world: World, body: Json, *, status: str, word: str, origin: Origin) -> None:
    if body["status"] not in ("open", "uncollectible"):
        message = f"You can only pass in open invoices. This invoice isn't open: it is {body['status']}."
        raise Refused(message, code="invoice_not_editable")
    change = Change(body)
    body.update(auto_advance=False, next_payment_attempt=None)
    moment = "voided_at" if status == "void" else "marked_uncollectible_at"
    body["status_transitions"][moment] = world.clock.now()
    _put(world, change, status=status, origin=origin, event_type="invoice.updated")
    events.emit(world, event_type=f"invoice.{word}", subject=body, origin=origin)


def find(world: World, invoice_id: str, *, param: str | None = "invoice", status: int = 404) -> Json:
    body = world.store.get(kind=KIND, object_id=invoice_id)
    if body is None:
        raise missing(noun=KIND, object_id=invoice_id, param=param, status=status)
    return body
