"""What the console answers where it has no page."""

from django.http import HttpRequest, HttpResponse

from ops_console.access import Visit, workspace
from settld.core.errors import NotFound


@workspace("ops_read", "finance_read", "audit_read", methods=("GET", "HEAD", "POST"))
def nothing_here(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Answer an address below /console that names nothing."""
    raise NotFound()
