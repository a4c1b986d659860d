"""GET, POST /console/finance/{period}/act/{name}: what the workspace's buttons do, each in two steps."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from moneyrails.services.replies import Replayed
from ops_console import acts, errors, shell, words
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm, Field
from ops_console.errors import Fact
from ops_console.finance import standing
from reconciliation.services import finance_report, finance_scheduler
from settld.closing.services import net_close
from settld.core import clock, transactions
from settld.core.errors import NotFound, Refusal
from settld.ledger import queries as ledger

METHODS: Final = ("GET", "HEAD", "POST")
BASIS: Final = "settledAt"
Answer = dict[str, Any]


@dataclass(frozen=True)
class Act:
    """One button: its second step, its rights, and what it does."""

    form: Callable[[Visit, str], ActForm]
    do: Callable[[HttpRequest, Visit, str], Answer]
    scopes: tuple[str, ...] = ("finance_write",)
    is_of_many_steps: bool = False


@workspace("finance_write", "ops_write", methods=METHODS)
def act(request: HttpRequest, visit: Visit, period: str, name: str) -> HttpResponse:
    """Ask, then do it once however often the form is sent."""
    wanted = ACTS.get(name)
    if wanted is None or not clock.is_period(period):
        raise NotFound()
    if not visit.may(*wanted.scopes):
        return errors.page(request, status=403, code="FORBIDDEN")
    form = wanted.form(visit, period)
    if request.method != "POST":
        return _page(request, visit, period, acts.fresh(form))
    try:
        form = _typed(acts.filled(form, request.POST.dict()), period)
        if not form.is_complete:
            return _page(request, visit, period, form, status=422)
        answer = _once(request, visit, period, form, wanted)
    except Refusal as refusal:
        kept = form if form.idempotency_key else acts.fresh(form)
        return _page(
            request, visit, period, kept, refused=_shown(refusal, visit), status=min(refusal.status, 499)
        )
    messages.add_message(request, messages.SUCCESS if answer["ok"] else messages.WARNING, answer["text"])
    return go(request, back_href(period))


def back_href(period: str) -> str:
    """Name the workspace of a month."""
    return f"{reverse('console:finance')}?{urlencode({'period': period})}"


def _typed(form: ActForm, period: str) -> ActForm:
    """Say beside the confirmation that it names another month."""
    fields = tuple(
        replace(item, error=f"Type {period} to confirm.")
        if item.name == "confirm" and item.value and not item.error and item.value != period
        else item
        for item in form.fields
    )
    return replace(form, fields=fields)


def _once(request: HttpRequest, visit: Visit, period: str, form: ActForm, wanted: Act) -> Answer:
    identity = acts.identity(request, visit, form)
    replayed = " This form had been sent before; that answer stands."
    if not wanted.is_of_many_steps:
        done = acts.once(identity, visit, lambda: wanted.do(request, visit, period))
        return done.answer | ({"text": done.answer["text"] + replayed} if done.is_replay else {})
    memory = acts.FormMemory(identity, visit, lambda answer: answer)
    try:
        with transactions.atomic():
            memory.recall()
    except Replayed as replay:
        answer: Answer = json.loads(replay.reply.body)
        return answer | {"text": answer["text"] + replayed}
    answer = wanted.do(request, visit, period)
    with transactions.atomic():
        memory.keep(answer)
    return answer


def _shown(refusal: Refusal, visit: Visit) -> errors.Shown:
    shown = errors.shown(refusal, request_id=visit.request_id)
    if not isinstance(refusal, net_close.PreconditionsFailed):
        return shown
    codes = refusal.details["mismatchCodes"] if isinstance(refusal.details, dict) else []
    return replace(shown, facts=[Fact("Checks that fail", ", ".join(codes))])


# --- The report -----------------------------------------------------------------------------------
def _reconcile_form(visit: Visit, period: str) -> ActForm:
    return _form(
        visit, period, "reconcile",
        title=f"Persist the report of {period}?",
        text="The GL batch is compared with the party statements and with the journal. The report is stored,"
        " its mismatches become cases, and cases that are no longer found are cleared. No money moves.",
        button="Persist reconcile",
    )  # fmt: skip


def _reconcile(request: HttpRequest, visit: Visit, period: str) -> Answer:
    report = finance_report.reconcile(
        tenant_id=visit.tenant_id, period=period, persist=True, now=visit.now, actor=visit.actor
    )
    is_pass = report.status == "pass"
    found = "everything ties out" if is_pass else words.count(report.mismatch_count, "mismatch", "mismatches")
    return {"ok": is_pass, "text": f"{period} is compared: {found}."}


# --- Net-close ------------------------------------------------------------------------------------
def _dry_run_form(visit: Visit, period: str) -> ActForm:
    return _form(
        visit, period, "net-close-dry-run",
        title=f"Try the net-close of {period}?",
        text="Escrow postings are compared with the holds of the month, as executing would."
        " Nothing is written.",
        button="Dry run",
        facts=_net_close_facts(visit, period),
    )  # fmt: skip


def _dry_run(request: HttpRequest, visit: Visit, period: str) -> Answer:
    net_close.execute(
        tenant_id=visit.tenant_id, period=period, is_dry_run=True, actor=visit.actor, now=visit.now
    )
    return {"ok": True, "text": f"All checks of {period} pass. Nothing was written."}


def _execute_form(visit: Visit, period: str) -> ActForm:
    return _form(
        visit, period, "net-close",
        title=f"Execute the net-close of {period}?",
        text="Declares the month's escrow settled, and keeps the document that says so. Payouts are not made"
        " by it. Reopening the month makes it stale.",
        button="Execute net-close",
        facts=_net_close_facts(visit, period),
        fields=(
            Field("confirm", "Type the period", max_length=7, is_required=True, hint=f"Type {period}."),
        ),
        is_destructive=True,
    )  # fmt: skip


def _execute(request: HttpRequest, visit: Visit, period: str) -> Answer:
    _, artifact = net_close.execute(
        tenant_id=visit.tenant_id, period=period, is_dry_run=False, actor=visit.actor, now=visit.now
    )
    name = artifact.artifact_id if artifact is not None else ""
    return {"ok": True, "text": f"The net-close of {period} is executed: {name}."}


def _net_close_facts(visit: Visit, period: str) -> list[Fact]:
    month = ledger.find_month(tenant_id=visit.tenant_id, month=period, basis=BASIS)
    found = standing.look(tenant_id=visit.tenant_id, period=period, month=month)
    if found.codes is None:
        return [Fact("Checks", found.problem)]
    return [Fact("Checks", ", ".join(found.codes) or "All pass"), *found.held]


# --- The scheduler --------------------------------------------------------------------------------
def _run_form(visit: Visit, period: str) -> ActForm:
    newest = settings.FINANCE_RECONCILE["max_periods_per_tenant"]
    return _form(
        visit, period, "maintenance",
        title="Run finance maintenance now?",
        text=f"Reconciles this tenant's newest {newest} closed months, as the scheduler does, and stores"
        " the reports. No money moves.",
        button="Run maintenance",
    )  # fmt: skip


def _run(request: HttpRequest, visit: Visit, period: str) -> Answer:
    limits = settings.FINANCE_RECONCILE
    result = finance_scheduler.run(
        finance_scheduler.Order(
            tenant_id=visit.tenant_id, force=True, max_periods_per_tenant=limits["max_periods_per_tenant"]
        ),
        actor=visit.actor,
        path=request.path,
    )
    summary = result["summary"]
    text = f"{words.count(summary['reconciledPeriods'], 'month')} compared:"
    text += f" {summary['passCount']:,} tie out, {summary['failCount']:,} differ."
    if not summary["reconciledPeriods"]:
        text = "There was nothing to compare: no month with a GL batch and statements."
    if summary["erroredPeriods"]:
        text += f" {words.count(summary['erroredPeriods'], 'month')} broke off with an error."
    return {"ok": bool(result["ok"]) and not summary["failCount"], "text": text}


ACTS: Final = {
    "reconcile": Act(_reconcile_form, _reconcile),
    "net-close-dry-run": Act(_dry_run_form, _dry_run),
    "net-close": Act(_execute_form, _execute),
    "maintenance": Act(_run_form, _run, ("finance_write", "ops_write"), is_of_many_steps=True),
}


# --- Printing -------------------------------------------------------------------------------------
def _form(visit: Visit, period: str, name: str, **words_of_it: Any) -> ActForm:
    return ActForm(
        action=reverse("console:finance-act", args=[period, name]),
        back_href=back_href(period),
        tenant_id=visit.tenant_id,
        **words_of_it,
    )


def _page(
    request: HttpRequest,
    visit: Visit,
    period: str,
    form: ActForm,
    *,
    refused: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"period": period, "form": form, "refusal": refused}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/finance/_act.html", context, status=status)
    return shell.page(request, visit, "ops_console/finance/act.html", context, key="finance", status=status)
