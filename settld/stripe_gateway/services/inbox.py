"""Taking one delivery in: trust the signature over the raw bytes, store the event once, wake a worker."""

import datetime as dt
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from django.db import connection, transaction

from settld.core import transactions
from settld.core.errors import Refusal
from settld.core.hashing import sha256_hex
from settld.stripe_gateway import consumers, signatures
from settld.stripe_gateway.metrics import DELIVERIES, guardrail
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services import bell
from settld.stripe_gateway.states import REVIVABLE, ConsumptionStatus

log = structlog.get_logger(__name__)


class Delivery(StrEnum):
    """What became of a delivery that we answer with 2xx."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    UNHANDLED = "unhandled"
    OTHER_MODE = "other_mode"


@dataclass(frozen=True)
class Trust:
    """Whose signatures count, how old they may be, and which mode our key has (None: there is no key)."""

    secrets: tuple[str, ...] = ()
    tolerance_seconds: int = 300
    is_live: bool | None = None
    api_version: str = ""


class WebhookInvalid(Refusal):
    """The delivery is not one that we can take; Stripe will send it again, and we will say so again."""

    code = "BILLING_WEBHOOK_INVALID"


class BodyMissing(WebhookInvalid):
    """No bytes, nothing to verify."""

    message = "Webhook raw body is required."


class SignatureMissing(WebhookInvalid):
    """Nobody vouches for the bytes."""

    message = "Stripe signature header is required."


class SignatureInvalid(Refusal):
    """The signature is not ours to trust; which check failed is in the log only."""

    code = "BILLING_WEBHOOK_SIGNATURE_INVALID"
    message = "Stripe webhook signature is invalid."


class NotAnEvent(WebhookInvalid):
    """Authentic bytes that hold no event."""

    message = "Stripe webhook payload is not an event."


class SecretMissing(Refusal):
    """We cannot verify anything; Stripe keeps the event until we can."""

    status = 500
    code = "BILLING_PROVIDER_NOT_CONFIGURED"
    message = "Stripe webhook secret is not configured."


def receive(*, payload: bytes, signature: str, trust: Trust, now: dt.datetime) -> Delivery:
    """Verify a delivery, store its event and one consumption per interested consumer, ring the bell.

    What returns is committed. A repeated delivery stores nothing, but makes failed and dead
    consumptions of its event due at once. Raises a Refusal that stored nothing. Source:
    spec/checkout-billing.md 8.1.
    """
    _require_authentic(payload=payload, signature=signature, trust=trust, now=now)
    event = _event(payload, now=now)
    delivery = _take(event, trust=trust, now=now)
    DELIVERIES.labels(result=delivery.value).inc()
    log.info(
        "stripe_event_received",
        provider_event_id=event.provider_event_id,
        event_type=event.event_type,
        result=delivery.value,
    )
    return delivery


def _require_authentic(*, payload: bytes, signature: str, trust: Trust, now: dt.datetime) -> None:
    if not payload:
        raise BodyMissing()
    if not signature.strip():
        raise SignatureMissing()
    if not trust.secrets:
        log.error("stripe_webhook_secret_missing")
        raise SecretMissing()
    try:
        signatures.verify(
            payload=payload,
            header=signature,
            secrets=trust.secrets,
            tolerance_seconds=trust.tolerance_seconds,
            now_seconds=int(now.timestamp()),
        )
    except signatures.SignatureInvalid as error:
        log.warning("stripe_webhook_refused", reason=str(error))
        raise SignatureInvalid() from error


def _event(payload: bytes, *, now: dt.datetime) -> StripeEvent:
    """Read the signed bytes as an event, unsaved."""
    try:
        text = payload.decode("utf-8")
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent() from error
    if not isinstance(body, dict) or body.get("object") != "event":
        raise NotAnEvent()
    return StripeEvent(
        provider="stripe",
        provider_event_id=_text(body.get("id"), most=191),
        event_type=_text(body.get("type"), most=191),
        provider_api_version=str(body.get("api_version") or "")[:40],
        provider_created_at=_instant(body.get("created")),
        livemode=body.get("livemode") is True,
        object_id=_object_id(body),
        payload=text,
        payload_sha256=sha256_hex(payload),
        received_at=now,
        last_delivered_at=now,
    )


def _take(event: StripeEvent, *, trust: Trust, now: dt.datetime) -> Delivery:
    if trust.is_live is not None and event.livemode != trust.is_live:
        guardrail(
            "BILLING_WEBHOOK_LIVEMODE_MISMATCH",
            provider_event_id=event.provider_event_id,
            livemode=event.livemode,
        )
        return Delivery.OTHER_MODE
    interested = consumers.interested_in(event.event_type)
    if not interested:
        return Delivery.UNHANDLED
    if trust.api_version and event.provider_api_version != trust.api_version:
        guardrail(
            "BILLING_PROVIDER_SDK_API_BASELINE_DRIFT",
            provider_event_id=event.provider_event_id,
            api_version=event.provider_api_version,
        )
    with transactions.atomic(durable=True):
        event_pk = _insert(event)
        if event_pk is None:
            _revive(event, now=now)
        else:
            StripeEventConsumption.objects.bulk_create(
                StripeEventConsumption(
                    event_id=event_pk,
                    consumer=consumer.name,
                    next_attempt_at=now,
                    created_at=now,
                    updated_at=now,
                )
                for consumer in interested
            )
        transaction.on_commit(bell.ring)
    return Delivery.DUPLICATE if event_pk is None else Delivery.STORED


def _insert(event: StripeEvent) -> int | None:
    """Insert unless the event is there; of two deliveries at once the second waits and finds it."""
    fields = [field for field in StripeEvent._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{StripeEvent._meta.db_table}" ({columns}) VALUES ({marks})'  # noqa: S608
            " ON CONFLICT (provider, provider_event_id) DO NOTHING RETURNING id",
            [getattr(event, field.attname) for field in fields],
        )
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def _revive(event: StripeEvent, *, now: dt.datetime) -> None:
    """Count the delivery; Stripe asking again is a reason to try again what failed."""
    known = StripeEvent.objects.filter(provider=event.provider, provider_event_id=event.provider_event_id)
    stored = known.select_for_update(no_key=True).get()
    stored.delivery_count += 1
    stored.last_delivered_at = now
    stored.save(update_fields=["delivery_count", "last_delivered_at"])
    StripeEventConsumption.objects.filter(event=stored, status__in=REVIVABLE).update(
        status=ConsumptionStatus.PENDING, next_attempt_at=now, updated_at=now
    )


def _text(value: Any, *, most: int) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > most or not value.isprintable():
        raise NotAnEvent()
    return value


def _instant(value: Any) -> dt.datetime:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 253_402_300_800:
        raise NotAnEvent()
    return dt.datetime.fromtimestamp(value, dt.UTC)


def _object_id(body: dict[str, Any]) -> str:
    data = body.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    value = thing.get("id") if isinstance(thing, dict) else None
    return value if isinstance(value, str) and len(value) <= 191 and value.isprintable() else ""
