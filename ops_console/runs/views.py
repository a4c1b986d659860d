"""GET /console/runs, /console/runs/{runId}"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ops_console import cursors, shell
from ops_console.access import Visit, workspace
from ops_console.runs import detail, listing


@workspace("finance_read", "ops_read")
def runs(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List runs, newest first; the address holds every filter and the place."""
    filters = listing.read(request.GET.dict())
    place = cursors.read(request.GET["at"]) if request.GET.get("at") else None
    context = {
        "filters": filters,
        "listing": listing.build(tenant_id=visit.tenant_id, filters=filters, place=place),
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/runs/_list.html", context)
    return shell.page(request, visit, "ops_console/runs/page.html", context, key="runs")


@workspace("finance_read", "ops_read")
def run(request: HttpRequest, visit: Visit, run_id: str) -> HttpResponse:
    """Show one run with its settlement, its receipts and the payout that paid it."""
    context = {"run": detail.build(tenant_id=visit.tenant_id, run_id=run_id)}
    return shell.page(request, visit, "ops_console/runs/detail.html", context, key="runs")
