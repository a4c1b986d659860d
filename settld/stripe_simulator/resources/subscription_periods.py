"""A subscription's time: periods that roll over with a renewal invoice, trials that end, pauses that end."""

from settld.stripe_simulator import timers
from settld.stripe_simulator.resources import (
    collection,
    customers,
    invoice_lines,
    invoices,
    periods,
    prorations,
    subscription_bodies,
    subscription_ends,
)
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, Origin, World

DRAFT_SECONDS = 3600
TRIAL_NOTICE_SECONDS = 3 * 86_400
INCOMPLETE_SECONDS = 23 * 3600


def start_timers(world: World, body: Json) -> None:
    """What will happen to a new subscription by itself."""
    end = subscription_bodies.period_end(body)
    timers.put(world, kind="subscription.period", object_id=body["id"], at=end)
    if body["status"] == "incomplete":
        at = body["created"] + INCOMPLETE_SECONDS
        timers.put(world, kind="subscription.incomplete", object_id=body["id"], at=at)
    if body["status"] == "trialing":
        at = max(world.clock.now(), body["trial_end"] - TRIAL_NOTICE_SECONDS)
        timers.put(world, kind="subscription.trial", object_id=body["id"], at=at)


@timers.fires("subscription.trial")
def announce_trial_end(world: World, subscription_id: str) -> None:
    body = subscription_bodies.find(world, subscription_id)
    if body["status"] == "trialing":
        subscription_bodies.tell(world, body, "trial_will_end", origin=PROVIDER)


@timers.fires("subscription.period")
def roll_when_due(world: World, subscription_id: str) -> None:
    """The period is over: the subscription ends, pauses, or goes on with a renewal invoice."""
    body = subscription_bodies.find(world, subscription_id)
    now = world.clock.now()
    if body["status"] in (*subscription_bodies.OVER, "paused"):
        return
    if body["cancel_at_period_end"] or (body["cancel_at"] is not None and body["cancel_at"] <= now):
        subscription_ends.end(world, body, origin=PROVIDER)
        return
    if body["status"] == "trialing" and subscription_bodies.default_method(world, body) is None:
        behaviour = body["trial_settings"]["end_behavior"]["missing_payment_method"]
        if behaviour == "cancel":
            subscription_ends.end(world, body, reason=None, origin=PROVIDER)
            return
        if behaviour == "pause":
            pause(world, body, origin=PROVIDER)
            return
    invoice = roll(world, body, origin=PROVIDER)
    if body["status"] != "unpaid":
        timers.put(world, kind="invoice.finalize", object_id=invoice["id"], at=now + DRAFT_SECONDS)


def roll(world: World, body: Json, *, origin: Origin) -> Json:
    """Begin the next period, where the last one ends, and draft its invoice; the draft."""
    starts_at = subscription_bodies.period_end(body)
    recurring = body["items"]["data"][0]["price"]["recurring"]
    anchor = body["billing_cycle_anchor"]
    ends_at = periods.boundary_after(starts_at, anchor=anchor, recurring=recurring)
    change = Change(body)
    was = subscription_bodies.period_start(body), starts_at
    for item in body["items"]["data"]:
        item.update(current_period_start=starts_at, current_period_end=ends_at)
    if body["status"] == "trialing":
        body["status"] = "active"
    if body["cancel_at_period_end"]:
        body["cancel_at"] = ends_at
        timers.put(world, kind="subscription.cancel", object_id=body["id"], at=ends_at)
    invoice = draft_period(world, body, reason="subscription_cycle", period=was, origin=origin)
    body["latest_invoice"] = invoice["id"]
    subscription_bodies.keep(world, change, origin=origin)
    timers.put(world, kind="subscription.period", object_id=body["id"], at=ends_at)
    return invoice


def draft_period(
    world: World,
    body: Json,
    *,
    reason: str,
    period: tuple[int, int],
    origin: Origin,
    metadata: dict[str, str] | None = None,
) -> Json:
    """A draft for the subscription's running period, after what waited for its next invoice."""
    lines = prorations.take_waiting(world, body["id"])
    lines += [
        invoice_lines.of_item(
            item,
            name=subscription_bodies.product_name(world, item["price"]),
            is_trial=body["status"] == "trialing",
            starts_at=item["current_period_start"],
            ends_at=item["current_period_end"],
        )
        for item in body["items"]["data"]
    ]
    return invoices.draft(
        world,
        customer=customers.find(world, body["customer"]),
        currency=body["currency"],
        lines=lines,
        billing_reason=reason,
        subscription=body,
        period=period,
        metadata=metadata,
        origin=origin,
    )


def renew(world: World, body: Json, *, origin: Origin, pays: bool | None = None) -> Json:
    """The next period at once, with its invoice finalized and collected; the invoice."""
    if body["status"] == "trialing":
        timers.drop(world, kind="subscription.trial", object_id=body["id"])
    invoice = roll(world, body, origin=origin)
    collection.finalize_and_collect(world, invoice, pays=pays, origin=origin)
    return invoice


def pause(world: World, body: Json, *, origin: Origin) -> None:
    """To the status `paused`: no invoices until it is resumed."""
    change = Change(body)
    body["status"] = "paused"
    timers.drop(world, kind="subscription.period", object_id=body["id"])
    subscription_bodies.keep(world, change, origin=origin)
    subscription_bodies.tell(world, body, "paused", origin=origin)


def resume(world: World, body: Json, *, origin: Origin, pays: bool | None = None) -> None:
    """From `paused` into a period that begins now, and is invoiced and collected now."""
    now = world.clock.now()
    change = Change(body)
    recurring = body["items"]["data"][0]["price"]["recurring"]
    body.update(status="active", billing_cycle_anchor=now)
    ends_at = periods.boundary_after(now, anchor=now, recurring=recurring)
    for item in body["items"]["data"]:
        item.update(current_period_start=now, current_period_end=ends_at)
    invoice = draft_period(world, body, reason="subscription_cycle", period=(now, now), origin=origin)
    body["latest_invoice"] = invoice["id"]
    subscription_bodies.keep(world, change, origin=origin)
    subscription_bodies.tell(world, body, "resumed", origin=origin)
    timers.put(world, kind="subscription.period", object_id=body["id"], at=ends_at)
    collection.finalize_and_collect(world, invoice, pays=pays, origin=origin)


def end_trial(world: World, body: Json, *, origin: Origin) -> None:
    """The trial is over before its time: the first paid period begins now."""
    now = world.clock.now()
    change = Change(body)
    body["trial_end"] = body["billing_cycle_anchor"] = now
    for item in body["items"]["data"]:
        item["current_period_end"] = now
    subscription_bodies.keep(world, change, origin=origin, event_type=None)
    renew(world, body, origin=origin)


def move_trial_end(world: World, body: Json, *, at: int) -> None:
    """A trial until then, for one that runs or not; the caller keeps the change."""
    now = world.clock.now()
    body.update(status="trialing", trial_end=at, billing_cycle_anchor=at)
    body["trial_start"] = body["trial_start"] or now
    for item in body["items"]["data"]:
        item["current_period_end"] = at
    timers.put(world, kind="subscription.period", object_id=body["id"], at=at)
    notice = max(now, at - TRIAL_NOTICE_SECONDS)
    timers.put(world, kind="subscription.trial", object_id=body["id"], at=notice)


@timers.fires("subscription.resume")
def resume_collection(world: World, subscription_id: str) -> None:
    """`pause_collection.resumes_at` has come."""
    body = subscription_bodies.find(world, subscription_id)
    change = Change(body)
    body["pause_collection"] = None
    subscription_bodies.keep(world, change, origin=PROVIDER)
