"""GET /ops/evidence/payouts/{providerId}/{operationId} and GET /ops/evidence/reports/{artifactId}"""

from django.http import HttpResponse

from ops_console.evidence import downloads
from ops_console.evidence.packs import exporting
from settld.api import openapi
from settld.api.requests import OpsRequest
from settld.api.views import OpsView

BINARY: openapi.Schema = {"type": "string", "format": "binary"}
ABOUT = (
    "A zip with a signed manifest over every member; `x-settld-artifact-hash` is the manifest's hash."
    " Needs audit_read beside finance_read, and is audited (EVIDENCE_PACK_EXPORTED)."
    " Check it offline with `python -m settld.evidence_verifier`."
)


class PayoutEvidence(OpsView):
    """GET /ops/evidence/payouts/{providerId}/{operationId}"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Export a payout's evidence pack",
        description=ABOUT,
        answers={200: BINARY},
        answer_type=downloads.ZIP,
    )
    def get(self, request: OpsRequest, provider_id: str, operation_id: str) -> HttpResponse:
        downloads.require_auditor(request.principal)
        pack = exporting.export_payout(
            tenant_id=request.tenant_id,
            provider_id=provider_id,
            operation_id=operation_id,
            actor=request.actor,
            now=request.received_at,
        )
        return downloads.answer(pack)


class ReportEvidence(OpsView):
    """GET /ops/evidence/reports/{artifactId}"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Export a reconcile report's evidence pack",
        description=ABOUT,
        answers={200: BINARY},
        answer_type=downloads.ZIP,
    )
    def get(self, request: OpsRequest, artifact_id: str) -> HttpResponse:
        downloads.require_auditor(request.principal)
        pack = exporting.export_report(
            tenant_id=request.tenant_id,
            artifact_id=artifact_id,
            actor=request.actor,
            now=request.received_at,
        )
        return downloads.answer(pack)
