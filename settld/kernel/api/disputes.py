"""Disputes of runs: POST /runs/{runId}/dispute/{open,evidence,escalate,close} and the list of all of them"""

from typing import Any, Final

from django.http import HttpResponse

from settld.api import openapi
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints, transactions
from settld.idempotency.http import idempotent
from settld.kernel import identifiers, wire
from settld.kernel.api import access, shapes
from settld.kernel.queries import disputes as queries
from settld.kernel.queries import runs
from settld.kernel.services import dispute_closing, disputes
from settld.kernel.services import dispute_words as words
from settld.kernel.services.dispute_closing import Closed
from settld.kernel.services.disputes import Disputed

OPTIONAL: Final = openapi.maybe(openapi.TEXT)
REFS: Final = openapi.maybe(openapi.many(openapi.TEXT))
ARTIFACT: Final = openapi.maybe(
    openapi.obj({"artifactId": openapi.TEXT, "artifactHash": shapes.HASH, "deliveriesCreated": openapi.INT})
)
REPLY: Final = openapi.obj(
    {
        "settlement": shapes.SETTLEMENT,
        "disputeEvidence": openapi.maybe(shapes.DISPUTE_EVIDENCE),
        "disputeEscalation": openapi.maybe(
            openapi.obj(
                {
                    "previousEscalationLevel": openapi.one_of(*words.LEVELS),
                    "escalationLevel": openapi.one_of(*words.LEVELS),
                    "channel": openapi.one_of(*words.CHANNELS),
                    "escalatedAt": openapi.INSTANT,
                    "escalatedByAgentId": OPTIONAL,
                }
            )
        ),
        "verdict": openapi.maybe(openapi.OBJECT),
        "verdictArtifact": ARTIFACT,
        "arbitrationVerdict": openapi.maybe(openapi.OBJECT),
        "arbitrationCaseArtifact": ARTIFACT,
        "arbitrationVerdictArtifact": ARTIFACT,
    }
)


def _optional(members: dict[str, openapi.Schema], *required: str) -> openapi.Schema:
    return openapi.obj(members, optional=[name for name in members if name not in required])


class OpenDispute(OpsView):
    """POST /runs/{runId}/dispute/open"""

    scopes = {"POST": access.WRITE}

    @openapi.describe(
        "Dispute a resolved settlement",
        description="Within its window, the last instant included. Money stays where it is, but no payout"
        " takes it while the dispute is open.",
        body=_optional(
            {
                "disputeId": OPTIONAL,
                "disputeType": openapi.maybe(openapi.one_of(*words.TYPES)),
                "disputePriority": openapi.maybe(openapi.one_of(*words.PRIORITIES)),
                "disputeChannel": openapi.maybe(openapi.one_of(*words.CHANNELS)),
                "escalationLevel": openapi.maybe(openapi.one_of(*words.LEVELS)),
                "openedByAgentId": OPTIONAL,
                "reason": OPTIONAL,
                "evidenceRefs": REFS,
            }
        ),
        answers={200: REPLY},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, run_id: str) -> HttpResponse:
        response: HttpResponse = self._post(request, run_id=run_id)
        failpoints.hit("kernel.open_dispute.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, run_id: str) -> HttpResponse:
        given = request.body_json
        disputed = disputes.open_dispute(
            tenant_id=request.tenant_id,
            run_id=run_id,
            dispute_id=_dispute_id(given),
            context=disputes.context_of(given),
            actor=request.actor,
            now=request.received_at,
        )
        return Json(_disputed_json(disputed))


class SubmitDisputeEvidence(OpsView):
    """POST /runs/{runId}/dispute/evidence"""

    scopes = {"POST": access.WRITE}

    @openapi.describe(
        "Add a piece of evidence to the open dispute",
        description="The same piece again changes nothing.",
        body=_optional(
            {
                "disputeId": OPTIONAL,
                "evidenceRef": openapi.TEXT,
                "submittedByAgentId": OPTIONAL,
                "reason": OPTIONAL,
            },
            "evidenceRef",
        ),
        answers={200: REPLY},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, run_id: str) -> HttpResponse:
        response: HttpResponse = self._post(request, run_id=run_id)
        failpoints.hit("kernel.submit_evidence.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, run_id: str) -> HttpResponse:
        given = request.body_json
        disputed = disputes.submit_evidence(
            tenant_id=request.tenant_id,
            run_id=run_id,
            dispute_id=_dispute_id(given),
            evidence_ref=words.ref(given.get("evidenceRef")),
            submitted_by_agent_id=words.agent_id(given.get("submittedByAgentId"), key="submittedByAgentId"),
            reason=words.text(given.get("reason"), key="reason"),
            actor=request.actor,
            now=request.received_at,
        )
        return Json(_disputed_json(disputed))


class EscalateDispute(OpsView):
    """POST /runs/{runId}/dispute/escalate"""

    scopes = {"POST": access.WRITE}

    @openapi.describe(
        "Take the open dispute to a level",
        body=_optional(
            {
                "disputeId": OPTIONAL,
                "escalationLevel": openapi.one_of(*words.LEVELS),
                "channel": openapi.maybe(openapi.one_of(*words.CHANNELS)),
                "escalatedByAgentId": OPTIONAL,
            },
            "escalationLevel",
        ),
        answers={200: REPLY},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, run_id: str) -> HttpResponse:
        response: HttpResponse = self._post(request, run_id=run_id)
        failpoints.hit("kernel.escalate.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, run_id: str) -> HttpResponse:
        given = request.body_json
        channel = given.get("channel") if given.get("channel") is not None else given.get("disputeChannel")
        disputed = disputes.escalate(
            tenant_id=request.tenant_id,
            run_id=run_id,
            dispute_id=_dispute_id(given),
            level=words.level(given.get("escalationLevel")),
            channel=words.word(channel, words.CHANNELS, key="channel", default="") or None,
            escalated_by_agent_id=words.agent_id(given.get("escalatedByAgentId"), key="escalatedByAgentId"),
            actor=request.actor,
            now=request.received_at,
        )
        return Json(_disputed_json(disputed))


class CloseDispute(OpsView):
    """POST /runs/{runId}/dispute/close"""

    scopes = {"POST": access.WRITE}

    @openapi.describe(
        "Close the open dispute, with a signed verdict or without",
        description="A signed verdict fills in what is not said, and is kept as an artifact. No money moves.",
        body=_optional(
            {
                "disputeId": OPTIONAL,
                "resolution": openapi.maybe(openapi.OBJECT),
                "resolutionOutcome": openapi.maybe(openapi.one_of(*words.OUTCOMES)),
                "closedByAgentId": OPTIONAL,
                "resolutionSummary": OPTIONAL,
                "resolutionEscalationLevel": openapi.maybe(openapi.one_of(*words.LEVELS)),
                "resolutionEvidenceRefs": REFS,
                "verdict": openapi.maybe(openapi.OBJECT),
                "arbitrationVerdict": openapi.maybe(openapi.OBJECT),
            }
        ),
        answers={200: REPLY},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, run_id: str) -> HttpResponse:
        response: HttpResponse = self._post(request, run_id=run_id)
        failpoints.hit("kernel.close_dispute.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, run_id: str) -> HttpResponse:
        given = request.body_json
        closed = dispute_closing.close(
            tenant_id=request.tenant_id,
            run_id=run_id,
            dispute_id=_dispute_id(given),
            given=dispute_closing.given_of(given),
            actor=request.actor,
            now=request.received_at,
        )
        return Json(_closed_json(closed))


class RunDisputes(OpsView):
    """GET /runs/{runId}/disputes"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "List a run's disputes with their evidence",
        description="An extension. All of them, in the order in which they were opened.",
        answers={
            200: openapi.obj(
                {
                    "runId": openapi.TEXT,
                    "disputes": openapi.many(
                        {
                            **shapes.DISPUTE,
                            "properties": {
                                **shapes.DISPUTE["properties"],
                                "evidence": openapi.many(shapes.DISPUTE_EVIDENCE),
                            },
                        }
                    ),
                }
            )
        },
    )
    def get(self, request: OpsRequest, run_id: str) -> HttpResponse:
        with transactions.snapshot():
            runs.get(tenant_id=request.tenant_id, run_id=run_id)
            found = queries.of_run(tenant_id=request.tenant_id, run_id=run_id)
        return Json(
            {
                "runId": run_id,
                "disputes": [
                    wire.dispute_json(dispute)
                    | {"evidence": [wire.dispute_evidence_json(piece) for piece in evidence]}
                    for dispute, evidence in found
                ],
            }
        )


def _dispute_id(given: dict[str, Any]) -> str | None:
    value = given.get("disputeId")
    return None if value in (None, "") else identifiers.common_id_of(value, key="disputeId")


def _disputed_json(disputed: Disputed) -> dict[str, Any]:
    evidence = disputed.evidence
    return {
        "settlement": wire.settlement_json(disputed.settlement),
        "disputeEvidence": None if evidence is None else wire.dispute_evidence_json(evidence),
        "disputeEscalation": disputed.escalation,
        "verdict": None,
        "verdictArtifact": None,
        "arbitrationVerdict": None,
        "arbitrationCaseArtifact": None,
        "arbitrationVerdictArtifact": None,
    }


def _closed_json(closed: Closed) -> dict[str, Any]:
    """Shape a closing; a case of its own comes with arbitration only, so there is no artifact of one."""
    verdict, ruling = closed.verdict, closed.arbitration_verdict
    kept, ruled = closed.verdict_artifact, closed.arbitration_verdict_artifact
    return {
        "settlement": wire.settlement_json(closed.settlement),
        "disputeEvidence": None,
        "disputeEscalation": None,
        "verdict": None if verdict is None else verdict.as_json(),
        "verdictArtifact": None if kept is None else kept.as_json(),
        "arbitrationVerdict": None if ruling is None else ruling.as_json(),
        "arbitrationCaseArtifact": None,
        "arbitrationVerdictArtifact": None if ruled is None else ruled.as_json(),
    }
