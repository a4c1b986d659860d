"""What happens to a run's locked money when the run ends (kernel spec 6.3)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from settld.core import failpoints
from settld.core.errors import Invalid
from settld.kernel import agreements, bindings, wire
from settld.kernel.agreements import RunAgreement
from settld.kernel.models import Settlement
from settld.kernel.queries.settlements import Settled
from settld.kernel.services import books, decisions, wallets
from settld.kernel.services.decisions import Grounds
from settld.kernel.states import DecisionMode, DecisionStatus, SettlementStatus
from settld.ledger.services.journal import LedgerPeriodClosed
from settld.policies import evaluation, normalization
from settld.policies.evaluation import EVALUATION_FAILED, EvaluationFailed

log = structlog.get_logger(__name__)
MONTH_CLOSED: Final = "cannot settle: month is closed"


class EventRejected(Invalid):
    """The event would settle a run whose month's books are closed; nothing was written."""

    message = "event rejected"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the terminal event decides: resolve by itself at a rate, or wait for a person for a reason."""

    grounds: Grounds
    is_automatic: bool
    reason: str | None = None
    release_rate_pct: int = 0
    released_cents: int = 0


def at_the_end(
    settled: Settled,
    *,
    run: Mapping[str, Any],
    verification: Mapping[str, Any],
    event_id: str,
    now: dt.datetime,
) -> Settled:
    """Resolve a locked settlement at its run's terminal event, or leave it to a person.

    `run` is the run as the event has folded it; run and settlement are locked. A policy that cannot be
    applied fails closed: the money stays locked. Raises SettlementKernelBindingInvalid, EventRejected
    (month closed) and what the books refuse.
    """
    bindings.require_valid(
        run_id=settled.row.run_id,
        settlement=settled.settlement,
        decision_record=settled.decision_record,
        settlement_receipt=settled.settlement_receipt,
        allow_missing=True,
    )
    settlement = settled.row
    judgement = judge(settlement, verification=verification)
    settlement.run_status = run["status"]
    settlement.decision_reason = judgement.reason
    settlement.decision_policy_hash = judgement.grounds.policy_hash
    if judgement.is_automatic:
        settlement.decision_status = DecisionStatus.AUTO_RESOLVED
        settlement.decision_mode = DecisionMode.AUTOMATIC
        resolve(
            settlement,
            released_cents=judgement.released_cents,
            release_rate_pct=judgement.release_rate_pct,
            resolution_event_id=event_id,
            now=now,
        )
        phase = decisions.AUTO_RESOLVED
    else:
        settlement.decision_status = DecisionStatus.MANUAL_REVIEW_REQUIRED
        settlement.decision_mode = DecisionMode.MANUAL_REVIEW
        phase = decisions.AWAITING_MANUAL
    failpoints.hit("kernel.settle.before_documents")
    decision, receipt = decisions.write(settlement, run=run, phase=phase, grounds=judgement.grounds, now=now)
    return Settled(settlement, wire.settlement_json(settlement), decision, receipt)


def judge(settlement: Settlement, *, verification: Mapping[str, Any]) -> Judgement:
    """Decide without changing anything: by the agreement's pinned policy, or by the verification alone."""
    agreement = agreement_of(settlement)
    try:
        if settlement.agreement_id is not None:
            return _by_policy(settlement, agreement=agreement, verification=verification)
        return _by_verification(settlement, verification=verification)
    except EvaluationFailed as failure:
        log.error("policy_evaluation_failed", run_id=settlement.run_id, reason=str(failure))
        return Judgement(
            grounds=grounds_of(agreement, verification=verification),
            is_automatic=False,
            reason=EVALUATION_FAILED,
        )


def resolve(
    settlement: Settlement,
    *,
    released_cents: int,
    release_rate_pct: int,
    resolution_event_id: str,
    now: dt.datetime,
) -> None:
    """Move the locked money, part to the payee and the rest back, and note it on the settlement.

    The caller holds run and settlement and writes the settlement with its documents. Raises EventRejected
    where the month is closed, and what the books refuse.
    """
    settlement.status = SettlementStatus.RELEASED if released_cents > 0 else SettlementStatus.REFUNDED
    settlement.released_cents = released_cents
    settlement.refunded_cents = settlement.amount_cents - released_cents
    settlement.release_rate_pct = release_rate_pct
    settlement.resolution_event_id = resolution_event_id
    settlement.resolved_at = now
    settlement.dispute_window_ends_at = window_end(settlement, resolved_at=now)
    payer_id, payee_id = settlement.payer_agent_id, settlement.agent_id
    locked = wallets.lock(
        tenant_id=settlement.tenant_id,
        agent_ids=[payer_id, payee_id],
        currency=settlement.currency,
        now=now,
    )
    try:
        books.settle(
            payer=locked[payer_id],
            payee=locked[payee_id],
            released_cents=settlement.released_cents,
            refunded_cents=settlement.refunded_cents,
            subject=f"{settlement.run_id}_{resolution_event_id}",
            run_id=settlement.run_id,
            source_type="agent_run_settlement",
            source_id=settlement.settlement_id,
            now=now,
        )
    except LedgerPeriodClosed as refusal:
        raise EventRejected(details={"message": MONTH_CLOSED}) from refusal


def window_end(settlement: Settlement, *, resolved_at: dt.datetime) -> dt.datetime | None:
    """Tell until when, inclusive, a settlement may be disputed; None without a window."""
    if settlement.dispute_window_hours is not None:
        return resolved_at + dt.timedelta(hours=settlement.dispute_window_hours)
    if settlement.dispute_window_days == 0:
        return None
    return resolved_at + dt.timedelta(days=settlement.dispute_window_days)


def agreement_of(settlement: Settlement) -> RunAgreement | None:
    """Ask the marketplace for the agreement that a settlement names; a direct one names none."""
    if settlement.agreement_id is None:
        return None
    return agreements.of_run(tenant_id=settlement.tenant_id, run_id=settlement.run_id)


def grounds_of(
    agreement: RunAgreement | None,
    *,
    verification: Mapping[str, Any],
    policy_decision: Mapping[str, Any] | None = None,
) -> Grounds:
    """Say what a decision rests on: the agreement's policy and method, or the defaults of a direct run."""
    method = normalization.default_method() if agreement is None else agreement.verification_method
    return Grounds(
        verification_status=verification["verificationStatus"],
        policy_hash=None if agreement is None else agreement.policy_hash,
        verification_method_hash=None if agreement is None else agreement.verification_method_hash,
        verifier_ref=evaluation.verifier_ref(method),
        verifier_execution=evaluation.verifier_execution(method, verification=dict(verification)),
        policy_decision=policy_decision,
    )


def _by_verification(settlement: Settlement, *, verification: Mapping[str, Any]) -> Judgement:
    """A direct run is always resolved at once, at the rate that its own outcome asks for."""
    rate = verification["settlementReleaseRatePct"]
    if rate is None:
        raise EvaluationFailed("the run has not ended")
    return Judgement(
        grounds=grounds_of(None, verification=verification),
        is_automatic=True,
        release_rate_pct=rate,
        released_cents=evaluation.released_cents(amount_cents=settlement.amount_cents, rate_pct=rate),
    )


def _by_policy(
    settlement: Settlement, *, agreement: RunAgreement | None, verification: Mapping[str, Any]
) -> Judgement:
    if agreement is None or agreement.agreement_id != settlement.agreement_id:
        raise EvaluationFailed("the agreement of the run cannot be found")
    failed = verification["runStatus"] == "failed"
    found = evaluation.evaluate(
        policy=agreement.policy,
        method=agreement.verification_method,
        verification_status="red" if failed else verification["verificationStatus"],
        run_status=verification["runStatus"],
        amount_cents=settlement.amount_cents,
    )
    return Judgement(
        grounds=grounds_of(agreement, verification=verification, policy_decision=found.as_json()),
        is_automatic=found.should_auto_resolve,
        reason=None if found.should_auto_resolve else found.reason_codes[0],
        release_rate_pct=found.release_rate_pct,
        released_cents=found.release_amount_cents,
    )
