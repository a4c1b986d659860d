"""GET /console/mismatches"""

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from ops_console import cursors, shell, words
from ops_console.access import Visit, workspace
from ops_console.errors import Fact, facts_of
from reconciliation.models import Mismatch
from reconciliation.queries import mismatches as queries
from reconciliation.states import Severity
from settld.core import clock, money

STATUSES: Final = {"": True, "open": True, "past": False, "any": None}


@dataclass(frozen=True)
class Row:
    """One case."""

    id: str
    title: str
    code: str
    severity: str
    tone: str
    period: str
    provider_id: str
    age: str
    first_seen_at: str
    status: str
    href: str
    key: str
    subject: str
    facts: list[Fact]
    identifiers: list[Fact]


@workspace("finance_read")
def mismatches(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List the cases, newest first."""
    chosen = {
        name: request.GET.get(name, "").replace("\x00", "").strip()[:200]
        for name in ("status", "severity", "type", "period", "provider")
    }
    if chosen["severity"] not in Severity.values:
        chosen["severity"] = ""
    if chosen["status"] not in STATUSES:
        chosen["status"] = ""
    if not clock.is_period(chosen["period"]):
        chosen["period"] = ""
    rows = queries.matching(
        tenant_id=visit.tenant_id,
        filters=queries.Filters(
            period=chosen["period"] or None,
            provider_id=chosen["provider"] or None,
            mismatch_type=chosen["type"] or None,
            severity=chosen["severity"] or None,
            is_open=STATUSES[chosen["status"]],
        ),
    )
    place = cursors.read(request.GET["at"]) if request.GET.get("at") else None
    page = cursors.slice_of(rows, by="first_seen_at", place=place)
    kept = {name: value for name, value in chosen.items() if value}
    by_severity = queries.open_by_severity(tenant_id=visit.tenant_id)
    context = {
        "rows": [row_of(mismatch, visit) for mismatch in page.rows],
        "chosen": chosen,
        "is_filtered": bool(kept),
        "severities": [(value, label) for value, label in Severity.choices],
        "providers": list(settings.MONEY_RAILS.providers),
        "totals": [
            (words.label(severity), f"{by_severity[severity]:,}", words.SEVERITY_TONES[severity], severity)
            for severity in ("critical", "high", "medium", "low")
            if by_severity.get(severity)
        ],
        "pager": cursors.pager(
            page, path=reverse("console:mismatches"), parameters=kept, note="Newest first"
        ),
    }
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/mismatches/_list.html", context)
    return shell.page(request, visit, "ops_console/mismatches/page.html", context, key="mismatches")


def row_of(mismatch: Mismatch, visit: Visit) -> Row:
    """Shape one case; one about a payout leads to its page."""
    facts = facts_of(mismatch.details)
    status = "Open" if mismatch.is_open else "Resolved" if mismatch.resolved_at else "No longer found"
    href = ""
    if (
        mismatch.mismatch_key.startswith("mop_")
        and mismatch.mismatch_type != "missing_operation"
        and mismatch.provider_id
    ):
        provider, operation = quote(mismatch.provider_id, safe=":"), quote(mismatch.mismatch_key, safe=":")
        href = f"/console/payouts/{provider}/{operation}"
    return Row(
        id=str(mismatch.pk),
        title=words.label(mismatch.mismatch_type),
        code=mismatch.mismatch_code,
        severity=words.label(mismatch.severity),
        tone=words.SEVERITY_TONES[mismatch.severity],
        period=mismatch.period,
        provider_id=mismatch.provider_id,
        age=words.age(mismatch.first_seen_at, now=visit.now),
        first_seen_at=words.moment(mismatch.first_seen_at),
        status=status,
        href=href,
        key=mismatch.mismatch_key,
        subject=words.payout_subject(mismatch.mismatch_key),
        facts=[_readable(fact, mismatch) for fact in facts if not _is_identifier(fact)],
        identifiers=[_readable(fact, mismatch) for fact in facts if _is_identifier(fact)],
    )


def _is_identifier(fact: Fact) -> bool:
    """Tell a long name for machines from what a person compares."""
    return fact.label.endswith(("Key", "Id", "Hash")) and len(fact.value) > 30


def _readable(fact: Fact, mismatch: Mismatch) -> Fact:
    """Write amounts as money, in the currency of the case when it names one."""
    value = mismatch.details.get(fact.label)
    if fact.label.endswith("Cents") and isinstance(value, int):
        currency = mismatch.details.get("currency") or "USD"
        return Fact(words.label(fact.label[:-5]), money.show(value, str(currency)))
    return Fact(
        words.label(fact.label), fact.value if isinstance(value, str) else json.dumps(value), is_code=True
    )
