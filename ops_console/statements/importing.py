"""GET, POST /console/statements/import; …/import/{uploadId} and …/confirm/{planHash}; template and example"""

import uuid
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.acts import ActForm
from ops_console.statements import import_page
from settld.closing import statement_file
from settld.closing.services import imports
from settld.closing.services.imports import Preview
from settld.closing.statement_file import UnreadableFile
from settld.core.errors import Refusal

METHODS: Final = ("GET", "HEAD", "POST")
KEY: Final = "statements"
ENVELOPE: Final = 100_000  # what a browser adds to the file: boundaries, token, tenant
PAGE: Final = "ops_console/statements/import.html"
TEMPLATE: Final = "party_id,period,party_role,payout_cents,currency,payable_after,references\r\n"
EXAMPLE: Final = TEMPLATE + (
    "pty_alder,2026-01,operator,12345,USD,,settlement:stl_1001|receipt:rcp_77\r\n"
    "pty_bayline,2026-01,subcontractor,99000,USD,2026-03-01T00:00:00Z,\r\n"
    "pty_cedar,2026-01,customer,0,USD,,\r\n"
)


@csrf_exempt  # checked below, once the size is known: the check itself reads the whole body
def import_statements(request: HttpRequest) -> HttpResponse:
    """Show the upload form, or take a file; one that is too large is refused before it is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if request.method == "POST" and (
        not length.isdigit() or int(length) > statement_file.MOST_BYTES + ENVELOPE
    ):
        text = f"At most {statement_file.MOST_BYTES:,} bytes are read. Split the file into parts."
        return errors.page(request, status=413, code="BODY_TOO_LARGE", text=text)
    return _import(request)


@csrf_protect
@workspace("finance_write", methods=METHODS)
def _import(request: HttpRequest, visit: Visit) -> HttpResponse:
    if request.method != "POST":
        return _upload_page(request, visit)
    try:
        if request.POST.get(acts.TENANT) != visit.tenant_id:
            raise acts.TenantSwitched()
        given = request.FILES.get("file")
        if given is None:
            raise UnreadableFile("No file was chosen", "Choose a CSV file.")
        content = given.read()
        seen = imports.preview(tenant_id=visit.tenant_id, content=content)
    except UnreadableFile as fault:
        return _upload_page(request, visit, problem=fault, status=422)
    except Refusal as refusal:
        shown = errors.shown(refusal, request_id=visit.request_id)
        return _upload_page(request, visit, refusal=shown, status=refusal.status)
    if seen.file.fault_count:
        page = import_page.build(seen, foreseen="", file_name=given.name or "")
        return shell.page(request, visit, PAGE, {"page": page}, key=KEY, status=422)
    kept = imports.keep_upload(
        tenant_id=visit.tenant_id, file_name=given.name or "", content=content, seen=seen,
        actor=visit.actor, now=visit.now,
    )  # fmt: skip
    return go(request, reverse("console:statements-upload", args=[kept.pk]))


@workspace("finance_write")
def upload(request: HttpRequest, visit: Visit, upload_id: uuid.UUID) -> HttpResponse:
    """Show what an uploaded file would do now, and ask whether it shall."""
    return _preview_page(request, visit, upload_id)


@workspace("finance_write", methods=METHODS)
def confirm(request: HttpRequest, visit: Visit, upload_id: uuid.UUID, plan_hash: str) -> HttpResponse:
    """Carry the uploaded bytes out, if that still does what the person saw."""
    if request.method != "POST":
        return go(request, reverse("console:statements-upload", args=[upload_id]))
    try:
        form = acts.filled(_form(visit, upload_id, plan_hash), request.POST.dict())
        kept = imports.upload(tenant_id=visit.tenant_id, upload_id=upload_id)
        file = statement_file.read(bytes(kept.content))

        def verb() -> dict[str, Any]:
            done = imports.carry_out(
                tenant_id=visit.tenant_id, file=file, file_name=kept.file_name, actor=visit.actor,
                now=visit.now, expected_plan_hash=plan_hash,
            )  # fmt: skip
            record = done.record
            return {
                "importId": str(record.pk),
                "text": "This file had been imported before; nothing was changed."
                if done.is_repeat
                else f"Imported: {record.new_count:,} new, {record.replaced_count:,} replaced,"
                f" {record.unchanged_count:,} unchanged.",
                "applied": not done.is_repeat,
                "period": record.periods[0]["period"],
            }

        done = acts.once(acts.identity(request, visit, form), visit, verb)
    except imports.UploadNotFound:
        raise
    except Refusal as refusal:
        shown = errors.shown(refusal, request_id=visit.request_id)
        return _preview_page(request, visit, upload_id, refusal=shown, status=refusal.status)
    text = done.answer["text"] + (
        " This form had been sent before; that answer stands." if done.is_replay else ""
    )
    level = messages.SUCCESS if done.answer["applied"] else messages.WARNING
    messages.add_message(request, level, text)
    return go(request, f"{reverse('console:statements')}?period={done.answer['period']}")


@workspace("finance_write")
def template(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Download a file with the header line only."""
    return _csv(TEMPLATE, "statements-template.csv")


@workspace("finance_write")
def example(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Download a file with a few rows."""
    return _csv(EXAMPLE, "statements-example.csv")


# --- Pages ----------------------------------------------------------------------------------------
def _form(visit: Visit, upload_id: uuid.UUID, plan_hash: str) -> ActForm:
    return ActForm(
        action=reverse("console:statements-confirm", args=[upload_id, plan_hash]),
        title="Import this file?",
        text="Every row is written, or none. Open statements are replaced; closed ones are never touched."
        " A long file takes up to a minute: leave the page open.",
        button="Import",
        back_href=reverse("console:statements-import"),
        tenant_id=visit.tenant_id,
    )


def _preview_page(
    request: HttpRequest,
    visit: Visit,
    upload_id: uuid.UUID,
    *,
    refusal: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    kept = imports.upload(tenant_id=visit.tenant_id, upload_id=upload_id)
    seen: Preview = imports.preview(tenant_id=visit.tenant_id, content=bytes(kept.content))
    page = import_page.build(seen, foreseen=kept.foreseen, file_name=kept.file_name)
    context: dict[str, Any] = {"page": page, "refusal": refusal}
    if seen.is_clean and seen.earlier is None:
        context["form"] = acts.fresh(_form(visit, upload_id, seen.plan.hash))
    if getattr(request, "htmx", False):
        return render(request, "ops_console/statements/_import_preview.html", context, status=status)
    return shell.page(request, visit, PAGE, context, key=KEY, status=status)


def _upload_page(
    request: HttpRequest,
    visit: Visit,
    *,
    problem: UnreadableFile | None = None,
    refusal: errors.Shown | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "problem": problem,
        "refusal": refusal,
        "tenant_id": visit.tenant_id,
        "columns": import_page.COLUMNS,
        "imports": import_page.recent(tenant_id=visit.tenant_id),
        "limits": f"{statement_file.MOST_ROWS:,} rows and {statement_file.MOST_BYTES // 1_000_000} MB",
    }
    return shell.page(
        request, visit, "ops_console/statements/import_upload.html", context, key=KEY, status=status
    )


def _csv(text: str, name: str) -> HttpResponse:
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["content-disposition"] = f'attachment; filename="{name}"'
    return response
