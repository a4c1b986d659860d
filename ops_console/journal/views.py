"""GET /console/journal, /console/journal/entries/{entryId}, /console/journal/accounts and …/{accountId}"""

import datetime as dt

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ops_console import cursors, shell
from ops_console.access import Visit, workspace
from ops_console.addresses import Address
from ops_console.journal import accounts as account_pages
from ops_console.journal import entry as entry_page
from ops_console.journal import listing


@workspace("finance_read")
def journal(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List entries, newest first; the address holds every filter and the place."""
    filters = listing.read(request.GET.dict())
    place = cursors.read(request.GET["at"]) if request.GET.get("at") else None
    context = {
        "filters": filters,
        "listing": listing.build(tenant_id=visit.tenant_id, filters=filters, place=place),
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/journal/_list.html", context)
    return shell.page(request, visit, "ops_console/journal/page.html", context, key="journal")


@workspace("finance_read")
def entry(request: HttpRequest, visit: Visit, entry_id: str) -> HttpResponse:
    """Show one entry with its lines and shares."""
    context = {"entry": entry_page.build(tenant_id=visit.tenant_id, entry_id=entry_id)}
    return shell.page(request, visit, "ops_console/journal/entry.html", context, key="journal")


@workspace("finance_read")
def accounts(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List what stands on the accounts, now or at the end of a day."""
    address = Address(request.GET.dict())
    day = address.day("at")
    context = {
        "page": account_pages.build(
            tenant_id=visit.tenant_id,
            q=address.text("q"),
            after=address.text("after"),
            at=dt.date.fromisoformat(day) if day else None,
        ),
        "faults": address.faults,
    }
    return shell.page(request, visit, "ops_console/journal/accounts.html", context, key="journal")


@workspace("finance_read")
def account(request: HttpRequest, visit: Visit, account_id: str) -> HttpResponse:
    """Show one account: its balance, how it came to be, and its postings."""
    place = cursors.read(request.GET["at"]) if request.GET.get("at") else None
    shown = account_pages.detail(tenant_id=visit.tenant_id, account_id=account_id, place=place, now=visit.now)
    return shell.page(request, visit, "ops_console/journal/account.html", {"account": shown}, key="journal")
