"""GET, POST /console/mismatches/file: bring an edited file back, for a dry run"""

from django.http import HttpRequest, HttpResponse

from ops_console import acts, errors, shell
from ops_console.access import Visit, go, workspace
from ops_console.mismatches import batch_page
from reconciliation.services import sheets, triage_file
from reconciliation.services.sheets import FileInvalid, FileTooLarge
from settld.core.errors import Refusal


@workspace("finance_write", methods=("GET", "HEAD", "POST"))
def upload(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Take a file and show what each row would do; nothing is changed before that is confirmed."""
    if request.method != "POST":
        return _page(request, visit)
    try:
        if request.POST.get(acts.TENANT) != visit.tenant_id:
            raise acts.TenantSwitched()
        given = request.FILES.get("file")
        if given is None:
            raise FileInvalid("choose a file")
        if (given.size or 0) > sheets.MOST_BYTES:
            raise FileTooLarge(f"a file has at most {sheets.MOST_BYTES // 1024 // 1024} MB")
        batch = triage_file.preview(
            tenant_id=visit.tenant_id,
            content=given.read(),
            file_name=given.name or "",
            principal_id=visit.principal.principal_id,
            now=visit.now,
        )
    except Refusal as refusal:
        return _page(request, visit, refusal=refusal)
    return go(request, batch_page.href_of(batch))


def _page(request: HttpRequest, visit: Visit, *, refusal: Refusal | None = None) -> HttpResponse:
    context = {
        "tenant_id": visit.tenant_id,
        "edited": list(triage_file.EDITED),
        "most_rows": f"{sheets.MOST_ROWS:,}",
        "most_megabytes": sheets.MOST_BYTES // 1024 // 1024,
        "refusal": errors.shown(refusal, request_id=visit.request_id) if refusal is not None else None,
    }
    status = min(refusal.status, 499) if refusal is not None else 200
    return shell.page(
        request, visit, "ops_console/mismatches/file.html", context, key="mismatches", status=status
    )
