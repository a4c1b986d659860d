"""GET /console/evidence/payouts/{providerId}/{operationId} and /console/evidence/reports/{artifactId}"""

from django.http import HttpRequest, HttpResponse

from ops_console.access import Visit, workspace
from ops_console.evidence import downloads
from ops_console.evidence.packs import exporting


@workspace("finance_read")
def payout_pack(request: HttpRequest, visit: Visit, provider_id: str, operation_id: str) -> HttpResponse:
    """Download a payout's evidence pack."""
    downloads.require_auditor(visit.principal)
    pack = exporting.export_payout(
        tenant_id=visit.tenant_id,
        provider_id=provider_id,
        operation_id=operation_id,
        actor=visit.actor,
        now=visit.now,
    )
    return downloads.answer(pack)


@workspace("finance_read")
def report_pack(request: HttpRequest, visit: Visit, artifact_id: str) -> HttpResponse:
    """Download a reconcile report's evidence pack."""
    downloads.require_auditor(visit.principal)
    pack = exporting.export_report(
        tenant_id=visit.tenant_id, artifact_id=artifact_id, actor=visit.actor, now=visit.now
    )
    return downloads.answer(pack)
