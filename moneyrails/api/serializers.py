"""What bodies mean and how rows look on the wire; camelCase stops here."""

from typing import Any

from moneyrails.models import DispatchAttempt, Operation, ProviderEvent
from settld.api import openapi
from settld.core import clock


def operation_json(operation: Operation) -> dict[str, Any]:
    """Shape an operation (`MoneyRailOperation.v1`); what is internal stays inside."""
    return {
        "schemaVersion": "MoneyRailOperation.v1",
        "providerId": operation.provider_id,
        "operationId": operation.operation_id,
        "tenantId": operation.tenant_id,
        "direction": operation.direction,
        "idempotencyKey": operation.payout_key,
        "amountCents": operation.amount_cents,
        "currency": operation.currency,
        "counterpartyRef": operation.counterparty_ref,
        "metadata": operation.metadata,
        "state": str(operation.state),
        "providerRef": operation.provider_ref or None,
        "reasonCode": operation.reason_code or None,
        "initiatedAt": clock.iso(operation.initiated_at),
        "submittedAt": clock.iso(operation.submitted_at),
        "confirmedAt": clock.iso(operation.confirmed_at),
        "failedAt": clock.iso(operation.failed_at),
        "cancelledAt": clock.iso(operation.cancelled_at),
        "reversedAt": clock.iso(operation.reversed_at),
        "createdAt": clock.iso(operation.created_at),
        "updatedAt": clock.iso(operation.updated_at),
    }


def dispatch_json(attempt: DispatchAttempt | None) -> dict[str, Any] | None:
    """Shape what is known of the newest attempt; None when nobody tried."""
    if attempt is None:
        return None
    return {
        "status": str(attempt.status),
        "attempt": attempt.attempt,
        "updatedAt": clock.iso(attempt.updated_at),
        "lastErrorCategory": (attempt.error or {}).get("category"),
    }


def event_json(event: ProviderEvent, operation: Operation) -> dict[str, Any]:
    """Shape a stored event (`MoneyRailProviderEvent.v1`)."""
    return {
        "schemaVersion": "MoneyRailProviderEvent.v1",
        "providerId": event.provider_id,
        "tenantId": event.tenant_id,
        "operationId": operation.operation_id,
        "eventType": event.event_type,
        "eventId": event.event_id or None,
        "eventDedupeKey": event.dedupe_key,
        "at": clock.iso(event.at),
        "payload": event.payload,
    }


_STATES = openapi.one_of("initiated", "submitted", "confirmed", "failed", "cancelled", "reversed")
OPERATION = openapi.obj(
    {
        "schemaVersion": openapi.one_of("MoneyRailOperation.v1"),
        "providerId": openapi.TEXT,
        "operationId": openapi.TEXT,
        "tenantId": openapi.TEXT,
        "direction": openapi.one_of("payout", "collection"),
        "idempotencyKey": openapi.TEXT,
        "amountCents": openapi.CENTS,
        "currency": openapi.TEXT,
        "counterpartyRef": openapi.TEXT,
        "metadata": openapi.OBJECT,
        "state": _STATES,
        "providerRef": openapi.maybe(openapi.TEXT),
        "reasonCode": openapi.maybe(openapi.TEXT),
        "initiatedAt": openapi.INSTANT,
        **{
            f"{name}At": openapi.maybe(openapi.INSTANT)
            for name in ("submitted", "confirmed", "failed", "cancelled", "reversed")
        },
        "createdAt": openapi.INSTANT,
        "updatedAt": openapi.INSTANT,
    }
)
DISPATCH = openapi.maybe(
    openapi.obj(
        {
            "status": openapi.TEXT,
            "attempt": openapi.INT,
            "updatedAt": openapi.INSTANT,
            "lastErrorCategory": openapi.maybe(openapi.TEXT),
        }
    )
)
EVENT = openapi.obj(
    {
        "schemaVersion": openapi.one_of("MoneyRailProviderEvent.v1"),
        "providerId": openapi.TEXT,
        "tenantId": openapi.TEXT,
        "operationId": openapi.TEXT,
        "eventType": openapi.TEXT,
        "eventId": openapi.maybe(openapi.TEXT),
        "eventDedupeKey": openapi.TEXT,
        "at": openapi.INSTANT,
        "payload": openapi.maybe(openapi.OBJECT),
    }
)
CHARGEBACK = openapi.obj(
    {
        "policyEnabled": openapi.BOOL,
        "negativeBalanceMode": openapi.maybe(openapi.one_of("hold", "net")),
        **dict.fromkeys(
            (
                "outstandingBeforeCents",
                "recoveryAppliedCents",
                "outstandingAfterCents",
                "payoutAmountGrossCents",
                "payoutAmountNetCents",
            ),
            openapi.CENTS,
        ),
    }
)
PAYOUT = openapi.obj({"payoutKey": openapi.TEXT, "artifactId": openapi.TEXT, "artifactHash": openapi.TEXT})
