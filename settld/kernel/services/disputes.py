"""A claim against a settlement: opening it, adding evidence, taking it to a higher level (kernel spec 8).

No money moves here. Every verb locks run and settlement, then the dispute, and mirrors the dispute in the
settlement's columns. Windows are inclusive: at their end a dispute may still be opened.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from settld.audit import services as audit
from settld.core import clock, failpoints, rows, transactions
from settld.core.errors import Conflict, Invalid
from settld.core.principals import Actor
from settld.kernel import bindings, identifiers
from settld.kernel.models import Dispute, DisputeEvidence, Settlement
from settld.kernel.queries.settlements import Settled
from settld.kernel.services import dispute_words as words
from settld.kernel.services import locking, row_writing
from settld.kernel.services.dispute_words import DisputeTransitionRejected
from settld.kernel.states import DisputeStatus, SettlementStatus


class SettlementNotResolved(Conflict):
    """There is nothing to dispute before the money has moved."""

    message = "cannot dispute settlement before resolution"


class DisputeWindowClosed(Conflict):
    """The time to dispute is over, or there never was one."""

    message = "dispute window has closed"


class DisputeAlreadyArbitrated(Conflict):
    """An arbiter has ruled on this settlement; what is left is an appeal."""

    code = "DISPUTE_ALREADY_ARBITRATED"
    message = "dispute was arbitrated"


class DisputeIdMismatch(Conflict):
    """The dispute that was named is not the open one."""

    code = "DISPUTE_ID_MISMATCH"
    message = "disputeId is not the open dispute"


class DisputeNotOpen(Conflict):
    """No dispute is open."""

    code = "DISPUTE_NOT_OPEN"
    message = "settlement has no open dispute"


class EscalationDowngraded(Conflict):
    """A dispute only goes up."""

    message = "escalationLevel cannot downgrade an active dispute"


@dataclass(frozen=True, slots=True)
class Disputed:
    """What a verb did: the settlement as it is now, the dispute, and what was added to it."""

    settlement: Settlement
    dispute: Dispute
    evidence: DisputeEvidence | None = None
    escalation: dict[str, Any] | None = None


def open_dispute(
    *,
    tenant_id: str,
    run_id: str,
    dispute_id: str | None = None,
    context: Mapping[str, Any],
    actor: Actor,
    now: dt.datetime,
) -> Disputed:
    """Open a dispute within the window; the settlement has none open and none that was arbitrated.

    `context` is a disputeContext as `context_of` reads it. Raises RunNotFound, SettlementNotFound,
    SettlementNotResolved, SettlementKernelBindingInvalid, DisputeWindowClosed, DisputeTransitionRejected
    (one is open, or the id is taken), DisputeAlreadyArbitrated.
    """
    with transactions.joined():
        settled = lock_resolved(tenant_id=tenant_id, run_id=run_id)
        settlement = settled.row
        ends_at = settlement.dispute_window_ends_at
        if ends_at is None or now > ends_at:
            raise DisputeWindowClosed(details={"disputeWindowEndsAt": clock.iso(ends_at)})
        if settlement.dispute_status == DisputeStatus.OPEN:
            raise DisputeTransitionRejected(
                details={"message": "a dispute is open", "disputeId": settlement.dispute_id}
            )
        earlier = rows.every(Dispute, "tenant_id = %s AND run_id = %s", [tenant_id, run_id])
        if any(dispute.is_arbitrated for dispute in earlier):
            raise DisputeAlreadyArbitrated()
        dispute = _insert(settlement, dispute_id=dispute_id, earlier=len(earlier), context=context, now=now)
        for ref in context["evidenceRefs"]:
            add_evidence(dispute, ref=ref, by_agent_id=context["openedByAgentId"], reason=None, now=now)
        mirror(settlement, dispute, now=now)
        record(dispute, actor=actor, action="RUN_DISPUTE_OPENED", details=dict(context), now=now)
        failpoints.hit("kernel.open_dispute.before_commit")
    return Disputed(settlement, dispute)


def context_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Read a disputeContext from a request. Raises DisputeTransitionRejected for a bad word, else Invalid."""

    def either(long: str, short: str) -> Any:
        return given.get(long) if given.get(long) is not None else given.get(short)

    level = words.word(
        given.get("escalationLevel"), words.LEVELS, key="escalationLevel", default=words.LEVELS[0]
    )
    return {
        "type": words.word(either("disputeType", "type"), words.TYPES, key="disputeType", default="other"),
        "priority": words.word(
            either("disputePriority", "priority"), words.PRIORITIES, key="disputePriority", default="normal"
        ),
        "channel": words.word(
            either("disputeChannel", "channel"), words.CHANNELS, key="disputeChannel", default="counterparty"
        ),
        "escalationLevel": level,
        "openedByAgentId": words.agent_id(given.get("openedByAgentId"), key="openedByAgentId"),
        "reason": words.text(given.get("reason"), key="reason"),
        "evidenceRefs": words.refs(given.get("evidenceRefs")) or [],
    }


def submit_evidence(
    *,
    tenant_id: str,
    run_id: str,
    dispute_id: str | None = None,
    evidence_ref: str,
    submitted_by_agent_id: str | None = None,
    reason: str | None = None,
    actor: Actor,
    now: dt.datetime,
) -> Disputed:
    """Add a piece of evidence to the open dispute; who opened it and why stay as they were.

    The same piece again changes nothing and is answered as it was submitted first.
    """
    with transactions.joined():
        settled, dispute = lock_open(tenant_id=tenant_id, run_id=run_id, dispute_id=dispute_id)
        known = dispute.context["evidenceRefs"]
        if evidence_ref not in known and len(known) >= words.MOST_REFS:
            raise Invalid(f"a dispute holds at most {words.MOST_REFS} evidence refs")
        evidence = add_evidence(
            dispute, ref=evidence_ref, by_agent_id=submitted_by_agent_id, reason=reason, now=now
        )
        if evidence_ref not in known:
            dispute.context = {**dispute.context, "evidenceRefs": [*known, evidence_ref]}
            save(dispute, "context", now=now)
            mirror(settled.row, dispute, now=now)
            details = {"evidenceRef": evidence_ref, "submittedByAgentId": submitted_by_agent_id}
            record(dispute, actor=actor, action="RUN_DISPUTE_EVIDENCE_ADDED", details=details, now=now)
        failpoints.hit("kernel.submit_evidence.before_commit")
    return Disputed(settled.row, dispute, evidence=evidence)


def escalate(
    *,
    tenant_id: str,
    run_id: str,
    dispute_id: str | None = None,
    level: str,
    channel: str | None = None,
    escalated_by_agent_id: str | None = None,
    actor: Actor,
    now: dt.datetime,
) -> Disputed:
    """Take the open dispute to a level, the same or a higher one; the channel follows from it by default.

    Raises EscalationDowngraded beside what `lock_open` refuses.
    """
    with transactions.joined():
        settled, dispute = lock_open(tenant_id=tenant_id, run_id=run_id, dispute_id=dispute_id)
        previous = dispute.context["escalationLevel"]
        if words.LEVELS.index(level) < words.LEVELS.index(previous):
            raise EscalationDowngraded(details={"escalationLevel": previous, "gotEscalationLevel": level})
        escalation = {
            "previousEscalationLevel": previous,
            "escalationLevel": level,
            "channel": channel or words.CHANNEL_OF_LEVEL[level],
            "escalatedAt": clock.iso(now),
            "escalatedByAgentId": escalated_by_agent_id,
        }
        dispute.context = {
            **dispute.context, "escalationLevel": level, "channel": escalation["channel"],
        }  # fmt: skip
        save(dispute, "context", now=now)
        mirror(settled.row, dispute, now=now)
        record(dispute, actor=actor, action="RUN_DISPUTE_ESCALATED", details=escalation, now=now)
        failpoints.hit("kernel.escalate.before_commit")
    return Disputed(settled.row, dispute, escalation=escalation)


# --- Steps that closing shares ------------------------------------------------------------------------
def lock_resolved(*, tenant_id: str, run_id: str) -> Settled:
    """Lock run and settlement, which must be resolved and truly bound to its documents."""
    run = locking.lock_run(tenant_id=tenant_id, run_id=run_id)
    settled = locking.require_settlement(run)
    if settled.row.status == SettlementStatus.LOCKED:
        raise SettlementNotResolved()
    bindings.require_valid(
        run_id=run_id,
        settlement=settled.settlement,
        decision_record=settled.decision_record,
        settlement_receipt=settled.settlement_receipt,
    )
    return settled


def lock_open(*, tenant_id: str, run_id: str, dispute_id: str | None) -> tuple[Settled, Dispute]:
    """Lock run, settlement and its open dispute, which must be the one that was named, if any."""
    settled = lock_resolved(tenant_id=tenant_id, run_id=run_id)
    dispute = rows.first(
        Dispute, "tenant_id = %s AND run_id = %s AND status = 'open' FOR UPDATE", [tenant_id, run_id]
    )
    if dispute is None:
        raise DisputeNotOpen()
    if dispute_id not in (None, dispute.dispute_id):
        raise DisputeIdMismatch(details={"disputeId": dispute.dispute_id, "gotDisputeId": dispute_id})
    return settled, dispute


def mirror(settlement: Settlement, dispute: Dispute, *, now: dt.datetime) -> None:
    """Repeat the latest dispute in the settlement's columns; a verdict is set by whoever takes one."""
    if settlement.dispute_id != dispute.dispute_id:
        settlement.dispute_verdict_id = settlement.dispute_verdict_hash = None
        settlement.dispute_verdict_artifact_id = settlement.dispute_verdict_signer_key_id = None
        settlement.dispute_verdict_issued_at = None
    settlement.dispute_id = dispute.dispute_id
    settlement.dispute_status = dispute.status
    settlement.dispute_opened_at = dispute.opened_at
    settlement.dispute_closed_at = dispute.closed_at
    settlement.dispute_context = dispute.context
    settlement.dispute_resolution = dispute.resolution
    settlement.revision += 1
    settlement.updated_at = now
    row_writing.update_dispute_columns(settlement)


def add_evidence(
    dispute: Dispute, *, ref: str, by_agent_id: str | None, reason: str | None, now: dt.datetime
) -> DisputeEvidence:
    """Keep a piece of evidence; one that is there already stays as it is, and is given instead."""
    evidence = DisputeEvidence(
        tenant_id=dispute.tenant_id,
        dispute_id=dispute.dispute_id,
        evidence_ref=ref,
        submitted_at=now,
        submitted_by_agent_id=by_agent_id,
        reason=reason,
    )
    if row_writing.insert_once(evidence, target="tenant_id, dispute_id, evidence_ref"):
        return evidence
    return DisputeEvidence.objects.get(
        tenant_id=dispute.tenant_id, dispute_id=dispute.dispute_id, evidence_ref=ref
    )


def save(dispute: Dispute, *columns: str, now: dt.datetime) -> None:
    """Write columns of a dispute that the caller has locked."""
    dispute.updated_at = now
    dispute.save(update_fields=[*columns, "updated_at"])


def record(dispute: Dispute, *, actor: Actor, action: str, details: dict[str, Any], now: dt.datetime) -> None:
    """Audit what a person did with a dispute."""
    audit.append(
        tenant_id=dispute.tenant_id,
        actor=actor,
        action=action,
        target_type="run_dispute",
        target_id=dispute.dispute_id,
        details={"runId": dispute.run_id, **details},
        at=now,
    )


def _insert(
    settlement: Settlement,
    *,
    dispute_id: str | None,
    earlier: int,
    context: Mapping[str, Any],
    now: dt.datetime,
) -> Dispute:
    number = earlier + 1
    while True:
        dispute = Dispute(
            tenant_id=settlement.tenant_id,
            dispute_id=dispute_id or identifiers.dispute_id(settlement.run_id, number=number),
            run_id=settlement.run_id,
            settlement_id=settlement.settlement_id,
            status=DisputeStatus.OPEN,
            context=dict(context),
            opened_at=now,
            opened_by_agent_id=context["openedByAgentId"],
            created_at=now,
            updated_at=now,
        )
        if row_writing.insert_once(dispute, target="tenant_id, dispute_id"):
            return dispute
        if dispute_id is not None:
            raise DisputeTransitionRejected(
                details={"message": "disputeId is taken", "disputeId": dispute_id}
            )
        number += 1  # somebody gave another dispute the name that this one would have had
