"""GET /console/mismatches, /console/mismatches/{triageKey}, /console/mismatches.csv and .xlsx"""

import tempfile
from typing import IO, Any, Final, cast

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from ops_console import shell
from ops_console.access import Visit, workspace
from ops_console.mismatches import export, filters, listing, panel
from ops_console.mismatches.members import members
from ops_console.mismatches.panel import CaseNotFound
from reconciliation.services import sheets
from reconciliation.services.acts import ACTS
from settld.core import clock

KEEP_IN_MEMORY: Final = 4 * 1024 * 1024
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@workspace("finance_read")
def mismatches(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List the cases; the address holds every filter, the place and the opened case."""
    wanted = filters.read(request.GET.dict() | {"home": ""})
    opened = request.GET.get("case", "").replace("\x00", "")[:64]
    team = members(tenant_id=visit.tenant_id)
    context: dict[str, Any] = {
        "filters": wanted,
        "listing": listing.build(
            visit=visit, filters=wanted, place=request.GET.get("at", "")[:500], opened=opened, team=team
        ),
        "acts": list(ACTS.values()),
        "may_write": visit.may("finance_write"),
        "tenant_id": visit.tenant_id,
        "has_case_keys": True,
        "list_href": wanted.address(at=request.GET.get("at", "")[:500]),
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/mismatches/_list.html", context)
    if opened:
        try:
            found = panel.load(tenant_id=visit.tenant_id, triage_key=opened)
            context["panel"] = panel.leading_back(panel.build(found, visit=visit, team=team), wanted)
        except CaseNotFound:
            context["is_case_missing"] = True
    return shell.page(request, visit, "ops_console/mismatches/page.html", context, key="mismatches")


@workspace("finance_read")
def mismatch(request: HttpRequest, visit: Visit, triage_key: str) -> HttpResponse:
    """Show one case: the panel where htmx asks for it, else a page of its own."""
    found = panel.load(tenant_id=visit.tenant_id, triage_key=triage_key)
    team = members(tenant_id=visit.tenant_id)
    wanted = filters.read_query(request.GET.get("back", ""))
    shown = panel.leading_back(panel.build(found, visit=visit, team=team), wanted)
    if request.headers.get("HX-Target") == "case":
        return render(request, "ops_console/mismatches/_panel.html", {"panel": shown})
    return shell.page(request, visit, "ops_console/mismatches/case.html", {"panel": shown}, key="mismatches")


# --- Files ----------------------------------------------------------------------------------------
@workspace("finance_read")
def mismatches_csv(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Download the filtered queue as CSV, written while it is read."""
    response = StreamingHttpResponse(
        sheets.csv_lines(list(export.COLUMNS), _batches(request, visit)),
        content_type="text/csv; charset=utf-8",
    )
    response["content-disposition"] = f'attachment; filename="{_file_name(visit)}.csv"'
    response["x-settld-rows-limit"] = str(export.MOST_ROWS)
    return cast(HttpResponse, response)


@workspace("finance_read")
def mismatches_xlsx(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Download the filtered queue as a workbook; it is packed on disk when it grows large."""
    target: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=KEEP_IN_MEMORY)  # noqa: SIM115  (closed by the answer)
    sheets.write_workbook(
        target,
        title="Mismatches",
        columns=list(export.COLUMNS),
        widths=list(export.COLUMNS.values()),
        batches=_batches(request, visit),
    )
    target.seek(0)
    response = FileResponse(
        target, as_attachment=True, filename=f"{_file_name(visit)}.xlsx", content_type=XLSX
    )
    response["x-settld-rows-limit"] = str(export.MOST_ROWS)
    return cast(HttpResponse, response)


def _batches(request: HttpRequest, visit: Visit) -> Any:
    wanted = filters.read(request.GET.dict())
    return export.batches(
        tenant_id=visit.tenant_id,
        wanted=wanted.wanted(principal_id=visit.principal.principal_id, now=visit.now),
        is_by_age=wanted.is_by_age,
    )


def _file_name(visit: Visit) -> str:
    stamp = (clock.iso(visit.now) or "")[:19].replace(":", "").replace("-", "")
    return f"mismatches-{stamp}Z"
