"""GET /console/controls"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from moneyrails.queries import approvals
from moneyrails.services import controls
from ops_console import people, shell
from ops_console.access import Visit, workspace
from ops_console.controls import queries, rows, simulating


@workspace("finance_read")
def page(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show the rules, how much of them is used, the stop, and who changed what."""
    place = request.GET.get("before", "")
    before = int(place) if place.isascii() and place.isdigit() and len(place) <= 18 else None
    found = queries.history(tenant_id=visit.tenant_id, before_id=before or None, size=rows.HISTORY_ROWS + 1)
    changes = rows.changes(found[: rows.HISTORY_ROWS])
    row = controls.get(tenant_id=visit.tenant_id)
    context = {
        "changes": changes,
        "pager": rows.history_pager(
            changes, has_more=len(found) > rows.HISTORY_ROWS, is_later=before is not None
        ),
        "may_write": visit.may("finance_write"),
        "stop": rows.stop_of(row, now=visit.now, names=people.names([row.kill_switch_set_by])),
        "uses": rows.uses(row, queries.usage(tenant_id=visit.tenant_id, now=visit.now), now=visit.now),
        "rules": rows.rules(row),
        "has_four_eyes": row.has_four_eyes,
        "waiting": approvals.waiting_count(tenant_id=visit.tenant_id, now=visit.now),
        "form": simulating.empty_form(),
    }
    if request.headers.get("HX-Target") == "history":
        return render(request, "ops_console/controls/_history.html", context)
    return shell.page(request, visit, "ops_console/controls/page.html", context, key="controls")
