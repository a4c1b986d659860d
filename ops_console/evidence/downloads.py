"""Answering with a pack, at the API and in the console."""

import re
from typing import Final

from django.http import HttpResponse

from ops_console.evidence.packs.binding import Pack
from settld.core.errors import Forbidden
from settld.core.principals import Principal

ZIP: Final = "application/zip"


def require_auditor(principal: Principal) -> None:
    """Let only those take audit rows outside who may read them; finance_read is asked for before."""
    if not principal.has("audit_read"):
        raise Forbidden("missing_scope")


def answer(pack: Pack) -> HttpResponse:
    """Hand a pack out as a file."""
    subject = pack.manifest["subject"]
    named = subject.get("artifactId") or subject["operationId"]
    name = re.sub(r"[^0-9A-Za-z_-]+", "-", named.split(":statement:")[0]).strip("-")[-80:]
    response = HttpResponse(pack.content, content_type=ZIP)
    response["content-disposition"] = (
        f'attachment; filename="evidence-{subject["kind"]}-{name}-{pack.artifact_hash[:8]}.zip"'
    )
    response["x-settld-artifact-hash"] = pack.artifact_hash
    response["cache-control"] = "no-store, private"
    return response
