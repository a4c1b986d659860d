"""POST /console/mismatches/{triageKey}/decide"""

from dataclasses import replace
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ops_console import acts, errors, shell, words
from ops_console.access import Visit, go, workspace
from ops_console.errors import Fact
from ops_console.mismatches import filters, listing, panel
from ops_console.mismatches.filters import Filters
from ops_console.mismatches.members import Member, members
from ops_console.mismatches.panel import Form, Panel, Version
from ops_console.payouts.filters import Choice
from reconciliation.services import acts as verbs
from reconciliation.services import triage
from reconciliation.services.acts import FiguresChanged, Said
from reconciliation.services.triage import Subject, TriageRevisionConflict
from reconciliation.states import Severity
from settld.core.errors import Invalid, Refusal
from settld.idempotency.services import records

OTHER: Final = "other"
DONE: Final[dict[str, str]] = {
    "acknowledge": "Acknowledged.", "start": "In progress.", "resolve": "Resolved.", "dismiss": "Dismissed.",
    "reopen": "Open again.", "assign": "Assigned.", "severity": "Severity set.", "note": "Noted.",
    verbs.APPLY: "Saved.",
}  # fmt: skip
_MOST_REVISION: Final = 2**31 - 1


@workspace("finance_write", methods=("POST",))
def decide(request: HttpRequest, visit: Visit, triage_key: str) -> HttpResponse:
    """Decide about one case; what was overtaken comes back with both versions and a fresh form."""
    found = panel.load(tenant_id=visit.tenant_id, triage_key=triage_key)
    team = members(tenant_id=visit.tenant_id)
    back = filters.read_query(request.POST.get("back", ""))
    form = _filled(request, panel.fresh_form(found, visit=visit))
    try:
        _require_whole(request, visit, form)
        done = acts.once(_identity(request, visit, form), visit, lambda: _decide(visit, triage_key, form))
    except (TriageRevisionConflict, FiguresChanged) as refusal:
        return _overtaken(request, visit, triage_key, form, refusal, team=team, back=back)
    except Refusal as refusal:
        shown = _shown(visit, triage_key, team=team, back=back)
        return _answer(
            request, visit, _refilled(shown, form, team), refusal=refusal, status=min(refusal.status, 499)
        )
    text = DONE[form.act] if done.answer["changed"] else "It stands like this already; nothing was changed."
    if done.is_replay:
        text = f"{text} This form had been sent before; that answer stands."
    if not getattr(request, "htmx", False):
        messages.success(request, text)
        return go(request, back.address(case=triage_key))
    context = {"panel": _shown(visit, triage_key, team=team, back=back), "level": "success", "text": text}
    response = render(request, "ops_console/mismatches/_decided.html", context)
    response["HX-Trigger"] = "caseDecided"
    return response


def _decide(visit: Visit, triage_key: str, form: Form) -> dict[str, Any]:
    found = panel.load(tenant_id=visit.tenant_id, triage_key=triage_key)
    said = _said(form)
    if verbs.check(said).closes and found.case.mismatch_hash != form.seen_hash:
        raise FiguresChanged()
    decided = triage.decide(
        tenant_id=visit.tenant_id,
        subject=Subject.of(found.case),
        change=verbs.change(said, case=found.case, standing=found.standing),
        expected_revision=form.revision,
        actor=visit.actor,
        now=visit.now,
    )
    return {"changed": decided.changed, "revision": decided.triage.revision}


# --- Reading the form -----------------------------------------------------------------------------
def _filled(request: HttpRequest, form: Form) -> Form:
    def text(name: str, most: int) -> str:
        return request.POST.get(name, "").replace("\x00", "").strip()[: most + 1]

    revision = text("revision", 10)
    return replace(
        form,
        revision=min(int(revision), _MOST_REVISION) if revision.isascii() and revision.isdigit() else -1,
        seen_hash=text("seen_hash", 64),
        idempotency_key=text(acts.KEY, 100),
        act=text("act", 20),
        owner=text("owner", 200),
        other_owner=text("other_owner", 200),
        severity=text("severity", 8),
        reason=text("reason", verbs.MOST_NOTES),
        status=text("status", 12),
        step=text("step", verbs.MOST_ACTION),
    )


def _said(form: Form) -> Said:
    owner = form.other_owner if form.owner == OTHER else form.owner
    if form.act != verbs.APPLY:
        return Said(form.act, reason=form.reason, owner=owner, severity=form.severity)
    return Said(
        form.act, form.reason, owner, form.severity, status=form.status, action=form.step or triage.ACTION
    )


def _require_whole(request: HttpRequest, visit: Visit, form: Form) -> None:
    if request.POST.get(acts.TENANT) != visit.tenant_id:
        raise acts.TenantSwitched()
    if not form.idempotency_key or len(form.idempotency_key) > 100:
        raise acts.KeyMissing()
    if form.revision < 0:
        raise Invalid("this form has lost what it was looking at; reload the page")
    verbs.check(_said(form))
    if form.act in ("assign", verbs.APPLY) and form.owner == OTHER and not form.other_owner:
        raise Invalid("name the owner")


def _identity(request: HttpRequest, visit: Visit, form: Form) -> records.Identity:
    said = _said(form)
    body = {**vars(said), "revision": form.revision, "seenHash": form.seen_hash}
    identity = records.identity(
        tenant_id=visit.tenant_id,
        principal_id=visit.principal.principal_id,
        method="POST",
        path=request.path,
        key=form.idempotency_key,
        body=body,
    )
    if identity is None:
        raise acts.KeyMissing()
    return identity


# --- Answering ------------------------------------------------------------------------------------
def _shown(visit: Visit, triage_key: str, *, team: list[Member], back: Filters) -> Panel:
    found = panel.load(tenant_id=visit.tenant_id, triage_key=triage_key)
    return panel.leading_back(panel.build(found, visit=visit, team=team), back)


def _refilled(shown: Panel, form: Form, team: list[Member]) -> Panel:
    """Put what was filled in back into a form that has seen the case as it stands now."""
    kept = replace(
        shown.form,
        act=form.act,
        owner=form.owner,
        other_owner=form.other_owner,
        severity=form.severity,
        reason=form.reason,
        status=form.status,
        step=form.step,
    )
    chosen = "" if form.owner == OTHER else form.owner
    severities = [
        Choice(name, words.label(name), name == form.severity) for name in reversed(Severity.values)
    ]
    return replace(
        shown,
        form=kept,
        owners=panel.owner_choices(team, chosen=chosen),
        severities=severities,
        statuses=panel.status_choices(form.status),
    )


def _overtaken(
    request: HttpRequest,
    visit: Visit,
    triage_key: str,
    form: Form,
    refusal: Refusal,
    *,
    team: list[Member],
    back: Filters,
) -> HttpResponse:
    """Show both versions; the form beside them would put mine on top of the one that stands."""
    shown = _refilled(_shown(visit, triage_key, team=team, back=back), form, team)
    newest = next(iter(shown.history), None)
    by = f" by {newest.by}, {newest.at}" if newest is not None else ""
    stands = Version(f"What stands{by}", _standing_version(shown))
    yours = Version("What you wanted", _wanted_version(form, team))
    return _answer(request, visit, replace(shown, yours=yours, stands=stands), refusal=refusal, status=409)


def _wanted_version(form: Form, team: list[Member]) -> list[Fact]:
    said = _said(form)
    act = verbs.check(said)
    rows = []
    if act.status is not None:
        rows.append(Fact("Status", listing.STATUS_LABELS[act.status]))
    if act.sets_owner:
        names = {member.principal_id: member.name for member in team}
        rows.append(Fact("Owner", names.get(said.owner, said.owner) or "Nobody"))
    if act.sets_severity:
        rows.append(Fact("Severity", words.label(said.severity) or "As found"))
    if said.reason:
        rows.append(Fact("Note", said.reason))
    return rows


def _standing_version(shown: Panel) -> list[Fact]:
    wanted = ("Status", "Owner", "Severity", "Revision")
    rows = [fact for fact in shown.standing if fact.label in wanted]
    rows.append(Fact("Figures", f"{shown.expected} / {shown.actual}"))
    return [*rows, Fact("Note", shown.note or "None")]


def _answer(
    request: HttpRequest, visit: Visit, shown: Panel, *, refusal: Refusal, status: int
) -> HttpResponse:
    context = {"panel": shown, "refusal": errors.shown(refusal, request_id=visit.request_id)}
    if getattr(request, "htmx", False):
        return render(request, "ops_console/mismatches/_panel.html", context, status=status)
    return shell.page(
        request, visit, "ops_console/mismatches/case.html", context, key=_key(shown), status=status
    )


def _key(shown: Panel) -> str:
    return "finance" if shown.is_whole else "mismatches"
