"""Closing a month: one transaction that freezes its statements and writes what must be paid."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum

from settld.artifacts import services as artifacts
from settld.audit import services as audit
from settld.closing import close_documents, documents
from settld.closing.models import DocumentKind, PartyStatement
from settld.closing.queries import current, in_code_point_order, period_lines, rollforward
from settld.closing.services import (
    derivation,
    finance_pack_jobs,
    gl_batches,
    hold_policy,
    instructions,
    journal_csv,
    month_documents,
)
from settld.closing.services.hold_policy import HoldPolicy
from settld.core import clock, failpoints, money, transactions
from settld.core.principals import Actor
from settld.kernel.queries.payables import month_bounds
from settld.ledger import queries as ledger
from settld.ledger.models import JournalEntry, MonthClose, MonthEvent, MonthStatus
from settld.ledger.queries import StreamProof
from settld.ledger.services import events, months
from settld.ledger.states import Book

WORKER = Actor.system("month_close_worker")


@dataclass(frozen=True)
class Closed:
    """What a close did; `is_new` is False when there was nothing left to do, or holds stood in the way."""

    month: MonthClose
    is_new: bool
    instruction_count: int = 0


@dataclass(frozen=True)
class _Run:
    """One try to close a month: its row, the request it carries out, and the clock."""

    row: MonthClose
    request: MonthEvent
    proof: StreamProof
    policy: HoldPolicy
    now: dt.datetime

    @property
    def tenant_id(self) -> str:
        return self.row.tenant_id

    @property
    def statements(self) -> QuerySet[PartyStatement]:
        return current(tenant_id=self.tenant_id).filter(period=self.row.month, basis=self.row.basis)


def close_month(*, tenant_id: str, month: str, basis: str, now: dt.datetime) -> Closed:
    """Carry out a pending close.

    All or nothing: what the ledger owes each party is derived, statements become CLOSED, each payable one
    has its instruction, the month's documents are written and MONTH_CLOSED is appended. Documents carry the
    time of the request, so a run that starts again after a crash writes the same bytes. With no request
    pending nothing happens. Holds that the policy minds leave the month OPEN and the request pending, with
    `lastAttempt` saying which. Raises BatchImbalanced, ExportBlocked, StatementOutOfRange: nothing was
    written. Source: spec/settld-billing-and-finance.md 5.2.
    """
    with transactions.atomic():
        row = months.lock_exclusively(tenant_id=tenant_id, month=month, basis=basis, now=now)
        request = ledger.find_event(tenant_id=tenant_id, event_id=row.last_event_id)
        if not row.request_pending or request is None:
            return Closed(month=row, is_new=False)
        now = max(now, request.at)  # another machine's clock may have made the request
        policy = hold_policy.policy_for(tenant_id=tenant_id, month=month)
        run = _Run(row, request, ledger.proof_at(request), policy, now)
        holds = hold_policy.open_holds(tenant_id=tenant_id, month=month, policy=policy)
        if holds and policy.name != hold_policy.DISCLOSE:
            row.last_attempt = attempt(
                at=now, status="blocked", reason="open_holds", policy=policy, blocking=holds
            )
            row.updated_at = now
            row.save()
            return Closed(month=row, is_new=False)
        count = _close(run, holds)
        failpoints.hit("close.before_commit")
    failpoints.hit("close.after_commit")
    return Closed(month=row, is_new=True, instruction_count=count)


def _close(run: _Run, holds: list[dict[str, Any]]) -> int:
    row = run.row
    period_lines.prepare()
    sums = period_lines.sums(tenant_id=run.tenant_id, period=row.month)
    gl_batches.require_balance(sums)
    derived = derivation.derive(
        month=row, sums=sums, proof=run.proof, generated_at=run.request.at, now=run.now
    )
    derivation.freeze_manual(month=row, now=run.now)
    count = instructions.write_missing(
        tenant_id=run.tenant_id,
        subjects=_payable(run.statements),
        proof=run.proof,
        generated_at=run.request.at,
        now=run.now,
    )
    failpoints.hit("close.after_statements")
    _write_rollforward(run, holds)
    failpoints.hit("close.before_freeze")
    statement = _write_monthly_statement(run, entry_count=_entry_count(run))
    batch = gl_batches.write(
        month=row,
        sums=sums,
        monthly_statement_hash=statement.artifact_hash,
        proof=run.proof,
        generated_at=run.request.at,
        now=run.now,
    )
    month_documents.add_sealed(month=row, kind=DocumentKind.GL_BATCH, sealed=batch, now=run.now)
    failpoints.hit("close.after_gl_batch")
    csv = journal_csv.write_at_close(
        month=row,
        batch=batch,
        is_whole=sum(own.line_count for own in sums.values()) <= gl_batches.MOST_LINES,
        sums=sums,
        proof=run.proof,
        generated_at=run.request.at,
        now=run.now,
    )
    if csv is not None:
        month_documents.add_sealed(month=row, kind=DocumentKind.JOURNAL_CSV, sealed=csv, now=run.now)
    _freeze(
        row,
        statement_id=statement.artifact_id,
        statement_hash=statement.artifact_hash,
        policy=run.policy,
        dropped=derived.dropped,
        now=run.now,
    )
    if csv is not None:  # without it there can be no pack of this close
        finance_pack_jobs.enqueue(month=row, request_event_id=run.request.event_id)
    return count


def _payable(statements: QuerySet[PartyStatement]) -> Any:
    rows = statements.filter(payout_cents__gt=0, party_role__in=documents.PAID_ROLES).defer("references")
    return rows.order_by(*in_code_point_order("party_id", "party_role", "currency")).iterator(chunk_size=2000)


def _entry_count(run: _Run) -> int:
    return JournalEntry.objects.filter(
        tenant_id=run.tenant_id, book=Book.GENERAL, period=run.row.month
    ).count()


def _write_rollforward(run: _Run, holds: list[dict[str, Any]]) -> None:
    row = run.row
    name = f"held_rollforward_{run.tenant_id}_{row.month}_{run.proof.source_event_id}"
    starts_at, ends_at = month_bounds(row.month)
    buckets = rollforward.buckets(tenant_id=run.tenant_id, month=row.month)
    home = buckets.pop(close_documents.HOME_CURRENCY)
    body = close_documents.envelope(
        close_documents.HELD_ROLLFORWARD, name, month=row, proof=run.proof, generated_at=run.request.at
    ) | {
        "window": {"startAt": clock.iso(starts_at), "endAt": clock.iso(ends_at)},
        "rollforward": {"currency": close_documents.HOME_CURRENCY, "buckets": home, "byCurrency": buckets},
        "closeHoldPolicy": run.policy.name,
        "closeHoldPolicySource": run.policy.source,
        "openHolds": holds,
    }
    draft = artifacts.Draft(artifact_id=name, artifact_type=close_documents.HELD_ROLLFORWARD, body=body)
    stored, _ = _store(draft, tenant_id=run.tenant_id, now=run.now)
    month_documents.add(
        month=row,
        kind=DocumentKind.HELD_ROLLFORWARD,
        artifact_id=stored.artifact_id,
        artifact_hash=stored.artifact_hash,
        now=run.now,
    )


def _write_monthly_statement(run: _Run, *, entry_count: int) -> Any:
    row = run.row
    settled = rollforward.settled(tenant_id=run.tenant_id, month=row.month)
    statement, _ = _store(
        documents.monthly_statement_draft(
            tenant_id=run.tenant_id,
            month=row.month,
            basis=row.basis,
            generation=row.generation,
            generated_at=run.request.at,
            totals=_totals(run.statements),
            statements_digest=_statements_digest(run),
            settled=settled,
            entry_count=entry_count,
            proof=run.proof,
        ),
        tenant_id=run.tenant_id,
        now=run.now,
    )
    month_documents.add(
        month=row,
        kind=DocumentKind.MONTHLY_STATEMENT,
        artifact_id=statement.artifact_id,
        artifact_hash=statement.artifact_hash,
        now=run.now,
    )
    return statement


def _store(draft: artifacts.Draft, *, tenant_id: str, now: dt.datetime) -> tuple[Any, bool]:
    return artifacts.get_or_create(
        tenant_id=tenant_id,
        artifact_id=draft.artifact_id,
        artifact_type=draft.artifact_type,
        body=draft.body,
        now=now,
    )


_DIGEST = """
SELECT encode(sha256(convert_to('[' || coalesce(string_agg(
    '{"currency":' || to_json(currency)::text || ',"partyId":' || to_json(party_id)::text || ',"partyRole":'
    || to_json(party_role)::text || ',"statementHash":"' || statement_hash || '"}', ','
    ORDER BY party_id COLLATE "C", party_role COLLATE "C", currency COLLATE "C"), '') || ']', 'UTF8')), 'hex')
FROM party_statement
WHERE tenant_id = %s AND period = %s AND basis = %s AND superseded_at IS NULL
"""


def _statements_digest(run: _Run) -> str:
    """Hash the canonical JSON array that lists the month's statements."""
    with connection.cursor() as cursor:
        cursor.execute(_DIGEST, [run.tenant_id, run.row.month, run.row.basis])
        return str(cursor.fetchone()[0])


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


def _freeze(
    row: MonthClose,
    *,
    statement_id: str,
    statement_hash: str,
    policy: HoldPolicy,
    dropped: list[dict[str, str]],
    now: dt.datetime,
) -> None:
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
    row.last_attempt = attempt(at=now, status="closed", reason=None, policy=policy)
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
            **({"droppedManualStatements": dropped[:1000]} if dropped else {}),
        },
        at=now,
    )


def attempt(
    *,
    at: dt.datetime,
    status: str,
    reason: str | None,
    policy: HoldPolicy,
    blocking: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Write down how a try to close went; `blocking` lists the holds that stand in the way."""
    return {
        "at": clock.iso(at),
        "status": status,
        "reason": reason,
        "closeHoldPolicy": policy.name,
        "closeHoldPolicySource": policy.source,
        "blocking": blocking or [],
    }
