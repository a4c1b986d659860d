"""A deployment with a plan to sell to many workspaces, and what the events of their payers look like."""

import dataclasses
import hashlib
import hmac
import json
import random
import time
from collections.abc import Sequence
from typing import Any

from tests.bench.load import request_bytes
from tests.bench.world import World

HOT = "shop_hot"
DUPLICATES, BAD = 0.20, 0.05
STEPS = ("session", "created", "paid", "updated", "renewed")
_TENANTS = """
INSERT INTO tenant (tenant_id, name, status, source, contact_email, billing_email, requires_second_factor,
  retention, quotas, created_at, updated_at)
SELECT id, id, 'active', 'bench', '', '', false, '{}', '{}', now(), now() FROM unnest(%s::text[]) AS id
"""
_ENTITIES = """
INSERT INTO billable_entities (created_at, updated_at, tenant_id, entity_type, workspace_id, status)
SELECT now(), now(), id, 'workspace', id, 'active' FROM unnest(%s::text[]) AS id
"""
_PLAN = """
from billing.models import Plan, PlanPrice
plan = Plan.objects.create(code="pro", plan_family_code="pro", name="Pro")
PlanPrice.objects.create(plan=plan, provider_price_id="price_pro", currency="USD", unit_amount_minor=4900)
"""
_STARTED = """
SELECT s.tenant_id, s.billable_entity_id, s.operation_key, s.provider_checkout_session_id
FROM billing_checkout_sessions s WHERE s.flow = 'subscription' AND s.status = 'open'
ORDER BY s.id LIMIT %s
"""


@dataclasses.dataclass(frozen=True)
class Started:
    """A checkout that waits for its payer."""

    tenant_id: str
    entity_id: int
    operation_key: str
    session_id: str


@dataclasses.dataclass(frozen=True)
class Delivery:
    """One message to the webhook's door: what it is, the event in it, and its bytes."""

    kind: str  # a step of STEPS, `duplicate` or `bad`
    event_id: str
    body: bytes


def seed(world: World, *, workspaces: int) -> list[str]:
    """Put the plan and the workspaces in place; gives the workspaces but for the hot one."""
    world.manage("shell", "-c", _PLAN)
    names = [f"shop_{number}" for number in range(workspaces)]
    world.sql(_TENANTS, [*names, HOT])
    world.sql(_ENTITIES, [*names, HOT])
    world.sql("VACUUM ANALYZE")
    world.sql("CHECKPOINT")
    return names


def checkout_request(world: World, tenant_id: str, *, key: str, is_one_off: bool = False) -> bytes:
    """Start a checkout of the plan, or of a thing bought once, which never blocks another."""
    body: dict[str, Any] = {"planCode": "pro"}
    if is_one_off:
        body = {"checkoutType": "one_off", "oneOff": {"name": "Setup", "amountMinor": 1500}}
    sent = {
        "x-proxy-ops-token": world.token,
        "x-proxy-tenant-id": tenant_id,
        "idempotency-key": key,
    }
    content = json.dumps(body | {"successPath": "/done", "cancelPath": "/back"}).encode()
    return request_bytes("POST", "/api/billing/checkout", headers=sent, content=content)


def started(world: World, *, limit: int) -> list[Started]:
    """Checkouts that nobody has paid, oldest first."""
    return [Started(*row) for row in world.sql(_STARTED, limit)]  # type: ignore[arg-type]


def deliveries(checkouts: Sequence[Started], *, steps: Sequence[str] = STEPS) -> list[Delivery]:
    """The events of each checkout, a step of all of them after the other, each once and rightly signed."""
    at = int(time.time()) - 3_600
    return [
        _delivery(one, step, at=at + number * 10) for number, step in enumerate(steps) for one in checkouts
    ]


def updates(checkout: Started, *, count: int) -> list[Delivery]:
    """Many events about one subscription, in the order of their time."""
    at = int(time.time()) - 2 * count
    return [
        dataclasses.replace(
            _delivery(checkout, "updated", at=at + number), event_id=f"evt_hot_{checkout.entity_id}_{number}"
        )
        for number in range(count)
    ]


def mixed(good: Sequence[Delivery], *, salt: str) -> list[Delivery]:
    """Add deliveries that came before, a fifth of the whole, and a twentieth that nobody signed."""
    chance = random.Random(salt)
    total = len(good) / (1 - DUPLICATES - BAD)
    placed: list[tuple[float, Delivery]] = list(enumerate(good))
    for _ in range(round(total * DUPLICATES)):
        at = chance.randrange(len(good))
        placed.append((at + chance.uniform(0.5, 200), dataclasses.replace(good[at], kind="duplicate")))
    for number in range(round(total * BAD)):
        at = chance.randrange(len(good))
        forged = f"evt_bad_{salt}_{number}"
        placed.append((at + 0.5, dataclasses.replace(good[at], kind="bad", event_id=forged)))
    return [delivery for _, delivery in sorted(placed, key=lambda place: place[0])]


def webhook_requests(world: World, sent: Sequence[Delivery]) -> list[bytes]:
    """Write deliveries as the provider would: signed now, over exactly these bytes."""
    secret = world.environment["PROXY_BILLING_STRIPE_WEBHOOK_SECRET"].encode()
    stamp = str(int(time.time()))
    requests = []
    for delivery in sent:
        content = delivery.body.replace(b"EVENT_ID", delivery.event_id.encode())
        key = b"whsec_somebody_else" if delivery.kind == "bad" else secret
        digest = hmac.new(key, stamp.encode() + b"." + content, hashlib.sha256).hexdigest()
        headers = {"stripe-signature": f"t={stamp},v1={digest}"}
        requests.append(
            request_bytes("POST", "/api/billing/webhooks/stripe", headers=headers, content=content)
        )
    return requests


def _delivery(checkout: Started, step: str, *, at: int) -> Delivery:
    event_type, thing = {
        "session": ("checkout.session.completed", _session),
        "created": ("customer.subscription.created", _subscription),
        "paid": ("invoice.paid", _invoice),
        "updated": ("customer.subscription.updated", _subscription),
        "renewed": ("customer.subscription.updated", _subscription),
    }[step]
    event = {
        "id": "EVENT_ID",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": at,
        "data": {"object": thing(checkout, at)},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    }
    return Delivery(step, f"evt_{step}_{checkout.entity_id}", json.dumps(event).encode())


def _labels(checkout: Started) -> dict[str, str]:
    return {"operation_key": checkout.operation_key, "billable_entity_id": str(checkout.entity_id)}


def _session(checkout: Started, at: int) -> dict[str, Any]:
    return {
        "id": checkout.session_id,
        "object": "checkout.session",
        "status": "complete",
        "mode": "subscription",
        "payment_status": "paid",
        "customer": f"cus_{checkout.entity_id}",
        "customer_details": {"email": f"payer{checkout.entity_id}@example.com"},
        "subscription": f"sub_{checkout.entity_id}",
        "invoice": f"in_{checkout.entity_id}",
        "payment_link": None,
        "client_reference_id": str(checkout.entity_id),
        "created": at,
        "expires_at": at + 86_400,
        "url": None,
        "amount_total": 4_900,
        "currency": "usd",
        "metadata": _labels(checkout),
    }


def _subscription(checkout: Started, at: int) -> dict[str, Any]:
    price = {
        "id": "price_pro",
        "object": "price",
        "currency": "usd",
        "unit_amount": 4_900,
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    }
    item = {
        "id": f"si_{checkout.entity_id}",
        "object": "subscription_item",
        "price": price,
        "quantity": 1,
        "metadata": {},
        "current_period_start": at,
        "current_period_end": at + 30 * 86_400,
    }
    return {
        "id": f"sub_{checkout.entity_id}",
        "object": "subscription",
        "status": "active",
        "customer": f"cus_{checkout.entity_id}",
        "created": 1_772_000_000,
        "items": {"object": "list", "data": [item], "has_more": False},
        "metadata": _labels(checkout),
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "ended_at": None,
        "trial_end": None,
        "latest_invoice": f"in_{checkout.entity_id}",
    }


def _invoice(checkout: Started, at: int) -> dict[str, Any]:
    details = {"subscription": f"sub_{checkout.entity_id}", "metadata": _labels(checkout)}
    return {
        "id": f"in_{checkout.entity_id}",
        "object": "invoice",
        "status": "paid",
        "customer": f"cus_{checkout.entity_id}",
        "created": at,
        "currency": "usd",
        "amount_due": 4_900,
        "amount_paid": 4_900,
        "amount_remaining": 0,
        "due_date": None,
        "status_transitions": {"finalized_at": at, "paid_at": at},
        "metadata": {},
        "parent": {"type": "subscription_details", "subscription_details": details},
    }
