"""/console/mismatches/batches: preview, confirm, watch, read and download what became of each row."""

import csv
import io
import uuid
from collections.abc import Iterator
from typing import Any, Final, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.mismatches import batch_page, filters
from ops_console.mismatches.deciding import OTHER
from ops_console.mismatches.members import members
from reconciliation.models import TriageBatch, TriageBatchRow
from reconciliation.services import batch_freeze, batch_run, sheets
from reconciliation.services.acts import MOST_NOTES, Said
from reconciliation.services.batch_run import AT_ONCE
from reconciliation.states import BatchStatus
from settld.core import tenancy
from settld.core.errors import Invalid, Refusal

MOST_LISTED: Final = 50
_DOWNLOAD_AT_ONCE: Final = 2_000


@workspace("finance_write", methods=("POST",))
def preview(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Freeze the chosen cases, or all that match, and lead to the preview; nothing is decided."""
    if request.POST.get(acts.TENANT) != visit.tenant_id:
        raise acts.TenantSwitched()
    common: dict[str, Any] = {
        "tenant_id": visit.tenant_id,
        "act": request.POST.get("act", ""),
        "principal_id": visit.principal.principal_id,
        "now": visit.now,
    }
    if request.POST.get("scope") == "matching":
        wanted = filters.read_query(request.POST.get("back", ""))
        batch = batch_freeze.freeze_matching(
            wanted=wanted.wanted(principal_id=visit.principal.principal_id, now=visit.now),
            filters=wanted.parameters(),
            **common,
        )
    else:
        keys = [key for key in request.POST.getlist("key") if "\x00" not in key and len(key) <= 64]
        batch = batch_freeze.freeze_selection(triage_keys=list(dict.fromkeys(keys)), **common)
    return go(request, batch_page.href_of(batch))


@workspace("finance_read")
def batches(request: HttpRequest, visit: Visit) -> HttpResponse:
    """List the newest batches."""
    rows = TriageBatch.objects.filter(tenant_id=visit.tenant_id).order_by("-created_at")[:MOST_LISTED]
    context = {"rows": batch_page.listed(list(rows))}
    return shell.page(request, visit, "ops_console/mismatches/batches.html", context, key="mismatches")


@workspace("finance_read")
def batch(request: HttpRequest, visit: Visit, batch_id: uuid.UUID) -> HttpResponse:
    """Show a batch: what it would do, how far it is, or what became of it."""
    found = batch_run.load(tenant_id=visit.tenant_id, batch_id=batch_id)
    return _page(request, visit, found)


@workspace("finance_write", methods=("POST",))
def confirm(request: HttpRequest, visit: Visit, batch_id: uuid.UUID) -> HttpResponse:
    """Carry a preview out: a small one at once, a large one by a worker; sent twice it is done once."""
    found = batch_run.load(tenant_id=visit.tenant_id, batch_id=batch_id)
    said = _said(request, found)
    try:
        if request.POST.get(acts.TENANT) != visit.tenant_id:
            raise acts.TenantSwitched()
        if said.act == "assign" and request.POST.get("owner") == OTHER and not said.owner:
            raise Invalid("name the owner")
        is_new = batch_run.start(
            tenant_id=visit.tenant_id, batch_id=batch_id, said=said, actor=visit.actor, now=visit.now
        )
        _work(visit, found)
    except Refusal as refusal:
        found.refresh_from_db()
        return _page(request, visit, found, refusal=refusal, said=said)
    if not is_new:
        messages.info(request, "This batch had been confirmed before; it was carried out once.")
    return go(request, batch_page.href_of(found))


@workspace("finance_write", methods=("POST",))
def resume(request: HttpRequest, visit: Visit, batch_id: uuid.UUID) -> HttpResponse:
    """Carry out some more rows of a batch right now, for when no worker comes."""
    found = batch_run.load(tenant_id=visit.tenant_id, batch_id=batch_id)
    if request.POST.get(acts.TENANT) != visit.tenant_id:
        raise acts.TenantSwitched()
    if found.status == BatchStatus.RUNNING:
        batch_run.work(tenant_id=visit.tenant_id, batch_id=batch_id, most_rows=AT_ONCE, now=visit.now)
    return go(request, batch_page.href_of(found))


def _work(visit: Visit, found: TriageBatch) -> None:
    if found.row_count <= AT_ONCE:
        batch_run.work(tenant_id=visit.tenant_id, batch_id=found.pk, most_rows=AT_ONCE + 1, now=visit.now)


def _said(request: HttpRequest, found: TriageBatch) -> Said:
    def text(name: str, most: int) -> str:
        return request.POST.get(name, "").replace("\x00", "").strip()[: most + 1]

    owner = text("other_owner", 200) if text("owner", 200) == OTHER else text("owner", 200)
    reason = text("reason", MOST_NOTES)
    return Said(found.act, reason=reason, owner=owner, severity=text("severity", 8))


def _page(
    request: HttpRequest,
    visit: Visit,
    found: TriageBatch,
    *,
    refusal: Refusal | None = None,
    said: Said | None = None,
) -> HttpResponse:
    shown = batch_page.build(
        found,
        visit=visit,
        team=members(tenant_id=visit.tenant_id),
        after=request.GET.get("after", ""),
        result=request.GET.get("result", ""),
        said=said,
    )
    context: dict[str, Any] = {"batch": shown}
    if refusal is not None:
        context["refusal"] = errors.shown(refusal, request_id=visit.request_id)
    status = min(refusal.status, 499) if refusal is not None else 200
    if request.headers.get("HX-Target") == "batch":
        return render(request, "ops_console/mismatches/_batch.html", context, status=status)
    return shell.page(
        request, visit, "ops_console/mismatches/batch.html", context, key="mismatches", status=status
    )


# --- The results as a file ------------------------------------------------------------------------
@workspace("finance_read")
def results_csv(request: HttpRequest, visit: Visit, batch_id: uuid.UUID) -> HttpResponse:
    """Download what became of each row."""
    found = batch_run.load(tenant_id=visit.tenant_id, batch_id=batch_id)
    response = StreamingHttpResponse(
        _result_lines(visit.tenant_id, found.pk), content_type="text/csv; charset=utf-8"
    )
    response["content-disposition"] = f'attachment; filename="batch-{found.pk}.csv"'
    return cast(HttpResponse, response)


def _result_lines(tenant_id: str, batch_id: uuid.UUID) -> Iterator[str]:
    yield _line(["position", "triageKey", "result", "why", "revisionSeen", "revisionNow"])
    after = 0
    while True:
        with tenancy.tenant_scope(tenant_id):
            rows = list(
                TriageBatchRow.objects.filter(
                    tenant_id=tenant_id, batch_id=batch_id, position__gt=after
                ).order_by("position")[:_DOWNLOAD_AT_ONCE]
            )
        if not rows:
            return
        yield "".join(
            _line(
                [
                    str(row.position),
                    row.triage_key,
                    row.result or "waiting",
                    row.why,
                    str(row.seen_revision),
                    str(row.revision or ""),
                ]
            )
            for row in rows
        )
        after = rows[-1].position


def _line(values: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([sheets.guarded(value) for value in values])
    return line.getvalue()
