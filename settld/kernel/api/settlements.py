"""Settlements of runs: /runs/{runId}/settlement and below, /runs/{runId}/agreement"""

from typing import Any

from django.http import HttpResponse

from settld.api import openapi
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import transactions
from settld.core.errors import NotFound
from settld.kernel import agreements, replay, wire
from settld.kernel.agreements import RunAgreement
from settld.kernel.api import access, replay_shapes, shapes
from settld.kernel.queries import runs, settlements
from settld.kernel.queries.settlements import Settled, SettlementNotFound
from settld.kernel.verification import verification_of


class NoAgreementPolicy(NotFound):
    """The run was made without an agreement, so no policy was pinned for it."""

    message = "run has no marketplace agreement policy"


class NoLinkedRfq(NotFound):
    """The run was made without an agreement."""

    message = "run has no linked marketplace rfq"


class RunSettlement(OpsView):
    """GET /runs/{runId}/settlement"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "Read a run's settlement with its documents",
        answers={200: openapi.obj(shapes.SETTLED)},
    )
    def get(self, request: OpsRequest, run_id: str) -> HttpResponse:
        return Json(settlements.settled(tenant_id=request.tenant_id, run_id=run_id).as_json())


class PolicyReplay(OpsView):
    """GET /runs/{runId}/settlement/policy-replay"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "Decide a settlement again",
        description="From the policy of its agreement or, for a direct run, at the rate of its verification."
        " `matchesStoredDecision` says whether the same came out.",
        answers={200: openapi.obj(replay_shapes.REPLAY)},
    )
    def get(self, request: OpsRequest, run_id: str) -> HttpResponse:
        run, agreement, settled = _material(request.tenant_id, run_id)
        if settled is None:
            raise SettlementNotFound()
        if agreement is None and settled.row.agreement_id is not None:
            raise NoAgreementPolicy()
        return Json(
            replay.policy_replay(
                run=run,
                verification=verification_of(run),
                agreement=agreement,
                settlement=settled.settlement,
                kernel_verification=settled.kernel_verification(),
                computed_at=wire.iso(request.received_at),
            )
        )


class ReplayEvaluate(OpsView):
    """GET /runs/{runId}/settlement/replay-evaluate"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "Compare a replayed decision with everything that was stored of it",
        answers={200: openapi.obj(replay_shapes.REPLAY_EVALUATION)},
    )
    def get(self, request: OpsRequest, run_id: str) -> HttpResponse:
        run, agreement, settled = _material(request.tenant_id, run_id)
        if agreement is None:
            raise NoAgreementPolicy()
        if settled is None:
            raise SettlementNotFound()
        return Json(
            replay.replay_evaluation(
                run=run,
                verification=verification_of(run),
                agreement=agreement,
                settlement=settled.settlement,
                decision_record=settled.decision_record,
                settlement_receipt=settled.settlement_receipt,
                kernel_verification=settled.kernel_verification(),
                computed_at=wire.iso(request.received_at),
            )
        )


class RunAgreementView(OpsView):
    """GET /runs/{runId}/agreement"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "Read the agreement that a run was made under",
        answers={
            200: openapi.obj(
                {
                    "runId": openapi.TEXT,
                    "rfqId": openapi.TEXT,
                    "agreementId": openapi.TEXT,
                    "agreement": openapi.OBJECT,
                    "offer": openapi.maybe(openapi.OBJECT),
                    "offerAcceptance": openapi.maybe(openapi.OBJECT),
                    "policyRef": openapi.maybe(openapi.OBJECT),
                    "policyBindingVerification": replay_shapes.BINDING_VERIFICATION,
                    "acceptanceSignatureVerification": replay_shapes.BINDING_VERIFICATION,
                    **shapes.SETTLED,
                }
            )
        },
    )
    def get(self, request: OpsRequest, run_id: str) -> HttpResponse:
        with transactions.snapshot():
            runs.get(tenant_id=request.tenant_id, run_id=run_id)
            agreement = agreements.of_run(tenant_id=request.tenant_id, run_id=run_id)
            if agreement is None:
                raise NoLinkedRfq()
            settled = settlements.settled(tenant_id=request.tenant_id, run_id=run_id)
        return Json(
            {
                "runId": run_id,
                "rfqId": agreement.rfq_id,
                "agreementId": agreement.agreement_id,
                "agreement": agreement.agreement,
                "offer": agreement.offer,
                "offerAcceptance": agreement.offer_acceptance,
                "policyRef": agreement.policy_ref,
                "policyBindingVerification": agreement.policy_binding_verification,
                "acceptanceSignatureVerification": agreement.acceptance_signature_verification,
                **settled.as_json(),
            }
        )


def _material(tenant_id: str, run_id: str) -> tuple[dict[str, Any], RunAgreement | None, Settled | None]:
    """Read what a replay rests on, all of one instant; a direct run has no agreement."""
    with transactions.snapshot():
        run = runs.get(tenant_id=tenant_id, run_id=run_id)
        agreement = agreements.of_run(tenant_id=tenant_id, run_id=run_id)
        row = settlements.find(tenant_id=tenant_id, run_id=run_id)
        settled = None if row is None else settlements.with_documents(row)
    return wire.run_json(run), agreement, settled
