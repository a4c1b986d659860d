"""GET /w/{slug}/billing, …/confirm and …/standing, POST …/refresh; GET /w/paid"""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from billing.services import refresh, snapshot
from ops_console.access import go
from ops_console.workspace_billing import confirming, page, standing
from ops_console.workspace_billing.confirming import Confirming, Kind
from ops_console.workspace_billing.desk import Desk, billing_page

CONFIRM = "ops_console/workspace_billing/_confirm.html"
STANDING = "ops_console/workspace_billing/_standing.html"
PAID = "ops_console/workspace_billing/paid.html"


@billing_page()
def billing(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Show the workspace's billing; the address names the tab and holds its filters."""
    return page.show(request, desk, tab=page.tab_of(request))


@billing_page()
def confirm(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Say whether the snapshot confirms the checkout yet; 204 while there is nothing new to say."""
    until = confirming.read_until(request.GET.get("until", ""), now=desk.now)
    seen = confirming.look(desk, snapshot.of(entity=desk.entity), until=until)
    if seen.is_waiting:
        return HttpResponse(status=204)
    if seen.kind == Kind.CONFIRMED:
        return _home(request, desk, seen)
    return render(request, CONFIRM, {"confirming": seen, "desk": desk, "may_write": desk.may_write})


@billing_page()
def standing_now(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Give the status panel when it has changed, 204 while it has not; after a minute it stops asking."""
    shown = standing.build(snapshot.of(entity=desk.entity))
    until = confirming.read_until(request.GET.get("until", ""), now=desk.now)
    is_over = desk.now >= until
    if shown.version == request.GET.get("version") and not is_over:
        return HttpResponse(status=204)
    live_href = "" if is_over else page.standing_href(desk, shown, until=until)
    context = {
        "standing": shown,
        "desk": desk,
        "may_write": desk.may_write,
        "forms": page.Forms(),
        "live_href": live_href,
    }
    return render(request, STANDING, context)


@billing_page(methods=("POST",))
def look_again(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Have the open checkout read at the provider; the page's own polling sees what came of it."""
    refresh.refresh(entity=desk.entity, now=desk.now)
    if getattr(request, "htmx", False):
        return HttpResponse(status=204)
    seen = confirming.look(desk, snapshot.of(entity=desk.entity))
    if seen.is_waiting and request.POST.get("confirming"):
        return go(request, f"{desk.href()}?checkout=success")
    return _home(request, desk, seen)


def _home(request: HttpRequest, desk: Desk, seen: Confirming) -> HttpResponse:
    """Go on to the page itself, which shows the fresh state, with a word about what was seen."""
    if seen.kind == Kind.CONFIRMED:
        messages.success(request, f"{seen.title}. {seen.text}")
    elif seen.kind == Kind.WAITING:
        messages.info(request, "The provider has nothing new about this checkout.")
    else:
        messages.info(request, f"{seen.title}.")
    return go(request, desk.href())


@require_safe
def paid(request: HttpRequest) -> HttpResponse:
    """Thank whoever comes back from a payment link; they are strangers, so it says nothing of anybody."""
    return render(request, PAID)
