"""Collecting invoices, and what success and failure make of the subscription behind them."""

from settld.stripe_simulator import timers
from settld.stripe_simulator.resources import (
    invoice_payments,
    invoices,
    payment_intents,
    subscription_bodies,
    subscription_ends,
)
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Origin, World

DAY = 86_400
# Days until the next try, after the first, second and third failure.
RETRY_DAYS = (3, 5, 7)
RECOVERABLE = ("incomplete", "past_due", "unpaid")
LAST_RESORTS = ("canceled", "past_due", "unpaid")


def collect(
    world: World,
    invoice: Json,
    *,
    origin: Origin,
    payment_method_id: str | None = None,
    pays: bool | None = None,
) -> Json:
    """Try once to have an open invoice paid, by the method its subscription or customer names.

    Paid: a subscription that waited for it becomes active. Not paid: an active one becomes past_due and the
    next try is set; after the last, the setting `after_failed_retries` decides.
    """
    subscription = _subscription(world, invoice)
    method_id = payment_method_id or _method_of(world, invoice, subscription)
    next_at = _next_attempt(world, invoice, subscription)
    intent = invoices.attempt(
        world,
        invoice,
        payment_method_id=method_id,
        pays=pays,
        origin=origin,
        next_attempt_at=next_at,
    )
    if subscription is not None:
        _follow(world, invoice, subscription["id"], intent["status"], origin)
    return intent


def paid(world: World, invoice: Json, *, origin: Origin) -> None:
    """The subscription of an invoice that was paid without a try, such as one of nothing."""
    subscription = _subscription(world, invoice)
    if subscription is not None:
        _follow(world, invoice, subscription["id"], "succeeded", origin)


def _subscription(world: World, invoice: Json) -> Json | None:
    subscription_id = invoices.subscription_id_of(invoice)
    return subscription_bodies.find(world, subscription_id) if subscription_id else None


def _method_of(world: World, invoice: Json, subscription: Json | None) -> str | None:
    if subscription is not None:
        return subscription_bodies.default_method(world, subscription)
    return subscription_bodies.default_method(world, {**invoice, "default_payment_method": None})


def _next_attempt(world: World, invoice: Json, subscription: Json | None) -> int | None:
    """When it would be tried again if it fails now; first invoices are not, nor after the last retry."""
    failures = invoice["attempt_count"]
    if subscription is None or subscription["status"] in ("incomplete", *subscription_bodies.OVER):
        return None
    if failures >= len(RETRY_DAYS):
        return None
    return world.clock.now() + RETRY_DAYS[failures] * DAY


def _follow(world: World, invoice: Json, subscription_id: str, outcome: str, origin: Origin) -> None:
    body = subscription_bodies.find(world, subscription_id)
    if body["status"] in subscription_bodies.OVER:
        return
    if outcome in ("succeeded", "processing"):
        timers.drop(world, kind="invoice.retry", object_id=invoice["id"])
        if body["status"] in RECOVERABLE and body["latest_invoice"] == invoice["id"]:
            timers.drop(world, kind="subscription.incomplete", object_id=subscription_id)
            set_status(world, body, "active", origin=origin)
        return
    if body["status"] == "incomplete":
        return
    if invoice["next_payment_attempt"] is not None:
        timers.put(world, kind="invoice.retry", object_id=invoice["id"], at=invoice["next_payment_attempt"])
        if body["status"] == "active":
            set_status(world, body, "past_due", origin=origin)
        return
    _give_up(world, body, origin)


def _give_up(world: World, body: Json, origin: Origin) -> None:
    last_resort = world.settings.after_failed_retries
    if last_resort == "canceled":
        subscription_ends.end(world, body, reason="payment_failed", origin=origin)
    elif body["status"] != last_resort:
        set_status(world, body, last_resort, origin=origin)


def set_status(world: World, body: Json, status: str, *, origin: Origin) -> None:
    """Move a subscription to a status, told by `customer.subscription.updated`."""
    change = Change(body)
    body["status"] = status
    subscription_bodies.keep(world, change, origin=origin)


@timers.fires("invoice.retry")
def retry(world: World, invoice_id: str) -> None:
    invoice = invoices.find(world, invoice_id)
    if invoice["status"] == "open" and _is_wanted(world, invoice):
        collect(world, invoice, origin=PROVIDER)


@timers.fires("invoice.finalize")
def finalize_when_due(world: World, invoice_id: str) -> None:
    """A renewal's draft has rested for an hour: it is finalized and collected."""
    invoice = invoices.find(world, invoice_id)
    if invoice["status"] == "draft" and _is_wanted(world, invoice):
        finalize_and_collect(world, invoice, origin=PROVIDER)


def _is_wanted(world: World, invoice: Json) -> bool:
    """Nothing is collected by itself for a subscription that has ended: what is open stays open."""
    subscription = _subscription(world, invoice)
    return subscription is None or subscription["status"] not in subscription_bodies.OVER


def finalize_and_collect(world: World, invoice: Json, *, origin: Origin, pays: bool | None = None) -> None:
    """By what the subscription's `pause_collection` says: collected, void, uncollectible, or left a draft."""
    subscription = _subscription(world, invoice)
    pause = (subscription or {}).get("pause_collection") or {}
    if pause.get("behavior") == "keep_as_draft":
        return
    timers.drop(world, kind="invoice.finalize", object_id=invoice["id"])
    invoices.finalize(world, invoice, origin=origin)
    if invoice["status"] != "open":
        paid(world, invoice, origin=origin)
    elif pause.get("behavior") == "void":
        invoices.void(world, invoice, origin=origin)
    elif pause.get("behavior") == "mark_uncollectible":
        invoices.mark_uncollectible(world, invoice, origin=origin)
    else:
        collect(world, invoice, pays=pays, origin=origin)


@payment_intents.on_settled
def follow_payment(world: World, intent: Json, origin: Origin) -> None:
    """A payment that was processing has settled: so has its invoice, if it pays one."""
    payment = invoice_payments.of_intent(world, intent["id"])
    if payment is None or payment["status"] != "open":
        return
    invoice = invoices.find(world, payment["invoice"])
    subscription = _subscription(world, invoice)
    if intent["status"] == "succeeded":
        invoices.mark_paid(world, invoice, origin=origin)
    else:
        next_at = _next_attempt(world, {**invoice, "attempt_count": 0}, subscription)
        invoices.note_failure(world, invoice, next_attempt_at=next_at, origin=origin)
    if subscription is not None:
        _follow(world, invoice, subscription["id"], intent["status"], origin)
