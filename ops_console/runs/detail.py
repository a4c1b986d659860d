"""One run, ready to print: its events, its settlement, the receipt, disputes, entries and the payout."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Q

from ops_console import words
from ops_console.errors import Fact, plain
from ops_console.journal import links
from ops_console.journal.listing import Row as EntryRow
from ops_console.journal.listing import row_of as entry_row
from ops_console.runs import wording
from ops_console.runs.forward import PaidBy, payouts_of
from ops_console.runs.listing import STATUSES
from settld.core import clock, money
from settld.core.errors import NotFound
from settld.kernel.models import (
    Adjustment,
    DecisionRecord,
    Dispute,
    DisputeEvidence,
    Run,
    RunEvent,
    Settlement,
    SettlementReceipt,
)
from settld.ledger.models import JournalEntry, Posting

MOST: Final = 100


class RunNotFound(NotFound):
    """No such run in this tenant."""

    message = "run not found"


@dataclass(frozen=True)
class Step:
    """One event of the run."""

    at: str
    at_iso: str
    title: str
    tone: str
    note: str
    document: str
    element_id: str


@dataclass(frozen=True)
class Document:
    """One receipt with the decision it rests on."""

    title: str
    tone: str
    facts: list[Fact]
    text: str
    element_id: str
    paid_by: PaidBy | None


@dataclass(frozen=True)
class Claim:
    """One dispute."""

    dispute_id: str
    status: str
    tone: str
    facts: list[Fact]
    evidence: list[str]


@dataclass(frozen=True)
class Correction:
    """One adjustment."""

    adjustment_id: str
    title: str
    amount: str
    at: str
    paid_by: PaidBy | None


@dataclass(frozen=True)
class Page:
    """The page."""

    run_id: str
    status: str
    tone: str
    facts: list[Fact]
    settlement: list[Fact]
    settlement_status: str
    settlement_tone: str
    steps: list[Step]
    more_steps: str
    documents: list[Document]
    claims: list[Claim] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)


def build(*, tenant_id: str, run_id: str) -> Page:
    """Read everything about a run; the number of queries is fixed. Raises RunNotFound."""
    run = Run.objects.filter(tenant_id=tenant_id, run_id=run_id).first()
    if run is None:
        raise RunNotFound()
    settlement = Settlement.objects.filter(tenant_id=tenant_id, run_id=run_id).first()
    events = list(RunEvent.objects.filter(tenant_id=tenant_id, run_id=run_id).order_by("-seq")[: MOST + 1])
    receipts = list(
        SettlementReceipt.objects.filter(tenant_id=tenant_id, run_id=run_id).order_by("-id")[:MOST]
    )
    decisions = {
        row.decision_id: row
        for row in DecisionRecord.objects.filter(tenant_id=tenant_id, run_id=run_id).order_by("-id")[:MOST]
    }
    adjustments = list(
        Adjustment.objects.filter(tenant_id=tenant_id, run_id=run_id).order_by("-created_at")[:MOST]
    )
    refs = [row.receipt_id for row in receipts] + [row.adjustment_id for row in adjustments]
    paid = payouts_of(tenant_id=tenant_id, ref_ids=refs)
    return Page(
        run_id=run.run_id,
        status=STATUSES[run.status],
        tone=wording.RUN_TONES[run.status],
        facts=_facts(run),
        settlement=_settlement(settlement),
        settlement_status=words.label(settlement.status) if settlement else "",
        settlement_tone=wording.SETTLEMENT_TONES[settlement.status] if settlement else "",
        steps=[_step(event) for event in reversed(events[:MOST])],
        more_steps=f"The newest {MOST} events" if len(events) > MOST else "",
        documents=[_document(row, decisions.get(row.decision_id), paid) for row in receipts],
        claims=_claims(tenant_id=tenant_id, run_id=run_id),
        corrections=[
            Correction(
                row.adjustment_id,
                words.label(row.kind),
                money.show(row.amount_cents, row.currency),
                words.moment(row.created_at),
                paid.get(row.adjustment_id),
            )
            for row in adjustments
        ],
        entries=_entries(tenant_id=tenant_id, run_id=run_id),
    )


def _facts(run: Run) -> list[Fact]:
    facts = [
        Fact("Agent", run.agent_id, href=links.agent_href(run.agent_id)),
        Fact("Task", run.task_type or ""),
        Fact("Input", run.input_ref or "", is_code=True),
        Fact("Started (UTC)", words.moment(run.started_at)),
        Fact("Ended (UTC)", words.moment(run.completed_at or run.failed_at)),
        Fact("Evidence", ", ".join(run.evidence_refs)),
        Fact("Failure", plain(run.failure) if run.failure else ""),
        Fact("Chain hash", run.last_chain_hash, is_code=True),
    ]
    return [fact for fact in facts if fact.value]


def _settlement(row: Settlement | None) -> list[Fact]:
    if row is None:
        return []
    facts = [
        Fact("Amount", money.show(row.amount_cents, row.currency)),
        Fact("Paid by", row.payer_agent_id, href=links.agent_href(row.payer_agent_id)),
        Fact("Paid to", row.agent_id, href=links.agent_href(row.agent_id)),
        Fact("Locked (UTC)", words.moment(row.locked_at)),
        Fact("Decision", wording.DECISIONS[row.decision_status]),
        Fact("Reason", row.decision_reason or ""),
        Fact("Resolved (UTC)", words.moment(row.resolved_at)),
    ]
    if row.resolved_at:
        facts += [
            Fact("Released", money.show(row.released_cents, row.currency)),
            Fact("Refunded", money.show(row.refunded_cents, row.currency)),
            Fact("Disputes until (UTC)", words.moment(row.dispute_window_ends_at)),
        ]
    return [fact for fact in facts if fact.value]


def _step(event: RunEvent) -> Step:
    note = ", ".join(f"{key}: {plain(value)}" for key, value in event.payload.items() if key != "runId")
    return Step(
        at=words.moment(event.at),
        at_iso=clock.iso(event.at) or "",
        title=words.label(event.type.lower()),
        tone=wording.EVENT_TONES[event.type],
        note=words.shortened(note, most=300),
        document=_json(
            {
                "eventId": event.event_id,
                "actor": event.actor,
                "payload": event.payload,
                "payloadHash": event.payload_hash,
                "prevChainHash": event.prev_chain_hash,
                "chainHash": event.chain_hash,
                "signerKeyId": event.signer_key_id,
            }
        ),
        element_id=f"event-{event.seq}",
    )


def _document(row: SettlementReceipt, decision: DecisionRecord | None, paid: dict[str, PaidBy]) -> Document:
    facts = [
        Fact("Receipt", row.receipt_id, is_code=True),
        Fact("Hash", row.receipt_hash, is_code=True),
        Fact("Released", money.show(row.released_cents, row.currency)),
        Fact("Refunded", money.show(row.refunded_cents, row.currency)),
        Fact("Settled (UTC)", words.moment(row.settled_at)),
    ]
    if decision is not None:
        facts += [
            Fact("Phase", decision.phase),
            Fact("Decision", f"{words.label(decision.decision_status)}, {words.moment(decision.decided_at)}"),
            Fact("Decision hash", decision.decision_hash, is_code=True),
        ]
    return Document(
        title="Final receipt" if row.finality_state == "final" else "Pending receipt",
        tone="good" if row.finality_state == "final" else "quiet",
        facts=[fact for fact in facts if fact.value],
        text=_json({"receipt": row.body, "decision": decision.body if decision else None}),
        element_id=row.receipt_id,
        paid_by=paid.get(row.receipt_id),
    )


def _claims(*, tenant_id: str, run_id: str) -> list[Claim]:
    disputes = list(Dispute.objects.filter(tenant_id=tenant_id, run_id=run_id).order_by("-opened_at")[:MOST])
    evidence: dict[str, list[str]] = {}
    found = DisputeEvidence.objects.filter(
        tenant_id=tenant_id, dispute_id__in=[row.dispute_id for row in disputes]
    )
    for item in found.order_by("submitted_at")[: MOST * 10]:
        evidence.setdefault(item.dispute_id, []).append(item.evidence_ref)
    return [_claim(row, evidence.get(row.dispute_id, [])) for row in disputes]


def _claim(row: Dispute, evidence: list[str]) -> Claim:
    context: dict[str, Any] = row.context or {}
    resolution: dict[str, Any] = row.resolution or {}
    facts = [
        Fact("Opened (UTC)", words.moment(row.opened_at)),
        Fact("By", row.opened_by_agent_id or ""),
        Fact("About", words.label(str(context.get("type") or ""))),
        Fact("Priority", words.label(str(context.get("priority") or ""))),
        Fact("Reason", str(context.get("reason") or "")),
        Fact("Closed (UTC)", words.moment(row.closed_at)),
        Fact("Outcome", words.label(str(resolution.get("outcome") or ""))),
        Fact("Summary", str(resolution.get("summary") or "")),
    ]
    return Claim(
        dispute_id=row.dispute_id,
        status=words.label(row.status),
        tone=wording.DISPUTE_TONES.get(row.status, "quiet"),
        facts=[fact for fact in facts if fact.value],
        evidence=evidence,
    )


def _entries(*, tenant_id: str, run_id: str) -> list[EntryRow]:
    """Give the run's entries of both books: by their ids, which carry the run's (kernel spec 4)."""
    about = (
        Q(entry_id=f"escrow_hold_{run_id}")
        | Q(entry_id__startswith=f"escrow_release_{run_id}_")
        | Q(entry_id__startswith=f"escrow_forfeit_{run_id}_")
        | Q(entry_id__startswith=f"jnl_escrow_release_{run_id}_")
        | Q(entry_id__startswith=f"transfer_sadj_run_{run_id}_")
        | Q(entry_id__startswith=f"jnl_transfer_sadj_run_{run_id}_")
    )
    entries = list(JournalEntry.objects.filter(about, tenant_id=tenant_id).order_by("at", "id")[:MOST])
    postings: dict[str, list[Posting]] = {}
    names = [entry.entry_id for entry in entries]
    for line in Posting.objects.filter(tenant_id=tenant_id, entry_id__in=names).order_by("posting_no"):
        postings.setdefault(line.entry_id, []).append(line)
    return [entry_row(entry, postings.get(entry.entry_id, [])) for entry in entries]


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True)
