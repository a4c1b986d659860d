"""Closing a month: one transaction that freezes its statements and writes what must be paid."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, Sum

from settld.artifacts import services as artifacts
from settld.audit import services as audit
from settld.closing import documents
from settld.closing.models import PartyStatement, StatementStatus
from settld.closing.queries import current, in_code_point_order
from settld.closing.services import instructions
from settld.core import canonical_json, clock, failpoints, money, transactions
from settld.core.principals import Actor
from settld.ledger import queries as ledger
from settld.ledger.models import MonthClose, MonthStatus
from settld.ledger.services import events, months

WORKER = Actor.system("month_close_worker")
HOLD_POLICY = "BLOCK_HOLDS_ORIGINATED_IN_PERIOD"
HOLD_POLICY_SOURCE = {"kind": "config", "eventId": None, "chainHash": None, "effectiveFrom": None}
NOTHING_BLOCKS: list[dict[str, str]] = []


@dataclass(frozen=True)
class Closed:
    """What a close did; `is_new` is False when there was nothing left to do."""

    month: MonthClose
    is_new: bool
    instruction_count: int = 0


def close_month(*, tenant_id: str, month: str, basis: str, now: dt.datetime) -> Closed:
    """Carry out a pending close.

    All or nothing: statements become CLOSED, each payable one has its instruction, the month's own
    statement is written and MONTH_CLOSED is appended. Documents carry the time of the request, so a
    run that starts again after a crash writes the same bytes. With no request pending nothing happens.
    """
    with transactions.atomic():
        row = months.lock_exclusively(tenant_id=tenant_id, month=month, basis=basis, now=now)
        request = ledger.find_event(tenant_id=tenant_id, event_id=row.last_event_id)
        if not row.request_pending or request is None:
            return Closed(month=row, is_new=False)
        now = max(now, request.at)  # another machine's clock may have made the request
        proof = ledger.proof_at(request)
        statements = current(tenant_id=tenant_id).filter(period=month, basis=basis)
        statements.update(
            status=StatementStatus.CLOSED, closed_at=now, generation=row.generation, updated_at=now
        )
        digest = hashlib.sha256()
        count = instructions.write_missing(
            tenant_id=tenant_id,
            subjects=_digested(
                statements.order_by(*in_code_point_order("party_id", "party_role", "currency")), digest
            ),
            proof=proof,
            generated_at=request.at,
            now=now,
        )
        failpoints.hit("close.before_freeze")
        statement, _ = _store(
            documents.monthly_statement_draft(
                tenant_id=tenant_id,
                month=month,
                basis=basis,
                generation=row.generation,
                generated_at=request.at,
                totals=_totals(statements),
                statements_digest=digest.hexdigest(),
                proof=proof,
            ),
            tenant_id=tenant_id,
            now=now,
        )
        _freeze(row, statement_id=statement.artifact_id, statement_hash=statement.artifact_hash, now=now)
        failpoints.hit("close.before_commit")
    failpoints.hit("close.after_commit")
    return Closed(month=row, is_new=True, instruction_count=count)


def _store(draft: artifacts.Draft, *, tenant_id: str, now: dt.datetime) -> tuple[Any, bool]:
    return artifacts.get_or_create(
        tenant_id=tenant_id,
        artifact_id=draft.artifact_id,
        artifact_type=draft.artifact_type,
        body=draft.body,
        now=now,
    )


def _digested(statements: Any, digest: Any) -> Iterator[PartyStatement]:
    """Pass statements on while hashing the canonical JSON array that lists them all."""
    separator = b"["
    for statement in statements.iterator(chunk_size=2000):
        line = {
            "partyId": statement.party_id,
            "partyRole": statement.party_role,
            "currency": statement.currency,
            "statementHash": statement.statement_hash,
        }
        digest.update(separator + canonical_json.dumps(line))
        separator = b","
        yield statement
    digest.update(b"[]" if separator == b"[" else b"]")


def _totals(statements: Any) -> list[dict[str, Any]]:
    """Add up by currency and role."""
    rows = statements.order_by().values("currency", "party_role")
    rows = rows.annotate(
        statement_count=Count("pk"),
        owed=Sum("payout_cents"),
        payable=Sum(
            "payout_cents", filter=Q(payout_cents__gt=0, party_role__in=documents.PAID_ROLES), default=0
        ),
    )
    return [
        {
            "currency": row["currency"],
            "partyRole": row["party_role"],
            "statementCount": row["statement_count"],
            "payoutCents": money.exact(int(row["owed"])),
            "payableCents": money.exact(int(row["payable"])),
        }
        for row in rows.order_by(*in_code_point_order("currency", "party_role"))
    ]


def _freeze(row: MonthClose, *, statement_id: str, statement_hash: str, now: dt.datetime) -> None:
    payload = {
        "tenantId": row.tenant_id,
        "month": row.month,
        "basis": row.basis,
        "closedAt": clock.iso(now),
        "statementArtifactId": statement_id,
        "statementArtifactHash": statement_hash,
    }
    event = events.append(month=row, event_type="MONTH_CLOSED", payload=payload, actor=WORKER, at=now)
    row.status, row.request_pending = MonthStatus.CLOSED, False
    row.closed_at = row.updated_at = now
    row.statement_artifact_id, row.statement_artifact_hash = statement_id, statement_hash
    row.last_attempt = attempt(at=now, status="closed", reason=None)
    row.save()
    audit.append(
        tenant_id=row.tenant_id,
        actor=WORKER,
        action="MONTH_CLOSED",
        target_type="month_close",
        target_id=row.stream_id,
        details={
            "month": row.month,
            "basis": row.basis,
            "eventId": event.event_id,
            "statementArtifactId": statement_id,
            "statementArtifactHash": statement_hash,
        },
        at=now,
    )


def attempt(*, at: dt.datetime, status: str, reason: str | None) -> dict[str, Any]:
    """Write down how a try to close went; `blocking` lists the holds that stand in the way."""
    return {
        "at": clock.iso(at),
        "status": status,
        "reason": reason,
        "closeHoldPolicy": HOLD_POLICY,
        "closeHoldPolicySource": HOLD_POLICY_SOURCE,
        "blocking": NOTHING_BLOCKS,
    }
