"""How a subscription ends: at once, when its time has come, or because nobody paid."""

from settld.stripe_simulator import timers
from settld.stripe_simulator.resources import invoices, prorations, subscription_bodies
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Origin, World

TIMERS = (
    "subscription.period",
    "subscription.cancel",
    "subscription.incomplete",
    "subscription.resume",
    "subscription.trial",
)


def end(
    world: World,
    body: Json,
    *,
    origin: Origin,
    reason: str | None = "cancellation_requested",
    comment: str | None = None,
    feedback: str | None = None,
    prorate: bool = False,
) -> Json:
    """End a subscription now, told by `customer.subscription.deleted`. What it owes stays as it is.

    `prorate` gives the unused time back on an invoice to come.
    """
    now = world.clock.now()
    if prorate:
        prorations.credit_unused(world, body, at=now)
    change = Change(body)
    was_planned = body["cancel_at"] is not None
    body.update(status="canceled", ended_at=now, next_pending_invoice_item_invoice=None)
    if not was_planned or body["cancel_at"] > now:
        body.update(canceled_at=now, cancel_at=None, cancel_at_period_end=False)
    details = body["cancellation_details"]
    details["reason"] = details["reason"] if was_planned else reason
    details["comment"] = comment or details["comment"]
    details["feedback"] = feedback or details["feedback"]
    for kind in TIMERS:
        timers.drop(world, kind=kind, object_id=body["id"])
    subscription_bodies.keep(world, change, origin=origin, event_type=None)
    subscription_bodies.tell(world, body, "deleted", origin=origin)
    return body


def cancel_all(world: World, *, customer_id: str, origin: Origin) -> None:
    for body in subscription_bodies.live_of(world, customer_id):
        end(world, body, origin=origin)


def plan_end(world: World, body: Json, *, at: int) -> None:
    """Note in the body that it ends at a time, and set the timer; the caller keeps the change."""
    body["cancel_at"] = at
    if body["canceled_at"] is None:
        body["canceled_at"] = world.clock.now()
        body["cancellation_details"]["reason"] = "cancellation_requested"
    timers.put(world, kind="subscription.cancel", object_id=body["id"], at=at)


def unplan_end(world: World, body: Json) -> None:
    body.update(cancel_at=None, cancel_at_period_end=False, canceled_at=None)
    body["cancellation_details"] = {"comment": None, "feedback": None, "reason": None}
    timers.drop(world, kind="subscription.cancel", object_id=body["id"])


@timers.fires("subscription.cancel")
def cancel_when_due(world: World, subscription_id: str) -> None:
    body = subscription_bodies.find(world, subscription_id)
    if body["status"] not in subscription_bodies.OVER:
        end(world, body, origin=PROVIDER)


@timers.fires("subscription.incomplete")
def expire(world: World, subscription_id: str) -> None:
    """Nobody paid the first invoice for 23 hours: the subscription never began, the invoice is void."""
    body = subscription_bodies.find(world, subscription_id)
    if body["status"] != "incomplete":
        return
    change = Change(body)
    body.update(status="incomplete_expired", ended_at=world.clock.now())
    for kind in TIMERS:
        timers.drop(world, kind=kind, object_id=subscription_id)
    subscription_bodies.keep(world, change, origin=PROVIDER)
    if body["latest_invoice"] is not None:
        invoice = invoices.find(world, body["latest_invoice"])
        if invoice["status"] == "open":
            invoices.void(world, invoice, origin=PROVIDER)
