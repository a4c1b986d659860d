"""GET /console/connect, /console/connect/{accountId} and …/live"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ops_console import shell
from ops_console.access import Visit, workspace
from ops_console.connect import detail, filters, forms, listing

UNCHANGED = 204


@workspace("finance_read")
def accounts(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List accounts by id; the page asks again by itself, and is sent again when it has changed."""
    wanted = filters.read(request.GET.dict())
    after = request.GET.get("after", "").replace("\x00", "")[:200]
    found = listing.build(tenant_id=visit.tenant_id, filters=wanted, after=after, now=visit.now)
    if request.headers.get("HX-Target") == "live":
        if request.GET.get("version") == found.version:
            return HttpResponse(status=UNCHANGED)
        return render(request, "ops_console/connect/_list.html", {"filters": wanted, "listing": found})
    context = {
        "filters": wanted,
        "listing": found,
        "can_write": visit.may("finance_write"),
        "can_sync": bool(forms.stripe_providers()),
    }
    return shell.page(request, visit, "ops_console/connect/page.html", context, key="connect")


@workspace("finance_read")
def account(request: HttpRequest, visit: Visit, account_id: str) -> HttpResponse:
    """Show one account: how it stands, what Stripe asks for, what waits for it, its history."""
    return shell.page(
        request, visit, "ops_console/connect/detail.html", _context(visit, account_id), key="connect"
    )


@workspace("finance_read")
def live(request: HttpRequest, visit: Visit, account_id: str) -> HttpResponse:
    """Give the part that changes, if it has; with a word when the account may be paid or no longer."""
    context = _context(visit, account_id)
    shown: detail.Account = context["account"]  # type: ignore[assignment]
    if request.GET.get("version") == shown.version:
        return HttpResponse(status=UNCHANGED)
    context["moved_text"] = f"{shown.status}; checks: {shown.kyb.lower()}"
    return render(request, "ops_console/connect/_changed.html", context)


def _context(visit: Visit, account_id: str) -> dict[str, object]:
    row = detail.load(tenant_id=visit.tenant_id, account_id=account_id)
    return {
        "account": detail.build(row, now=visit.now),
        "can_write": visit.may("finance_write"),
        "can_sync": bool(forms.stripe_providers()),
    }
