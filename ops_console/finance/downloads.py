"""GET /console/finance/{period}/files/{name}: the month's documents, for people who are logged in."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from ops_console.access import Visit, workspace
from ops_console.finance import tie_out
from settld.artifacts import queries as artifacts
from settld.closing.queries import month_documents
from settld.closing.services import journal_csv
from settld.core import clock
from settld.core.errors import NotFound


class ReportNotFound(NotFound):
    """Nobody has reconciled the month."""

    message = "the month has not been reconciled"


@workspace("finance_read")
def file(request: HttpRequest, visit: Visit, period: str, name: str) -> HttpResponse:
    """Send one document whole; what cannot be written is refused with the reason, never half sent."""
    if not clock.is_period(period) or name not in FILES:
        raise NotFound()
    answer = FILES[name](visit.tenant_id, period)
    answer["content-disposition"] = f'attachment; filename="{period}-{name}"'
    return answer


def _gl_json(tenant_id: str, period: str) -> HttpResponse:
    batch = month_documents.gl_batch(tenant_id=tenant_id, month=period)
    return HttpResponse(batch.body.encode(), content_type="application/json")


def _gl_csv(tenant_id: str, period: str) -> HttpResponse:
    with transaction.atomic():
        pieces = journal_csv.export(tenant_id=tenant_id, period=period)
    return HttpResponse((piece.encode() for piece in pieces), content_type="text/csv; charset=utf-8")


def _report(tenant_id: str, period: str) -> HttpResponse:
    newest = tie_out.newest_report(tenant_id=tenant_id, period=period)
    if newest is None:
        raise ReportNotFound()
    stored = artifacts.get(tenant_id=tenant_id, artifact_id=newest.artifact_id)
    return HttpResponse(stored.body.encode(), content_type="application/json")


def _pack(tenant_id: str, period: str) -> HttpResponse:
    _, pack = month_documents.finance_pack(tenant_id=tenant_id, month=period)
    return HttpResponse(bytes(pack.content), content_type="application/zip")


FILES = {"reconcile.json": _report, "gl-batch.json": _gl_json, "gl-batch.csv": _gl_csv, "pack.zip": _pack}
