"""The provider's objects and events as its webhooks carry them: basil shapes, and the legacy ones before it.

Every builder gives a plain dict; what a test cares about it names, the rest is what a real object would hold.
"""

import datetime as dt
import itertools
import json
from typing import Any

from settld.core import clock
from settld.core.hashing import sha256_hex
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.models import StripeEvent

T0 = 1_772_000_000  # 2026-02-25; the provider's clock in these tests, in whole seconds
MONTH = 30 * 86_400
API_VERSION = "2026-10-28.endive"
LEGACY_VERSION = "2024-06-20"
_numbers = itertools.count(1)


def labels(entity: Any = None, operation_key: str | None = None, **more: str) -> dict[str, str]:
    """The metadata that our checkout puts on what it makes."""
    known = {
        "operation_key": operation_key,
        "billable_entity_id": None if entity is None else str(entity.pk),
    }
    return {key: value for key, value in known.items() if value is not None} | more


def item(
    item_id: str = "si_1", *, price: str = "price_pro", period_end: int | None = T0 + MONTH, **more: Any
) -> dict[str, Any]:
    """One item of a subscription."""
    body = {
        "id": item_id,
        "object": "subscription_item",
        "price": {
            "id": price,
            "object": "price",
            "currency": "usd",
            "unit_amount": 4_900,
            "product": "prod_1",
            "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        },
        "quantity": 1,
        "metadata": {},
    }
    if period_end is not None:
        body |= {"current_period_start": period_end - MONTH, "current_period_end": period_end}
    return body | more


def subscription(
    subscription_id: str = "sub_1",
    *,
    status: str = "active",
    customer: Any = "cus_1",
    created: int | None = T0,
    items: list[dict[str, Any]] | None = None,
    metadata: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A subscription: the period is the items' own."""
    return {
        "id": subscription_id,
        "object": "subscription",
        "status": status,
        "customer": customer,
        "created": created,
        "items": {
            "object": "list",
            "data": [item()] if items is None else items,
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={subscription_id}",
        },
        "metadata": metadata or {},
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "ended_at": None,
        "trial_end": None,
        "latest_invoice": "in_1",
    } | more


def legacy_subscription(*args: Any, period_end: int = T0 + MONTH, **more: Any) -> dict[str, Any]:
    """A subscription as before basil: the period is the subscription's."""
    items = more.pop("items", None) or [item(period_end=None)]
    return subscription(*args, items=items, **more) | {
        "current_period_start": period_end - MONTH,
        "current_period_end": period_end,
    }


def invoice(
    invoice_id: str = "in_1",
    *,
    status: str = "paid",
    customer: Any = "cus_1",
    subscription: Any = "sub_1",
    amount: int = 4_900,
    metadata: dict[str, str] | None = None,
    payments: list[dict[str, Any]] | None = None,
    created: int = T0,
    paid_at: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """An invoice: its subscription under `parent`; payments only where they were expanded."""
    is_paid = status == "paid"
    body: dict[str, Any] = {
        "id": invoice_id,
        "object": "invoice",
        "status": status,
        "customer": customer,
        "created": created,
        "currency": "usd",
        "amount_due": amount,
        "amount_paid": amount if is_paid else 0,
        "amount_remaining": 0 if is_paid else amount,
        "due_date": None,
        "status_transitions": {
            "finalized_at": created,
            "paid_at": (paid_at or created) if is_paid else None,
            "voided_at": None,
            "marked_uncollectible_at": None,
        },
        "metadata": {},
        "parent": None,
    }
    if subscription is None:
        body["metadata"] = metadata or {}
    else:
        body["parent"] = {
            "type": "subscription_details",
            "quote_details": None,
            "subscription_details": {"subscription": subscription, "metadata": metadata or {}},
        }
    if payments is not None:
        body["payments"] = {
            "object": "list",
            "data": payments,
            "has_more": False,
            "url": "/v1/invoice_payments",
        }
    return body | more


def legacy_invoice(
    *args: Any,
    subscription: Any = "sub_1",
    metadata: dict[str, str] | None = None,
    payment_intent: str | None = "pi_1",
    charge: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """An invoice as before basil: subscription, its metadata and the payment at the top."""
    body = invoice(*args, subscription=None, **more)
    return body | {
        "subscription": subscription,
        "subscription_details": {"metadata": metadata or {}},
        "payment_intent": payment_intent,
        "charge": charge,
        "paid": body["status"] == "paid",
        "parent": None,
    }


def invoice_payment(
    payment_id: str = "pi_1",
    *,
    invoice: Any = "in_1",
    kind: str = "payment_intent",
    status: str = "paid",
    amount: int = 4_900,
    created: int = T0,
    paid_at: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One payment of an invoice: the object of `invoice_payment.paid`, and a row of expanded `payments`."""
    return {
        "id": f"inpay_{payment_id}",
        "object": "invoice_payment",
        "invoice": invoice,
        "status": status,
        "currency": "usd",
        "amount_requested": amount,
        "amount_paid": amount if status == "paid" else None,
        "created": created,
        "is_default": True,
        "payment": {"type": kind, kind: payment_id},
        "status_transitions": {
            "paid_at": (paid_at or created) if status == "paid" else None,
            "canceled_at": None,
        },
    } | more


def session(
    session_id: str = "cs_1",
    *,
    status: str = "complete",
    mode: str = "subscription",
    customer: Any = "cus_1",
    subscription: Any = "sub_1",
    metadata: dict[str, str] | None = None,
    created: int = T0,
    **more: Any,
) -> dict[str, Any]:
    """A checkout session."""
    body = {
        "id": session_id,
        "object": "checkout.session",
        "status": status,
        "mode": mode,
        "payment_status": "paid" if status == "complete" else "unpaid",
        "customer": customer,
        "subscription": subscription if status == "complete" and mode == "subscription" else None,
        "invoice": None,
        "payment_intent": None,
        "payment_link": None,
        "client_reference_id": (metadata or {}).get("billable_entity_id"),
        "created": created,
        "expires_at": created + 86_400,
        "url": f"https://checkout.stripe.example/{session_id}" if status == "open" else None,
        "customer_details": {"email": "payer@example.com"},
        "amount_total": 4_900,
        "currency": "usd",
        "metadata": metadata or {},
    }
    return body | more


def customer(customer_id: str = "cus_1", **more: Any) -> dict[str, Any]:
    """A customer."""
    return {
        "id": customer_id,
        "object": "customer",
        "email": "payer@example.com",
        "created": T0,
        "invoice_settings": {"default_payment_method": None},
        "metadata": {},
    } | more


def payment_method(method_id: str = "pm_1", *, customer: Any = "cus_1", **more: Any) -> dict[str, Any]:
    """A card of a customer."""
    return {
        "id": method_id,
        "object": "payment_method",
        "type": "card",
        "customer": customer,
        "created": T0,
        "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034},
        "metadata": {},
    } | more


def event(
    event_type: str,
    thing: dict[str, Any],
    *,
    event_id: str | None = None,
    created: int = T0,
    previous_attributes: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """An event about an object."""
    data: dict[str, Any] = {"object": thing}
    if previous_attributes is not None:
        data["previous_attributes"] = previous_attributes
    return {
        "id": event_id or f"evt_{next(_numbers):06d}",
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    } | more


def stored(body: dict[str, Any]) -> StripeEvent:
    """The inbox's row of an event; the same row when it is stored already."""
    text = json.dumps(body)
    now = clock.now()
    row, _ = StripeEvent.objects.get_or_create(
        provider="stripe",
        provider_event_id=body["id"],
        defaults={
            "event_type": body["type"],
            "provider_api_version": body["api_version"] or "",
            "provider_created_at": dt.datetime.fromtimestamp(body["created"], dt.UTC),
            "livemode": body["livemode"],
            "object_id": str(body["data"]["object"].get("id") or ""),
            "payload": text,
            "payload_sha256": sha256_hex(text.encode()),
            "received_at": now,
            "last_delivered_at": now,
        },
    )
    return row


def deliver(body: dict[str, Any]) -> Consumed:
    """Store an event and have checkout billing apply it, as the door does after the signature."""
    from billing.services import webhooks

    return webhooks.apply(stored(body))
