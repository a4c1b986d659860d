"""A payout's story: everything we wrote down about it, in the order in which it happened."""

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

from moneyrails.models import ChargebackEntry, DispatchAttempt, Movement, Operation, ProviderEvent
from ops_console import people, words
from ops_console.errors import Fact, plain
from settld.audit.models import OpsAudit
from settld.audit.queries import AuditFilter
from settld.audit.queries import newest as newest_audit
from settld.core import clock, money

MOST_EVENTS = 200
MOST_AUDIT = 200
EVENT_TONES = {"applied": "good", "noop": "quiet", "rejected": "bad"}


@dataclass(frozen=True)
class Step:
    """One entry."""

    when: dt.datetime
    rank: int
    kind: str
    title: str
    tone: str
    note: str = ""
    facts: list[Fact] = field(default_factory=list)
    document: str = ""
    document_label: str = ""
    element_id: str = ""

    @property
    def at(self) -> str:
        """Write the instant for people."""
        return words.moment(self.when)

    @property
    def at_iso(self) -> str:
        """Write the instant for machines."""
        return clock.iso(self.when) or ""


@dataclass(frozen=True)
class Records:
    """The rows behind a payout, newest attempts and events first as the database gave them."""

    attempts: list[DispatchAttempt]
    events: list[ProviderEvent]
    movements: list[Movement]
    entries: list[ChargebackEntry]
    audit: list[OpsAudit]
    names: dict[str, str]


def records(operation: Operation) -> Records:
    """Read everything about a payout in six queries."""
    tenant_id = operation.tenant_id
    attempts = list(
        DispatchAttempt.objects.filter(tenant_id=tenant_id, operation=operation).order_by("attempt")
    )
    audit = list(
        newest_audit(
            tenant_id=tenant_id,
            wanted=AuditFilter(target_type="money_rail_operation", target_id=operation.operation_id),
        )[:MOST_AUDIT]
    )
    return Records(
        attempts=attempts,
        events=list(
            ProviderEvent.objects.filter(tenant_id=tenant_id, operation=operation).order_by(
                "received_at", "id"
            )[:MOST_EVENTS]
        ),
        movements=list(
            Movement.objects.filter(tenant_id=tenant_id, operation=operation).order_by("recorded_at", "id")
        ),
        entries=list(
            ChargebackEntry.objects.filter(tenant_id=tenant_id, operation=operation).order_by(
                "recorded_at", "id"
            )
        ),
        audit=audit,
        names=people.names(
            {attempt.submitted_by for attempt in attempts} | {row.actor_principal_id for row in audit}
        ),
    )


def build(operation: Operation, found: Records) -> list[Step]:
    """Tell the story, oldest first; what happened at one instant keeps the order of cause and effect."""
    steps = [_initiated(operation)]
    steps += [step for attempt in found.attempts for step in _attempt(attempt, found.names)]
    steps += [_event(event) for event in found.events]
    steps += [_movement(movement) for movement in found.movements]
    steps += [_entry(entry) for entry in found.entries]
    steps += [_audit(row, by=found.names[row.actor_principal_id]) for row in found.audit]
    return sorted(steps, key=lambda step: (step.when, step.rank))


def _initiated(operation: Operation) -> Step:
    count = len(operation.gate_verdicts or [])
    return Step(
        when=operation.initiated_at,
        rank=0,
        kind="Operation",
        title="Enqueued",
        tone="info",
        note=f"Passed {words.count(count, 'gate')}; the sum counts against the cap of that UTC day."
        if count
        else "",
        facts=[
            Fact("Amount", money.show(operation.amount_cents, operation.currency)),
            Fact("Destination", operation.counterparty_ref, is_code=True),
        ],
        document=_document(operation.metadata),
        document_label="Metadata",
        element_id="doc-metadata",
    )


def _attempt(attempt: DispatchAttempt, names: dict[str, str]) -> list[Step]:
    facts = [Fact("Idempotency key", attempt.idempotency_key, is_code=True)]
    if attempt.submitted_by:
        facts.append(Fact("Submitted by", names[attempt.submitted_by]))
    opened = Step(
        when=attempt.created_at,
        rank=1,
        kind="Attempt",
        title=f"Attempt {attempt.attempt} opened",
        tone="info",
        note="Written down before anything was sent.",
        facts=facts,
        document=_document(attempt.request),
        document_label="What was sent",
        element_id=f"doc-request-{attempt.pk}",
    )
    if attempt.status == "dispatching":
        return [opened]
    answer_facts = []
    if attempt.observed_ref:
        answer_facts.append(Fact("Transfer", attempt.observed_ref, is_code=True))
    if isinstance(attempt.error, dict):
        named = ("message", "category", "providerCode", "httpStatus", "providerRequestId", "retryable")
        answer_facts += [
            Fact(words.label(key), plain(attempt.error[key]))
            for key in named
            if attempt.error.get(key) is not None
        ]
    if attempt.resolved_by:
        answer_facts += [
            Fact("Resolved by", attempt.resolved_by, is_code=True),
            Fact("Reason", attempt.resolution_reason),
        ]
    answered = Step(
        when=attempt.updated_at,
        rank=2,
        kind="Provider answer",
        title=f"Attempt {attempt.attempt}: {words.DISPATCH_LABELS[attempt.status].lower()}",
        tone=words.DISPATCH_TONES.get(attempt.status, "quiet"),
        note=_attempt_note(attempt),
        facts=answer_facts,
        document=_document(attempt.answer if attempt.answer is not None else attempt.error),
        document_label="What the provider said",
        element_id=f"doc-answer-{attempt.pk}",
    )
    return [opened, answered]


def _attempt_note(attempt: DispatchAttempt) -> str:
    notes = {
        "in_doubt": "Money may have moved. The same key is asked again until there is a clear answer.",
        "indeterminate": "No clear answer can be had any more. A person has to settle it by evidence.",
        "retryable": "Certainly not carried out; the next submit uses the same key.",
        "rejected": "A clear no: nothing moved. The next submit opens a new attempt with a new key.",
        "not_sent": "Found not to have been sent; a new attempt may be opened.",
    }
    return notes.get(attempt.status, "")


def _event(event: ProviderEvent) -> Step:
    outcome = {"applied": "applied", "noop": "nothing to change", "rejected": "refused"}[event.outcome]
    facts = [Fact("Source", words.label(event.source))]
    if event.event_id:
        facts.append(Fact("Event", event.event_id, is_code=True))
    if event.provider_status:
        facts.append(Fact("Provider status", event.provider_status))
    if event.reason_code:
        facts.append(Fact("Reason", event.reason_code, is_code=True))
    if event.refusal_code:
        facts.append(Fact("Refused with", event.refusal_code, is_code=True))
    if event.at != event.received_at:
        facts.append(Fact("Provider's time", words.moment(event.at)))
    return Step(
        when=event.received_at,
        rank=3,
        kind="Provider event",
        title=f"{words.STATE_LABELS.get(event.event_type, event.event_type)}: {outcome}",
        tone="bad"
        if event.outcome == "applied" and event.event_type in ("failed", "reversed")
        else EVENT_TONES[event.outcome],
        facts=facts,
        document=_document(event.payload),
        document_label="Payload",
        element_id=f"doc-event-{event.pk}",
    )


def _movement(movement: Movement) -> Step:
    titles = {"transfer": "Money left", "return": "Money came back", "reversal": "Money was taken back"}
    facts = [Fact(words.label(movement.reference_type), movement.reference_id, is_code=True)]
    if movement.provider_ref:
        facts.insert(0, Fact("Provider reference", movement.provider_ref, is_code=True))
    return Step(
        when=movement.recorded_at,
        rank=4,
        kind="Movement",
        title=f"{titles[movement.kind]}: {money.show(movement.amount_cents, movement.currency)}",
        tone="good" if movement.kind == "transfer" else "bad",
        facts=facts,
    )


def _entry(entry: ChargebackEntry) -> Step:
    facts = [Fact("Party owes then", money.show(entry.outstanding_after_cents, entry.currency))]
    if entry.reason_code:
        facts.append(Fact("Reason", entry.reason_code, is_code=True))
    return Step(
        when=entry.recorded_at,
        rank=5,
        kind="Party balance",
        title=f"{words.label(entry.kind)}: {money.show(entry.amount_cents, entry.currency)}",
        tone="warn",
        note=entry.note,
        facts=facts,
    )


def _audit(row: OpsAudit, *, by: str) -> Step:
    facts = [Fact("By", by), Fact("Chain position", f"{row.seq:,}")]
    if row.request_id:
        facts.append(Fact("Request", row.request_id, is_code=True))
    return Step(
        when=row.at,
        rank=6,
        kind="Audit",
        title=words.action(row.action),
        tone="quiet",
        facts=facts,
        document=_document(
            {"details": row.details, "detailsHash": row.details_hash, "rowHash": row.row_hash}
        ),
        document_label="Audit row",
        element_id=f"doc-audit-{row.pk}",
    )


def _document(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) if value else ""
