"""How months, events and statements look on the wire."""

from typing import Any

from settld.api import openapi
from settld.closing.models import PartyStatement
from settld.core import clock
from settld.ledger.models import MonthClose

NULLABLE_TEXT = openapi.maybe(openapi.TEXT)
NULLABLE_INSTANT = openapi.maybe(openapi.INSTANT)
NULLABLE_ARTIFACT = openapi.maybe(openapi.OBJECT)
STATUS = openapi.one_of("OPEN", "CLOSED")

MONTH = openapi.obj(
    {
        "id": openapi.TEXT,
        "tenantId": openapi.TEXT,
        "month": openapi.TEXT,
        "basis": openapi.TEXT,
        "status": STATUS,
        "generation": openapi.INT,
        "requestPending": openapi.BOOL,
        "requestedAt": NULLABLE_INSTANT,
        "closedAt": NULLABLE_INSTANT,
        "reopenedAt": NULLABLE_INSTANT,
        "statementArtifactId": NULLABLE_TEXT,
        "statementArtifactHash": NULLABLE_TEXT,
        "lastEventId": NULLABLE_TEXT,
        "lastChainHash": NULLABLE_TEXT,
        "lastAttempt": openapi.maybe(openapi.OBJECT),
        "updatedAt": openapi.INSTANT,
    }
)
EVENT = openapi.obj(
    {
        "v": openapi.INT,
        "id": openapi.TEXT,
        "type": openapi.one_of("MONTH_CLOSE_REQUESTED", "MONTH_CLOSED", "MONTH_CLOSE_REOPENED"),
        "streamId": openapi.TEXT,
        "seq": openapi.INT,
        "at": openapi.INSTANT,
        "actor": openapi.OBJECT,
        "payload": openapi.OBJECT,
        "payloadHash": openapi.TEXT,
        "prevChainHash": NULLABLE_TEXT,
        "chainHash": openapi.TEXT,
        "signature": openapi.OBJECT,
    }
)
STATEMENT = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "partyId": openapi.TEXT,
        "partyRole": openapi.TEXT,
        "period": openapi.TEXT,
        "basis": openapi.TEXT,
        "currency": openapi.TEXT,
        "generation": openapi.INT,
        "source": openapi.one_of("manual", "derived"),
        "status": STATUS,
        "payoutCents": openapi.CENTS,
        "payableCents": openapi.CENTS,
        "periodPayoutCents": openapi.maybe(openapi.CENTS),
        "payableCarryInCents": openapi.CENTS,
        "payableCarryOutCents": openapi.CENTS,
        "payableAfter": NULLABLE_INSTANT,
        "payoutKey": openapi.TEXT,
        "statementHash": openapi.TEXT,
        "artifactId": openapi.TEXT,
        "artifactHash": openapi.TEXT,
        "closedAt": NULLABLE_INSTANT,
        "createdAt": openapi.INSTANT,
        "updatedAt": openapi.INSTANT,
    }
)
STATEMENT_AND_ARTIFACT = openapi.obj({"statement": STATEMENT, "artifact": openapi.OBJECT})
STATEMENT_IN = openapi.obj(
    {
        "partyRole": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"},
        "payoutCents": openapi.CENTS,
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "default": "USD"},
        "basis": openapi.one_of("settledAt"),
        "payableAfter": NULLABLE_INSTANT,
        "references": openapi.many(
            openapi.obj({"type": openapi.one_of("settlement", "receipt", "adjustment"), "id": openapi.TEXT})
        ),
    },
    optional=("currency", "basis", "payableAfter", "references"),
)


def month_json(row: MonthClose) -> dict[str, Any]:
    """Shape a month."""
    return {
        "id": str(row.id),
        "tenantId": row.tenant_id,
        "month": row.month,
        "basis": row.basis,
        "status": row.status,
        "generation": row.generation,
        "requestPending": row.request_pending,
        "requestedAt": clock.iso(row.requested_at),
        "closedAt": clock.iso(row.closed_at),
        "reopenedAt": clock.iso(row.reopened_at),
        "statementArtifactId": row.statement_artifact_id,
        "statementArtifactHash": row.statement_artifact_hash,
        "lastEventId": row.last_event_id,
        "lastChainHash": row.last_chain_hash,
        "lastAttempt": row.last_attempt,
        "updatedAt": clock.iso(row.updated_at),
    }


def statement_json(row: PartyStatement) -> dict[str, Any]:
    """Shape a statement."""
    return {
        "tenantId": row.tenant_id,
        "partyId": row.party_id,
        "partyRole": row.party_role,
        "period": row.period,
        "basis": row.basis,
        "currency": row.currency,
        "generation": row.generation,
        "source": row.source,
        "status": row.status,
        "payoutCents": row.payout_cents,
        "payableCents": row.payable_cents,
        "periodPayoutCents": row.period_payout_cents,
        "payableCarryInCents": row.payable_carry_in_cents,
        "payableCarryOutCents": row.payable_carry_out_cents,
        "payableAfter": clock.iso(row.payable_after),
        "payoutKey": row.payout_key,
        "statementHash": row.statement_hash,
        "artifactId": row.artifact_id,
        "artifactHash": row.artifact_hash,
        "closedAt": clock.iso(row.closed_at),
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
    }
