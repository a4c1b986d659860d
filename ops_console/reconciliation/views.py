"""GET /console/reconciliation, …/reports/{artifactId}, …/artifact.json; GET, POST …/run"""

import json
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import reverse

from moneyrails.services.replies import Replayed
from ops_console import acts, cursors, errors, shell, words
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Field, Option
from ops_console.reconciliation import history, matrix, report
from reconciliation.queries import reports as queries
from reconciliation.services import scheduler
from reconciliation.states import ReportStatus, Side
from settld.artifacts import queries as artifacts
from settld.core import clock, transactions
from settld.core.errors import NotFound, Refusal

KEY: Final = "reconciliation"
METHODS: Final = ("GET", "HEAD", "POST")
PACK_BUTTON: Final = "ops_console/evidence/_report_button.html"


@dataclass(frozen=True)
class ReportRow:
    """One report in the list."""

    period: str
    provider_id: str
    side: str
    status: str
    tone: str
    count: str
    report_hash: str
    last_run_at: str
    age: str
    href: str


@workspace("finance_read")
def reconciliation(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show the matrix, the scheduler and the list of reports."""
    chosen = {
        name: request.GET.get(name, "").replace("\x00", "").strip()[:200]
        for name in ("period", "provider", "status", "side")
    }
    if not clock.is_period(chosen["period"]):
        chosen["period"] = ""
    if chosen["status"] not in ReportStatus.values:
        chosen["status"] = ""
    if chosen["side"] not in Side.values:
        chosen["side"] = ""
    context = _list(visit, request, chosen)
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/reconciliation/_list.html", context)
    context |= {"matrix": matrix.build(visit), "scheduler": history.build(visit)}
    context["may_run"] = visit.may("finance_write", "ops_write")
    return shell.page(request, visit, "ops_console/reconciliation/page.html", context, key=KEY)


def _list(visit: Visit, request: HttpRequest, chosen: dict[str, str]) -> dict[str, Any]:
    rows = queries.matching(
        tenant_id=visit.tenant_id,
        filters=queries.ReportFilters(
            period=chosen["period"] or None,
            provider_id=chosen["provider"] or None,
            status=chosen["status"] or None,
            side=chosen["side"] or None,
        ),
    )
    place = cursors.read(request.GET["at"]) if request.GET.get("at") else None
    page = cursors.slice_of(rows, by="last_run_at", place=place)
    kept = {name: value for name, value in chosen.items() if value}
    return {
        "chosen": chosen,
        "is_filtered": bool(kept),
        "providers": sorted(settings.MONEY_RAILS.providers),
        "sides": list(matrix.SIDE_LABELS.items()),
        "rows": [
            ReportRow(
                period=row.period,
                provider_id=row.provider_id,
                side=matrix.SIDE_LABELS[row.side],
                status="Ties out" if row.status == "pass" else "Differs",
                tone="good" if row.status == "pass" else "bad",
                count=f"{row.mismatch_count:,}",
                report_hash=words.short(row.report_hash),
                last_run_at=words.moment(row.last_run_at),
                age=words.age(row.last_run_at, now=visit.now),
                href=matrix.href_of(row),
            )
            for row in page.rows
        ],
        "pager": cursors.pager(
            page, path=reverse("console:reconciliation"), parameters=kept, note="Last seen to hold first"
        ),
    }


@workspace("finance_read")
def report_page(request: HttpRequest, visit: Visit, artifact_id: str) -> HttpResponse:
    """Show one report, a page of one group of its differences."""
    start = request.GET.get("from", "")
    page = report.build(
        visit,
        artifact_id=artifact_id,
        group=request.GET.get("group", "")[:100],
        start=int(start) if start.isascii() and start.isdigit() and len(start) < 8 else 0,
    )
    context = {"page": page, "report": page.report, "may_run": visit.may("finance_write", "ops_write")}
    context["pack_button"] = PACK_BUTTON if _exists(PACK_BUTTON) else ""
    run = urlencode({"period": page.report.period, "provider": page.report.provider_id})
    context["run_href"] = f"{reverse('console:reconciliation-run')}?{run}"
    if request.headers.get("HX-Target") == "list":
        return render(request, "ops_console/reconciliation/_group.html", context)
    return shell.page(request, visit, "ops_console/reconciliation/report.html", context, key=KEY)


def _exists(template: str) -> bool:
    try:
        get_template(template)
    except TemplateDoesNotExist:
        return False
    return True


@workspace("finance_read")
def artifact(request: HttpRequest, visit: Visit, artifact_id: str) -> HttpResponse:
    """Download a report's document, byte for byte as it was hashed."""
    if queries.find(tenant_id=visit.tenant_id, artifact_id=artifact_id) is None:
        raise NotFound()
    stored = artifacts.get(tenant_id=visit.tenant_id, artifact_id=artifact_id)
    response = HttpResponse(stored.body.encode(), content_type="application/json")
    response["content-disposition"] = f'attachment; filename="{artifact_id}.json"'
    return response


# --- Run now --------------------------------------------------------------------------------------
@workspace("finance_write", "ops_write", methods=METHODS)
def run(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Ask what to compare, then compare it."""
    form = _form(visit, request.GET.get("period", ""), request.GET.get("provider", ""))
    if request.method != "POST":
        return _run_page(request, visit, acts.fresh(form))
    try:
        form = _checked(acts.filled(form, request.POST.dict()))
        if not form.is_complete:
            return _run_page(request, visit, form, status=422)
        answer = _run_once(request, visit, form)
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        shown = errors.shown(refusal, request_id=visit.request_id)
        return _run_page(request, visit, kept, refused=shown, status=refusal.status)
    messages.add_message(request, answer["level"], answer["text"])
    return go(request, answer["href"])


def _form(visit: Visit, period: str, provider: str) -> ActForm:
    names = sorted(settings.MONEY_RAILS.providers)
    options = (Option("", "Every provider"), *(Option(name, name) for name in names))
    return ActForm(
        action=reverse("console:reconciliation-run"),
        title="Reconcile now?",
        text="Instructions are compared with operations, and operations with the provider's statement,"
        " which is read first. Reports are stored, cases are opened and cleared. No money moves.",
        button="Reconcile",
        back_href=reverse("console:reconciliation"),
        tenant_id=visit.tenant_id,
        fields=(
            Field(
                "period", "Period", value=period if clock.is_period(period) else "", max_length=7,
                hint="As YYYY-MM. Leave it empty for the newest months with instructions.",
            ),
            Field(
                "provider", "Provider", value=provider if provider in names else "", max_length=200,
                options=options,
            ),
        ),
    )  # fmt: skip


def _checked(form: ActForm) -> ActForm:
    """Say beside the month that it is none."""
    fields = tuple(
        replace(item, error="Write the month as YYYY-MM.")
        if item.name == "period" and item.value and not item.error and not clock.is_period(item.value)
        else item
        for item in form.fields
    )
    return replace(form, fields=fields)


def _run_once(request: HttpRequest, visit: Visit, form: ActForm) -> dict[str, Any]:
    """Run, unless this form did before; then its first answer stands."""
    memory = acts.FormMemory(acts.identity(request, visit, form), visit, lambda answer: answer)
    try:
        with transactions.atomic():
            memory.recall()
    except Replayed as replay:
        answer: dict[str, Any] = json.loads(replay.reply.body)
        return answer | {"text": f"{answer['text']} This form had been sent before; that answer stands."}
    limits = settings.MONEY_RAIL_RECONCILE
    result = scheduler.run(
        scheduler.Order(
            tenant_id=visit.tenant_id,
            period=form.values["period"] or None,
            provider_id=form.values["provider"] or None,
            force=True,
            max_periods_per_tenant=limits["max_periods_per_tenant"],
            max_providers_per_tenant=limits["max_providers_per_tenant"],
            with_provider_side=bool(settings.PROVIDER_STATEMENT["enabled"]),
        ),
        actor=visit.actor,
        path=request.path,
    )
    answer = _told(result)
    with transactions.atomic():
        memory.keep(answer)
    return answer


def _told(result: dict[str, Any]) -> dict[str, Any]:
    """Put a run's outcome into a sentence, and lead to the one report when it made only one."""
    summary = result["summary"]
    if result.get("skipped"):
        return {"level": messages.WARNING, "text": "Reconciliation is switched off in this deployment.",
                "href": reverse("console:reconciliation")}  # fmt: skip
    made = [row for row in result["results"] if row.get("artifactId")]
    text = f"{words.count(summary['reconciled'], 'comparison')} with our books:"
    text += f" {summary['passCount']:,} tie out, {summary['failCount']:,} differ."
    if summary["skippedNoInputs"] and not summary["reconciled"]:
        text = "There was nothing to compare: no payout instruction in this tenant."
    if "providerSide" in result:
        rows = result["providerSide"]["results"]
        differing = sum(row["status"] == "fail" for row in rows)
        text += f" {words.count(len(rows), 'comparison')} with the provider: {differing:,} differ."
        pulled = result["providerSide"]["statement"] or {}
        if pulled.get("status") == "error":
            text += " The provider's statement could not be read to its end."
    if summary["errored"]:
        text += f" {words.count(summary['errored'], 'comparison')} broke off with an error."
    level = messages.SUCCESS if result["ok"] and not summary["failCount"] else messages.WARNING
    href = reverse("console:reconciliation")
    if len(made) == 1:
        href = reverse("console:reconciliation-report", kwargs={"artifact_id": made[0]["artifactId"]})
    return {"level": level, "text": text, "href": href}


def _run_page(
    request: HttpRequest,
    visit: Visit,
    form: ActForm,
    *,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"form": form, "refusal": refused}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/reconciliation/_run.html", context, status=status)
    return shell.page(request, visit, "ops_console/reconciliation/run.html", context, key=KEY, status=status)
