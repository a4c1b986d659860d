"""GET /console/billing/events, …/events.csv, …/plans, …/operations, …/reports, …/reports.csv"""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from billing.services import permissions, reports
from ops_console import shell
from ops_console.access import Visit
from ops_console.billing_console import (
    catalog_rows,
    event_filters,
    explorer_rows,
    guard,
    operations,
    reporting,
    wording,
)
from ops_console.billing_console.guard import billing_page
from settld.core import clock

TEMPLATES = "ops_console/billing_console"


@billing_page(permissions.EVENTS)
def events(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Search what happened over all tenants; a key or an event is followed through all sources."""
    guard.note_read(request, visit)
    wanted = event_filters.read(request.GET.dict())
    context = {
        "filters": wanted,
        "listing": explorer_rows.build(wanted),
        "sources": wording.SOURCE_CHOICES,
        "sizes": event_filters.SIZES,
        "workspaces": visit.tenants,
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, f"{TEMPLATES}/_events.html", context)
    return shell.page(request, visit, f"{TEMPLATES}/events.html", context, key="billing-events")


@billing_page(permissions.EVENTS)
def events_csv(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Download what the filters let through; the number of rows is bounded and a header says by how many."""
    guard.note_read(request, visit)
    wanted = event_filters.read(request.GET.dict())
    response = StreamingHttpResponse(
        explorer_rows.csv_lines(wanted.search), content_type="text/csv; charset=utf-8"
    )
    _attach(response, visit, name="billing-events")
    response["x-settld-rows-limit"] = str(event_filters.DEEPEST)
    return response  # type: ignore[return-value]  # a streaming answer is an answer


@billing_page(permissions.CATALOG)
def plans(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List plans and one-time prices, with what can be done about each."""
    guard.note_read(request, visit)
    context = {"page": catalog_rows.build(request.GET.dict())}
    if request.headers.get("HX-Target") == "list":
        return render(request, f"{TEMPLATES}/_plans.html", context)
    return shell.page(request, visit, f"{TEMPLATES}/plans.html", context, key="billing-plans")


@billing_page(permissions.OPERATIONS)
def operations_page(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List what is under way, waits or was given up; one list at a time."""
    guard.note_read(request, visit)
    context = {"page": operations.build(visit, request.GET.dict())}
    return shell.page(request, visit, f"{TEMPLATES}/operations.html", context, key="billing-operations")


@billing_page(permissions.OPERATIONS)
def reports_page(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show revenue, invoices by month, blocked checkouts and dead letters."""
    guard.note_read(request, visit)
    months = reporting.months_of(request.GET.dict())
    context = {"page": reporting.build(reports.summary(months=months), months=months)}
    return shell.page(request, visit, f"{TEMPLATES}/reports.html", context, key="billing-reports")


@billing_page(permissions.OPERATIONS)
def reports_csv(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Download the report, one figure a line."""
    guard.note_read(request, visit)
    summary = reports.summary(months=reporting.months_of(request.GET.dict()))
    response = HttpResponse(reporting.csv_text(summary), content_type="text/csv; charset=utf-8")
    _attach(response, visit, name="billing-report")
    return response


def _attach(response: HttpResponse | StreamingHttpResponse, visit: Visit, *, name: str) -> None:
    stamp = (clock.iso(visit.now) or "")[:19].replace(":", "").replace("-", "")
    response["content-disposition"] = f'attachment; filename="{name}-{stamp}Z.csv"'
