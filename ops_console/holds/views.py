"""GET /console/holds"""

from django.http import HttpRequest, HttpResponse

from ops_console import cursors, shell
from ops_console.access import Visit, workspace
from ops_console.holds import listing


@workspace("finance_read", "ops_read")
def holds(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List holds, newest first."""
    place = cursors.read(request.GET["at"]) if request.GET.get("at") else None
    shown = listing.build(
        tenant_id=visit.tenant_id, parameters=request.GET.dict(), place=place, now=visit.now
    )
    return shell.page(request, visit, "ops_console/holds/page.html", {"listing": shown}, key="holds")
