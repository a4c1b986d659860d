"""Taking one delivery in: trust the signature over the raw bytes, store the event once, have it consumed."""

import datetime as dt
import json
import os
import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from settld.core import failpoints, transactions
from settld.core.errors import Refusal
from settld.core.hashing import sha256_hex
from settld.core.redaction import without_client_secrets
from settld.stripe_gateway import consumers, signatures
from settld.stripe_gateway.metrics import DELIVERIES, guardrail
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services import bell, consumption
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
    """Verify a delivery, store its event and one consumption per interested consumer, run the inline ones.

    The event is committed before any consumer runs. A repeated delivery stores nothing, but makes failed
    and dead consumptions of its event due at once, or runs them here when they are inline; what is done,
    or what somebody works on just now, is left alone. Raises a Refusal that stored nothing, or what an
    inline consumer raised, after it was recorded: the answer then asks Stripe to deliver again.
    Source: spec/checkout-billing.md 8.1.
    """
    _require_authentic(payload=payload, signature=signature, trust=trust, now=now)
    event = _event(payload, now=now)
    with structlog.contextvars.bound_contextvars(provider_event_id=event.provider_event_id):
        delivery, jobs = _take(event, trust=trust, now=now)
        DELIVERIES.labels(result=delivery.value).inc()
        log.info(
            "stripe_event_received",
            provider_event_id=event.provider_event_id,
            event_type=event.event_type,
            result=delivery.value,
        )
        failpoints.hit("billing.webhook.stored")
        failed = [error for job in jobs if (error := consumption.consume(job)) is not None]
    if failed:
        raise failed[0]
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
        payload=without_client_secrets(text),
        payload_retention_until=now + dt.timedelta(days=settings.BILLING.webhook_payload_retention_days),
        payload_sha256=sha256_hex(payload),
        received_at=now,
        last_delivered_at=now,
    )


def _take(
    event: StripeEvent, *, trust: Trust, now: dt.datetime
) -> tuple[Delivery, list[StripeEventConsumption]]:
    """Store what is new and find what to run here: consumptions leased to us in the same transaction."""
    if trust.is_live is not None and event.livemode != trust.is_live:
        guardrail(
            "BILLING_WEBHOOK_LIVEMODE_MISMATCH",
            provider_event_id=event.provider_event_id,
            livemode=event.livemode,
        )
        return Delivery.OTHER_MODE, []
    interested = consumers.interested_in(event.event_type)
    if not interested:
        return Delivery.UNHANDLED, []
    if trust.api_version and event.provider_api_version != trust.api_version:
        guardrail(
            "BILLING_PROVIDER_SDK_API_BASELINE_DRIFT",
            provider_event_id=event.provider_event_id,
            api_version=event.provider_api_version,
        )
    with transactions.atomic(durable=True):
        if _insert(event):
            delivery, jobs = Delivery.STORED, _assign(event, interested, now=now)
        else:
            delivery, jobs = Delivery.DUPLICATE, _revive(event, interested, now=now)
        if not all(consumer.inline for consumer in interested):
            transaction.on_commit(bell.ring)
    return delivery, jobs


def _assign(
    event: StripeEvent, interested: list[consumers.Consumer], *, now: dt.datetime
) -> list[StripeEventConsumption]:
    """Insert a consumption for each consumer; the inline ones are leased to us from their first moment."""
    rows = [
        StripeEventConsumption(
            event=event, consumer=consumer.name, next_attempt_at=now, created_at=now, updated_at=now
        )
        for consumer in interested
    ]
    jobs = [row for row, consumer in zip(rows, interested, strict=True) if consumer.inline]
    for job in jobs:
        consumption.take(job, owner=_owner(), now=now)
    StripeEventConsumption.objects.bulk_create(rows)
    return jobs


def _insert(event: StripeEvent) -> bool:
    """Insert the event or count the delivery of the one that is there; True if it was new.

    Either way the row is locked, and `event` has its id. Of two deliveries at once the second waits.
    """
    fields = [field for field in StripeEvent._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    table = StripeEvent._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{table}" AS known ({columns}) VALUES ({marks})'  # noqa: S608
            " ON CONFLICT (provider, provider_event_id) DO UPDATE SET"
            " delivery_count = known.delivery_count + 1, last_delivered_at = excluded.last_delivered_at"
            " RETURNING id, delivery_count",
            [getattr(event, field.attname) for field in fields],
        )
        event.pk, event.delivery_count = cursor.fetchone()
    return event.delivery_count == 1


def _revive(
    event: StripeEvent, interested: list[consumers.Consumer], *, now: dt.datetime
) -> list[StripeEventConsumption]:
    """Stripe asking again is a reason to try again what failed, inline ones here.

    A consumer that was not there or not on when the event was first stored gets it now. What is done costs
    no more than one look; the event's row is locked, so no other delivery of it is at work here.
    """
    rows = StripeEventConsumption.objects.filter(event_id=event.pk)
    had = dict(rows.values_list("consumer", "status"))
    inline = {consumer.name for consumer in interested if consumer.inline}
    if any(status in REVIVABLE for name, status in had.items() if name not in inline):
        rows.filter(status__in=REVIVABLE).exclude(consumer__in=inline).update(
            status=ConsumptionStatus.PENDING, next_attempt_at=now, updated_at=now
        )
    unfinished = {name for name, status in had.items() if status != ConsumptionStatus.DONE}
    jobs = _take_over(event, inline=inline & unfinished, now=now)
    return jobs + _assign(event, [new for new in interested if new.name not in had], now=now)


def _take_over(event: StripeEvent, *, inline: set[str], now: dt.datetime) -> list[StripeEventConsumption]:
    """Lease the inline consumptions that wait, failed or were dropped; what is worked on stays so."""
    if not inline:
        return []
    is_free = Q(status__in=[ConsumptionStatus.PENDING, *REVIVABLE]) | Q(
        status=ConsumptionStatus.LEASED, lease_expires_at__lte=now
    )
    rows = StripeEventConsumption.objects.filter(is_free, event_id=event.pk, consumer__in=inline)
    jobs = list(rows.order_by("id").select_for_update(skip_locked=True))
    stored = StripeEvent.objects.get(pk=event.pk) if jobs else event
    for job in jobs:
        job.event = stored
        consumption.take(job, owner=_owner(), now=now)
        job.save(update_fields=consumption.LEASE_FIELDS)
    return jobs


def _owner() -> str:
    return f"{consumption.DOOR}{socket.gethostname()}:{os.getpid()}"


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
