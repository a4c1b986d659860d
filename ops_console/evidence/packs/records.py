"""How the rows of a payout look in a pack."""

from collections.abc import Iterable
from typing import Any

from moneyrails.models import (
    ChargebackEntry,
    DispatchAttempt,
    DispatchCheck,
    Movement,
    Operation,
    ProviderEvent,
)
from ops_console.evidence.packs.collecting import Collected, documents_of
from reconciliation.models import Mismatch, Triage, TriageAction
from settld.artifacts.models import Artifact
from settld.core import clock
from settld.core.canonical_json import CanonicalJsonError
from settld.core.hashing import canonical_hash


def payout_members(found: Collected, operation: Operation) -> dict[str, Any]:
    """Write one payout's records, by member name."""
    pk = operation.pk
    statement, instruction = (found.artifacts.get(name) for name in documents_of(operation))
    members: dict[str, Any] = {
        "operation.json": _operation(operation),
        "gates.json": {"askedAt": clock.iso(operation.initiated_at), "verdicts": operation.gate_verdicts},
        "attempts.json": [_attempt(row) for row in found.attempts.get(pk, [])],
        "checks.json": [_check(row) for row in found.checks.get(pk, [])],
        "events.json": [_event(row, found.raw_hashes) for row in found.events.get(pk, [])],
        "movements.json": [_movement(row, operation) for row in found.movements.get(pk, [])],
        "chargebacks.json": [_entry(row) for row in found.entries.get(pk, [])],
    }
    if statement is not None:
        members["statement.json"] = enclosed(statement)
    if instruction is not None:
        members["instruction.json"] = enclosed(instruction)
    return members


def enclosed(artifact: Artifact) -> dict[str, Any]:
    """Show an artifact as the API answers it: the document, and the server's signature over its hash."""
    return {"artifact": artifact.document, "signature": artifact.signature}


def mismatch_rows(found: Collected) -> list[dict[str, Any]]:
    """Write the cases with the decisions about them."""
    return [
        _case(case, found.decisions.get(case.triage_key), found.history.get(case.triage_key, []))
        for case in found.cases
    ]


def payload_hash(value: Any) -> str | None:
    """Hash what a provider said; None when it said nothing, or nothing that has a canonical form."""
    if value is None:
        return None
    try:
        return canonical_hash(value)
    except CanonicalJsonError:
        return None


def _operation(row: Operation) -> dict[str, Any]:
    """Write the operation as the API shows it (`MoneyRailOperation.v1`)."""
    stamps = ("initiated", "submitted", "confirmed", "failed", "cancelled", "reversed", "created", "updated")
    return {
        "schemaVersion": "MoneyRailOperation.v1",
        "providerId": row.provider_id,
        "operationId": row.operation_id,
        "tenantId": row.tenant_id,
        "direction": row.direction,
        "idempotencyKey": row.payout_key,
        "amountCents": row.amount_cents,
        "currency": row.currency,
        "counterpartyRef": row.counterparty_ref,
        "metadata": row.metadata,
        "state": row.state,
        "providerRef": row.provider_ref or None,
        "reasonCode": row.reason_code or None,
    } | {f"{stamp}At": clock.iso(getattr(row, f"{stamp}_at")) for stamp in stamps}


def _attempt(row: DispatchAttempt) -> dict[str, Any]:
    """What the provider answered stays outside, as its hash: it may speak of people."""
    return {
        "attempt": row.attempt,
        "status": row.status,
        "idempotencyKey": row.idempotency_key,
        "request": row.request,
        "requestHash": payload_hash(row.request),
        "observedRef": row.observed_ref or None,
        "error": row.error,
        "answerHash": payload_hash(row.answer),
        "wasInDoubt": row.was_in_doubt,
        "firstSentAt": clock.iso(row.first_sent_at),
        "submittedBy": row.submitted_by or None,
        "resolvedBy": row.resolved_by or None,
        "resolvedAt": clock.iso(row.resolved_at),
        "resolutionReason": row.resolution_reason or None,
        "resolutionEvidence": row.resolution_evidence or None,
        "submitterHands": row.submitter_hands,
        "resolverHands": row.resolver_hands,
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
    }


def _check(row: DispatchCheck) -> dict[str, Any]:
    return {
        "attempt": row.attempt.attempt,
        "kind": row.kind,
        "outcome": row.outcome,
        "checkedBy": row.checked_by,
        "requestId": row.request_id or None,
        "found": row.found,
        "error": row.error,
        "note": row.note or None,
        "checkedAt": clock.iso(row.checked_at),
    }


def _event(row: ProviderEvent, raw_hashes: dict[str, str]) -> dict[str, Any]:
    return {
        "eventType": row.event_type,
        "eventId": row.event_id or None,
        "providerStatus": row.provider_status or None,
        "providerRef": row.provider_ref or None,
        "reasonCode": row.reason_code or None,
        "outcome": row.outcome,
        "refusalCode": row.refusal_code or None,
        "source": row.source,
        "at": clock.iso(row.at),
        "receivedAt": clock.iso(row.received_at),
        "payloadHash": payload_hash(row.payload),
        "signedPayloadSha256": raw_hashes.get(row.event_id),
    }


def _movement(row: Movement, operation: Operation) -> dict[str, Any]:
    return {
        "operationId": operation.operation_id,
        "kind": row.kind,
        "providerId": row.provider_id,
        "providerMode": row.provider_mode,
        "providerRef": row.provider_ref or None,
        "amountCents": row.amount_cents,
        "currency": row.currency,
        "referenceType": row.reference_type,
        "referenceId": row.reference_id,
        "at": clock.iso(row.at),
        "recordedAt": clock.iso(row.recorded_at),
    }


def _entry(row: ChargebackEntry) -> dict[str, Any]:
    return {
        "entryId": str(row.pk),
        "kind": row.kind,
        "partyId": row.party_id,
        "providerMode": row.provider_mode,
        "amountCents": row.amount_cents,
        "currency": row.currency,
        "seq": row.seq,
        "outstandingAfterCents": row.outstanding_after_cents,
        "payoutKey": row.payout_key or None,
        "reversalEntryId": str(row.reversal_id) if row.reversal_id else None,
        "reasonCode": row.reason_code or None,
        "note": row.note or None,
        "recordedBy": row.recorded_by,
        "at": clock.iso(row.at),
        "recordedAt": clock.iso(row.recorded_at),
    }


def _case(case: Mismatch, decision: Triage | None, history: Iterable[TriageAction]) -> dict[str, Any]:
    """Leave out when a run last saw it: that changes every few minutes and says nothing about the money."""
    return {
        "triageKey": case.triage_key,
        "sourceType": case.source_type,
        "period": case.period or None,
        "providerId": case.provider_id or None,
        "mismatchType": case.mismatch_type,
        "mismatchKey": case.mismatch_key,
        "mismatchCode": case.mismatch_code,
        "severity": case.severity,
        "details": case.details,
        "mismatchHash": case.mismatch_hash,
        "firstSeenAt": clock.iso(case.first_seen_at),
        "clearedAt": clock.iso(case.cleared_at),
        "triage": decision and _decision(decision),
        "history": [_action(row) for row in sorted(history, key=lambda row: row.revision)],
    }


def _decision(row: Triage) -> dict[str, Any]:
    return {
        "status": row.status,
        "severity": row.severity or None,
        "ownerPrincipalId": row.owner_principal_id or None,
        "notes": row.notes or None,
        "mismatchHash": row.mismatch_hash or None,
        "revision": row.revision,
        "updatedAt": clock.iso(row.updated_at),
        "resolvedAt": clock.iso(row.resolved_at),
        "resolvedByPrincipalId": row.resolved_by_principal_id or None,
    }


def _action(row: TriageAction) -> dict[str, Any]:
    return {
        "revision": row.revision,
        "action": row.action,
        "at": clock.iso(row.at),
        "actorPrincipalId": row.actor_principal_id,
        "prevStatus": row.prev_status or None,
        "nextStatus": row.next_status,
        "severity": row.severity or None,
        "ownerPrincipalId": row.owner_principal_id or None,
        "notes": row.notes or None,
    }
