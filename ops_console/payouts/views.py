"""GET /console/payouts, /console/payouts.csv, /console/payouts/{providerId}/{operationId} and …/live"""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from ops_console import cursors, shell
from ops_console.access import Visit, workspace
from ops_console.payouts import detail, export, filters, listing, reasons
from settld.core import clock


@workspace("finance_read")
def payouts(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List payouts, newest first; the address holds every filter and the place."""
    wanted = filters.read(request.GET.dict())
    place = cursors.read(request.GET["at"]) if request.GET.get("at") else None
    context = {
        "filters": wanted,
        "listing": listing.build(tenant_id=visit.tenant_id, filters=wanted, place=place),
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/payouts/_list.html", context)
    return shell.page(request, visit, "ops_console/payouts/page.html", context, key="payouts")


@workspace("finance_read")
def payouts_csv(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Download the filtered list; the number of rows is bounded and the header says by how many."""
    wanted = filters.read(request.GET.dict())
    response = StreamingHttpResponse(
        export.lines(tenant_id=visit.tenant_id, filters=wanted), content_type="text/csv; charset=utf-8"
    )
    stamp = (clock.iso(visit.now) or "")[:19].replace(":", "").replace("-", "")
    response["content-disposition"] = f'attachment; filename="payouts-{stamp}Z.csv"'
    response["x-settld-rows-limit"] = str(export.MOST_ROWS)
    return response  # type: ignore[return-value]  # a streaming answer is an answer


@workspace("finance_read")
def payout(request: HttpRequest, visit: Visit, provider_id: str, operation_id: str) -> HttpResponse:
    """Show one payout with its whole story."""
    operation = detail.load(tenant_id=visit.tenant_id, provider_id=provider_id, operation_id=operation_id)
    shown = detail.build(operation, may_write=visit.may("finance_write"), now=visit.now)
    context = {
        "payout": shown,
        "reasons": reasons.build(operation),
        "may_take_evidence": visit.may("audit_read"),
    }
    return shell.page(request, visit, "ops_console/payouts/detail.html", context, key="payouts")


@workspace("finance_read")
def live(request: HttpRequest, visit: Visit, provider_id: str, operation_id: str) -> HttpResponse:
    """Give the part that changes; when the state has moved, the acts on offer come along."""
    operation = detail.load(tenant_id=visit.tenant_id, provider_id=provider_id, operation_id=operation_id)
    shown = detail.build(operation, may_write=visit.may("finance_write"), now=visit.now)
    has_moved = request.GET.get("version", "") != shown.version
    context = {"payout": shown, "has_moved": has_moved, "moved_text": f"Now: {shown.dispatch or shown.state}"}
    return render(request, "ops_console/payouts/_changed.html", context)
