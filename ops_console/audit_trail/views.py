"""GET /console/audit"""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ops_console import shell
from ops_console.access import Visit, workspace
from ops_console.audit_trail import rows
from ops_console.cursors import ROWS, Pager
from settld.audit.queries import AuditFilter


@workspace("ops_read", "audit_read")
def audit(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List the chain, newest first."""
    filters = {
        name: request.GET.get(name, "").replace("\x00", "").strip()[:500]
        for name in ("action", "target", "request")
    }
    place = request.GET.get("before", "")
    before = int(place) if place.isascii() and place.isdigit() and len(place) <= 18 else None
    found = rows.newest(
        tenant_id=visit.tenant_id,
        limit=ROWS + 1,
        wanted=AuditFilter(
            action=filters["action"].upper().replace(" ", "_") or None,
            target_id=filters["target"] or None,
            request_id=filters["request"] or None,
            before_id=before or None,
        ),
    )
    kept = {name: value for name, value in filters.items() if value}
    shown = found[:ROWS]
    next_href = f"?{urlencode({**kept, 'before': shown[-1].id})}" if len(found) > ROWS else ""
    context = {
        "rows": shown,
        "filters": filters,
        "is_filtered": bool(kept),
        "pager": Pager(
            note="Newest first", previous_href=f"?{urlencode(kept)}" if before else "", next_href=next_href
        ),
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/audit/_list.html", context)
    return shell.page(request, visit, "ops_console/audit/page.html", context, key="audit")
