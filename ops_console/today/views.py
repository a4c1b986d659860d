"""GET /console"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from moneyrails.models import MoneyRailControls
from ops_console import shell
from ops_console.access import Visit, workspace
from ops_console.audit_trail import rows as audit_rows
from ops_console.today import queries, rows
from reconciliation.queries import invariants, mismatches
from settld.stripe_gateway.queries import backlog

ACTIVITY_ROWS = 10


@workspace("ops_read", "finance_read")
def today(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show the day; htmx asks again for the part that changes."""
    context = {"today": build(visit)}
    if request.headers.get("HX-Target") == "live":
        return render(request, "ops_console/today/_live.html", context)
    return shell.page(request, visit, "ops_console/today/page.html", context, key="today")


def build(visit: Visit) -> rows.Today:
    """Read the counts; the number of queries does not depend on the number of rows."""
    now, tenant_id = visit.now, visit.tenant_id
    inbox = rows.inbox_counter(backlog(), now=now)
    activity = None
    if visit.may("ops_read", "audit_read"):
        activity = audit_rows.newest(tenant_id=tenant_id, limit=ACTIVITY_ROWS)
    day = queries.day_start(now).strftime("%A, %Y-%m-%d")
    if not visit.may("finance_read"):
        return rows.Today(day=day, counters=[inbox], activity=activity)
    cells = queries.by_day_and_state(tenant_id=tenant_id, now=now)
    controls = MoneyRailControls.objects.filter(tenant_id=tenant_id).first()
    return rows.Today(
        day=day,
        counters=[
            *rows.payout_counters(
                queries.totals(tenant_id=tenant_id, now=now),
                queries.doubtful_attempts(tenant_id=tenant_id),
                now=now,
            ),
            rows.mismatch_counter(mismatches.open_by_severity(tenant_id=tenant_id)),
            rows.month_counter(queries.months(tenant_id=tenant_id)),
            inbox,
        ],
        overdue_stop=rows.overdue_stop(controls, now=now),
        broken=rows.broken(invariants.open_cases(tenant_id=tenant_id), controls),
        shows_money=True,
        chart=rows.chart(cells, now=now),
        states=rows.states(cells, now=now),
        exposure=rows.exposure(
            queries.exposure(tenant_id=tenant_id, now=now),
            controls,
            modes=[provider.mode for provider in settings.MONEY_RAILS.providers.values()],
            now=now,
        ),
        exposure_note=rows.exposure_note(controls),
        activity=activity,
    )
