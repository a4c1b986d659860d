"""GET /ops/finance/reconciliation/workspace: one month's books on one page; /console/finance leads there."""

import datetime as dt
from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control, patch_vary_headers

from ops_console import shell, visitors, words
from ops_console.access import SAFE, TENANT_KEY, Visit, answered, open_visit, visit_of
from ops_console.finance import schedule, standing, tie_out
from ops_console.mismatches import filters, listing, panel
from ops_console.mismatches.filters import FINANCE, Filters
from ops_console.mismatches.members import members
from ops_console.mismatches.panel import CaseNotFound
from ops_console.payouts.filters import Choice
from ops_console.statements.listing import chosen_month
from reconciliation.services import triage
from reconciliation.services.acts import ACTS
from reconciliation.states import Severity
from settld.api.openapi import TEXT, plain
from settld.core import clock, tenancy
from settld.core.errors import Forbidden, Invalid

# What this page does is open to programs, too; they name the protocol with each request.
API: Final = {
    "protocolHeader": "x-settld-protocol",
    "triage": "/ops/finance/reconciliation/triage",
    "status": "/ops/status",
    "runMaintenance": "/ops/maintenance/finance-reconcile/run",
    "reconcile": "/ops/finance/reconcile",
    "netClose": "/ops/finance/net-close",
}
MOST_MONTHS: Final = 12
View = Callable[[HttpRequest, Visit], HttpResponse]


class BadPeriod(Invalid):
    """The address names something that is no month."""

    message = "period must be a month, written YYYY-MM"


def _guarded(view: View) -> Callable[[HttpRequest], HttpResponse]:
    """Open the page to a login, a credential in a header, or a token that becomes a session."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method not in SAFE:
            return HttpResponseNotAllowed(SAFE)

        token = visitors.take_token(request)

        def work() -> HttpResponse:
            visit = _visit(request, token)
            if not visit.may("finance_read"):
                raise Forbidden("missing_scope")
            with tenancy.tenant_scope(visit.tenant_id):
                return view(request, visit)

        is_open = bool(token) or visitors.shows_credential(request)
        response = answered(request, work, kwargs={}, is_open=is_open)
        patch_cache_control(response, no_store=True, private=True)
        patch_vary_headers(response, ["Cookie", "HX-Request"])
        response["Referrer-Policy"] = "no-referrer"
        return response

    return guarded


def _visit(request: HttpRequest, token: str) -> Visit:
    """Find who looks, and at which tenant; a tenant named in the address stays chosen."""
    wanted = request.GET.get("tenantId", "").strip()
    if "\x00" in wanted or len(wanted) > 200:
        raise Forbidden("no_membership")
    if not request.user.is_authenticated:
        return visit_of(request, visitors.admit(request, token=token, tenant_id=wanted), is_write=False)
    visit = open_visit(request, is_write=False, tenant_id=wanted)
    if wanted and request.session.get(TENANT_KEY) != wanted:
        request.session[TENANT_KEY] = wanted
    return visit


plain(
    "/ops/finance/reconciliation/workspace",
    "get",
    summary="Show one month's books to people: period, providerId, tenantId (finance_read)",
    answers={200: TEXT, 303: TEXT, 400: TEXT, 403: TEXT},
    answer_type="text/html",
)


@_guarded
def page(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show the month; htmx gets the queue alone where it asks for that."""
    period, months, names = _month(request, visit)
    wanted = _filters(request, period)
    opened = request.GET.get("case", "").replace("\x00", "")[:64]
    place = request.GET.get("at", "")[:500]
    team = members(tenant_id=visit.tenant_id)
    context: dict[str, Any] = {
        "filters": wanted,
        "listing": listing.build(visit=visit, filters=wanted, place=place, opened=opened, team=team),
        "acts": list(ACTS.values()),
        "may_write": visit.may("finance_write"),
        "tenant_id": visit.tenant_id,
        "has_case_keys": True,
        "list_href": wanted.address(at=place).partition("#")[0],
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/mismatches/_list.html", context)
    if opened:
        try:
            found = panel.load(tenant_id=visit.tenant_id, triage_key=opened)
            context["panel"] = panel.leading_back(panel.build(found, visit=visit, team=team), wanted)
        except CaseNotFound:
            context["is_case_missing"] = True
    month = next((row for row in months if row.month == period), None)
    reports = tie_out.latest_reports(tenant_id=visit.tenant_id, period=period)
    tie = tie_out.build(
        visit,
        period=period,
        provider=wanted.provider,
        month_reports=reports,
        is_closed=month is not None and month.is_closed,
    )
    context |= {
        "period": period,
        "month_links": _month_links(wanted, names, period),
        "cards": standing.build(visit, period=period, month=month, month_reports=reports, tie=tie),
        "tie": tie,
        "schedule": schedule.build(visit),
        "may_run": visit.may("finance_write", "ops_write"),
        "run_href": reverse("console:finance-act", args=[period, "maintenance"]),
        "here": wanted.address(),
        "blank": _blank(),
        "api": API,
        "step": triage.ACTION,
    }
    return shell.page(request, visit, "ops_console/finance/page.html", context, key="finance")


def alias(request: HttpRequest) -> HttpResponse:
    """GET /console/finance: the same page under the console's own roof."""
    tail = f"?{request.GET.urlencode()}" if request.GET else ""
    return HttpResponseRedirect(f"{reverse('console:finance')}{tail}")


def _month(request: HttpRequest, visit: Visit) -> tuple[str, list[Any], list[str]]:
    """Choose the month: the one asked for, the newest that is closed, the newest known, or the last one."""
    asked = request.GET.get("period", "").strip()
    if asked and not clock.is_period(asked):
        raise BadPeriod()
    months, names, period = chosen_month(tenant_id=visit.tenant_id, wanted=asked)
    return period or _last_month(visit.now), months, names


def _last_month(now: dt.datetime) -> str:
    return clock.period_of(now.replace(day=1) - dt.timedelta(days=1))


def _filters(request: HttpRequest, period: str) -> Filters:
    """Read the queue's filters; the month is the page's own, and the provider goes by its id."""
    given = request.GET.dict()
    given["provider"] = str(given.get("providerId") or given.get("provider") or "")
    return filters.read(given | {"period": period, "home": FINANCE})


def _month_links(wanted: Filters, names: list[str], period: str) -> list[tuple[str, str, bool]]:
    shown = sorted({*names[:MOST_MONTHS], period}, reverse=True)
    kept = {"providerId": wanted.provider} if wanted.provider else {}
    path = reverse("console:finance")
    return [(name, f"{path}?{urlencode({'period': name, **kept})}", name == period) for name in shown]


def _blank() -> dict[str, Any]:
    """Give the form's choices while no case is open: they are shown, and switched off."""
    return {
        "statuses": panel.status_choices(""),
        "severities": [Choice(name, words.label(name), False) for name in Severity.values],
        "owners": [],
        "form": panel.Form(action="", tenant_id="", revision=0, seen_hash="", idempotency_key=""),
    }
