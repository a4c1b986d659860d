"""What must be true of the answers and of the rows, or the rates are worth nothing."""

import json
from collections.abc import Sequence

from tests.bench.billing_provider import Provider
from tests.bench.billing_shop import Delivery, Started
from tests.bench.load import Outcome
from tests.bench.scenarios import Wrong
from tests.bench.world import World

_EVENTS = """
SELECT count(*), sum(e.delivery_count), count(*) FILTER (WHERE c.status = 'done'), count(c.id)
FROM billing_webhook_events e
LEFT JOIN billing_webhook_event_consumptions c ON c.event_id = e.id AND c.consumer = 'checkout'
WHERE e.provider_event_id = ANY(%s)
"""
_STATE = """
SELECT e.id,
  (SELECT count(*) FROM billing_subscriptions s WHERE s.billable_entity_id = e.id),
  (SELECT count(*) FROM billing_subscriptions s WHERE s.billable_entity_id = e.id AND s.is_current
     AND s.status = 'active' AND s.provider_subscription_id = 'sub_' || e.id),
  (SELECT count(*) FROM billing_subscription_items i JOIN billing_subscriptions s ON s.id = i.subscription_id
     WHERE s.billable_entity_id = e.id),
  (SELECT count(*) FROM billing_invoices i WHERE i.billable_entity_id = e.id AND i.status = 'paid'
     AND i.subscription_id IS NOT NULL),
  (SELECT count(*) FROM billing_payments p JOIN billing_invoices i ON i.id = p.invoice_id
     WHERE i.billable_entity_id = e.id),
  (SELECT count(*) FROM billing_customers c WHERE c.billable_entity_id = e.id AND c.is_primary),
  (SELECT count(*) FROM billing_checkout_sessions s WHERE s.billable_entity_id = e.id
     AND s.status = 'completed_reconciled' AND s.provider_subscription_id = 'sub_' || e.id)
FROM billable_entities e WHERE e.id = ANY(%s)
"""
_RENEWED = """
SELECT count(*) FROM billing_subscriptions WHERE billable_entity_id = ANY(%s)
  AND current_period_end = last_provider_event_created_at + interval '30 days'
"""


def require_in_progress(outcome: Outcome) -> None:
    """Refusals of one busy entity say that another checkout of it is in progress, and nothing else."""
    codes = {json.loads(body)["code"] for body in outcome.bodies}
    if codes - {"checkout_in_progress"}:
        raise Wrong(f"a busy entity was refused for another reason: {outcome.bodies}")


def require_taken_once(world: World, sent: Sequence[Delivery]) -> None:
    """Every rightly signed event is stored and applied once, each delivery counted; no other is stored."""
    good = {one.event_id for one in sent if one.kind != "bad"}
    deliveries = sum(one.kind != "bad" for one in sent)
    ((stored, counted, done, consumptions),) = world.sql(_EVENTS, list(good))
    if (stored, counted, done, consumptions) != (len(good), deliveries, len(good), len(good)):
        raise Wrong(f"{len(good)} events, {deliveries} deliveries: {stored, counted, done, consumptions}")
    bad = [one.event_id for one in sent if one.kind == "bad"]
    if world.sql("SELECT 1 FROM billing_webhook_events WHERE provider_event_id = ANY(%s)", bad):
        raise Wrong("an event that nobody signed was stored")


def checkouts(world: World, provider: Provider, *, made: int) -> str:
    """Every success has one request, one session and one call, and no request was left behind."""
    told = provider.told()
    statuses = dict(world.sql("SELECT status, count(*) FROM billing_request_idempotency GROUP BY status"))
    sessions = world.sql("SELECT count(*) FROM billing_checkout_sessions")
    if statuses != {"succeeded": made} or sessions != [(made,)] or told != {"asked": made, "keys": made}:
        raise Wrong(f"{made} checkouts: requests {statuses}, sessions {sessions}, provider {told}")
    return (
        f"{made:,} checkouts: as many succeeded requests, sessions, and calls to the provider, each of a key"
    )


def projections(world: World, paid: Sequence[Started]) -> str:
    """Whatever the order of its events, each entity has come to the same state, that of the newest ones."""
    ids = [one.entity_id for one in paid]
    found = {row[0]: row[1:] for row in world.sql(_STATE, ids)}
    wrong = {entity: state for entity, state in found.items() if state != (1,) * 7}
    if len(found) != len(ids) or wrong:
        raise Wrong(f"entities that came to another state: {dict(list(wrong.items())[:5])}")
    if world.sql(_RENEWED, ids) != [(len(ids),)]:
        raise Wrong("a subscription does not hold its newest event")
    return (
        f"{len(ids):,} entities: one current subscription, item, paid invoice, payment and ended session each"
    )
