"""Closing a dispute, with or without an arbiter's signed verdict (kernel spec 8).

No money moves: what a verdict does to money is arbitration's (9.3).
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from settld.artifacts import services as artifacts
from settld.core import clock, failpoints, transactions
from settld.core.errors import Conflict
from settld.core.principals import Actor
from settld.kernel import open_cases, verdicts
from settld.kernel.models import Dispute, Settlement
from settld.kernel.queries import agents
from settld.kernel.queries.settlements import Settled
from settld.kernel.services import dispute_words as words
from settld.kernel.services import disputes
from settld.kernel.services.agents import require_active
from settld.kernel.states import DisputeStatus
from settld.kernel.verdicts import Subject, Verdict
from settld.metering.services import usage


class AppealWindowClosed(Conflict):
    """A signed verdict counts within the window only, by our clock and by its own date."""

    code = "APPEAL_WINDOW_CLOSED"
    message = "appeal window has closed"


class ArbitrationCaseOpen(Conflict):
    """An arbitration case on the run is not closed; it decides, not this."""

    code = "ARBITRATION_CASE_OPEN"
    message = "an arbitration case is open"


@dataclass(frozen=True, slots=True)
class Given:
    """What a request says of the resolution; what is None comes from the verdict or a default."""

    outcome: str | None = None
    closed_by_agent_id: str | None = None
    summary: str | None = None
    escalation_level: str | None = None
    evidence_refs: list[str] | None = None
    verdict: Any = None
    arbitration_verdict: Any = None


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """An artifact that was stored, as replies name it; nobody is subscribed to deliveries of these yet."""

    artifact_id: str
    artifact_hash: str

    def as_json(self) -> dict[str, Any]:
        """Shape it for the wire (2.10)."""
        return {
            "artifactId": self.artifact_id,
            "artifactHash": self.artifact_hash,
            "deliveriesCreated": 0,
        }


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed dispute, its settlement, and the verdicts that came with the closing."""

    settlement: Settlement
    dispute: Dispute
    verdict: Verdict | None = None
    verdict_artifact: ArtifactRef | None = None
    arbitration_verdict: Verdict | None = None
    arbitration_verdict_artifact: ArtifactRef | None = None


def given_of(body: Mapping[str, Any]) -> Given:
    """Read a request; flat members win over those of `resolution`. Raises as the words' readers do."""
    nested = body.get("resolution")
    inner: Mapping[str, Any] = nested if isinstance(nested, Mapping) else {}
    if nested is not None and not isinstance(nested, Mapping):
        raise words.DisputeTransitionRejected(details={"message": "resolution must be an object"})

    def either(flat: str, member: str) -> Any:
        return body.get(flat) if body.get(flat) is not None else inner.get(member)

    outcome = either("resolutionOutcome", "outcome")
    level = either("resolutionEscalationLevel", "escalationLevel")
    closer = either("closedByAgentId", "closedByAgentId")
    return Given(
        outcome=words.word(outcome, words.OUTCOMES, key="resolutionOutcome", default="") or None,
        closed_by_agent_id=words.agent_id(closer, key="closedByAgentId"),
        summary=words.text(either("resolutionSummary", "summary"), key="resolutionSummary"),
        escalation_level=words.word(
            level, words.LEVELS, key="resolutionEscalationLevel", default=""
        ) or None,
        evidence_refs=words.refs(
            either("resolutionEvidenceRefs", "evidenceRefs"), key="resolutionEvidenceRefs"
        ),
        verdict=body.get("verdict"),
        arbitration_verdict=body.get("arbitrationVerdict"),
    )  # fmt: skip


def close(
    *,
    tenant_id: str,
    run_id: str,
    dispute_id: str | None = None,
    given: Given,
    actor: Actor,
    now: dt.datetime,
) -> Closed:
    """Close the open dispute. A signed verdict is kept as an artifact and fills in what was not said.

    Unsigned it may be closed at any time; signed only while the window lasts. A close with an arbiter's
    ArbitrationVerdict is billed as arbitration, and no dispute can be opened after it. Raises what
    `disputes.lock_open` refuses, ArbitrationCaseOpen, AppealWindowClosed, AgentNotActive (409),
    InvalidDisputeVerdict and InvalidArbitrationVerdict (400), ArtifactConflict where a verdict's id is taken.
    """
    with transactions.joined():
        settled, dispute = disputes.lock_open(tenant_id=tenant_id, run_id=run_id, dispute_id=dispute_id)
        settlement = settled.row
        if open_cases.has_open(tenant_id=tenant_id, run_id=run_id):
            raise ArbitrationCaseOpen(details={"disputeId": dispute.dispute_id})
        verdict, arbitration_verdict = _verdicts(settled, dispute, given=given)
        for signed in filter(None, (verdict, arbitration_verdict)):
            _require_in_window(settlement, signed, now=now)
        closed = Closed(
            settlement,
            dispute,
            verdict=verdict,
            verdict_artifact=_keep(settlement, verdict, kind="dispute_verdict", now=now),
            arbitration_verdict=arbitration_verdict,
            arbitration_verdict_artifact=_keep(
                settlement, arbitration_verdict, kind="arbitration_verdict", now=now
            ),
        )
        _close(closed, given=given, now=now)
        if arbitration_verdict is not None:
            usage.record_arbitration_usage(
                tenant_id=tenant_id,
                case_id=str(arbitration_verdict.core["caseId"]),
                run_id=run_id,
                dispute_id=dispute.dispute_id,
                settlement_id=settlement.settlement_id,
                source_type="arbitration_verdict",
                verdict_id=arbitration_verdict.verdict_id,
                now=now,
            )
        disputes.record(
            dispute, actor=actor, action="RUN_DISPUTE_CLOSED", details=dict(dispute.resolution), now=now
        )
        failpoints.hit("kernel.close_dispute.before_commit")
    return closed


def _verdicts(settled: Settled, dispute: Dispute, *, given: Given) -> tuple[Verdict | None, Verdict | None]:
    """Read the verdicts that came along, and check that the arbiter each names may rule and has signed."""
    settlement = settled.row
    subject = Subject(
        tenant_id=settlement.tenant_id,
        run_id=settlement.run_id,
        settlement_id=settlement.settlement_id,
        dispute_id=dispute.dispute_id,
    )
    verdict = arbitration_verdict = None
    if given.verdict is not None:
        verdict = verdicts.dispute_verdict_of(given.verdict, subject=subject)
        _require_arbiter(settlement, verdict)
    if given.arbitration_verdict is not None:
        arbitration_verdict = verdicts.arbitration_verdict_of(
            given.arbitration_verdict, subject=subject, evidence_refs=dispute.context["evidenceRefs"]
        )
        _require_arbiter(settlement, arbitration_verdict)
    return verdict, arbitration_verdict


def _require_arbiter(settlement: Settlement, verdict: Verdict) -> None:
    """Require that the named arbiter is a registered, active agent and no party, and has signed."""
    if verdict.arbiter_agent_id in (settlement.payer_agent_id, settlement.agent_id):
        raise verdict.refusal(details={"message": "arbiterAgentId is a party of the settlement"})
    arbiter = agents.find(tenant_id=settlement.tenant_id, agent_id=verdict.arbiter_agent_id)
    verdicts.require_signature(verdict, public_key_pem=None if arbiter is None else arbiter.public_key_pem)
    if arbiter is not None:
        require_active(arbiter)


def _require_in_window(settlement: Settlement, verdict: Verdict, *, now: dt.datetime) -> None:
    ends_at = settlement.dispute_window_ends_at
    if ends_at is None or now > ends_at or verdict.issued_at > ends_at:
        raise AppealWindowClosed(
            details={
                "disputeWindowEndsAt": clock.iso(ends_at),
                "issuedAt": clock.iso(verdict.issued_at),
            }
        )


def _keep(
    settlement: Settlement, verdict: Verdict | None, *, kind: str, now: dt.datetime
) -> ArtifactRef | None:
    """Store a verdict as an artifact, in the transaction of the closing."""
    if verdict is None:
        return None
    artifact_id = f"{kind}_{verdict.verdict_id}"
    artifact, _ = artifacts.get_or_create(
        tenant_id=settlement.tenant_id,
        artifact_id=artifact_id,
        artifact_type=str(verdict.core["schemaVersion"]),
        body={
            "schemaVersion": verdict.core["schemaVersion"],
            "artifactType": verdict.core["schemaVersion"],
            "artifactId": artifact_id,
            "tenantId": settlement.tenant_id,
            "verdict": verdict.as_json(),
        },
        now=now,
    )
    return ArtifactRef(artifact.artifact_id, artifact.artifact_hash)


def _close(closed: Closed, *, given: Given, now: dt.datetime) -> None:
    settlement, dispute = closed.settlement, closed.dispute
    ruling = closed.verdict or closed.arbitration_verdict
    core: Mapping[str, Any] = {} if ruling is None else ruling.core
    dispute.resolution = {
        "outcome": given.outcome or core.get("outcome") or "unresolved",
        "escalationLevel": given.escalation_level or dispute.context["escalationLevel"],
        "closedByAgentId": given.closed_by_agent_id or core.get("arbiterAgentId"),
        "summary": given.summary or core.get("rationale"),
        "closedAt": clock.iso(now),
        "evidenceRefs": given.evidence_refs if given.evidence_refs is not None
        else list(core.get("evidenceRefs", [])),
    }  # fmt: skip
    dispute.status, dispute.closed_at = DisputeStatus.CLOSED, now
    dispute.verdict = None if ruling is None else ruling.as_json()
    dispute.is_arbitrated = closed.arbitration_verdict is not None
    disputes.save(dispute, "resolution", "status", "closed_at", "verdict", "is_arbitrated", now=now)
    if ruling is not None:
        artifact = closed.verdict_artifact or closed.arbitration_verdict_artifact
        settlement.dispute_verdict_id = ruling.verdict_id
        settlement.dispute_verdict_hash = ruling.verdict_hash
        settlement.dispute_verdict_signer_key_id = ruling.signer_key_id
        settlement.dispute_verdict_issued_at = ruling.issued_at
        settlement.dispute_verdict_artifact_id = None if artifact is None else artifact.artifact_id
    disputes.mirror(settlement, dispute, now=now)
