"""GET and POST /ops/finance/reconciliation/triage"""

import re
from typing import Any, ClassVar, Final

from django.http import HttpResponse

from reconciliation.api import schemas
from reconciliation.models import Triage, TriageAction
from reconciliation.queries import triage as queries
from reconciliation.services import triage as verbs
from reconciliation.services.triage import Change, Subject, TriageKeyMismatch
from reconciliation.states import Severity, SourceType, TriageStatus
from settld.api import openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import canonical_json, clock
from settld.core.canonical_json import CanonicalJsonError
from settld.core.errors import Invalid
from settld.idempotency.http import idempotent

INVALID: Final = "invalid reconciliation triage payload"
INVALID_QUERY: Final = "invalid reconciliation triage query"
MOST_METADATA_BYTES: Final = 16 * 1024
_IDENTITY: Final = ("sourceType", "period", "month", "providerId", "mismatchType", "mismatchKey")
# What these find may belong to no month.
_WITHOUT_MONTH: Final = (SourceType.STRIPE_INBOX.value, SourceType.INVARIANT.value)
_HASH: Final = re.compile(r"[0-9a-f]{64}")
# Which column each optional member of the body sets, and the most characters that it takes.
_TEXTS: Final = {
    "ownerPrincipalId": ("owner_principal_id", 200),
    "notes": ("notes", 10_000),
    "mismatchCode": ("mismatch_code", 100),
}
_HASHES: Final = {"sourceReportHash": "source_report_hash", "mismatchHash": "mismatch_hash"}


class ReconciliationTriage(OpsView):
    """Read and write what people decided about mismatches."""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": ("finance_read",), "POST": ("finance_write",)}

    @openapi.describe(
        "List triage decisions",
        answers={200: schemas.TRIAGE_LIST},
        parameters=(
            openapi.query("period", schemas.PERIOD),
            openapi.query("month", schemas.PERIOD, "alias of period"),
            openapi.query("status", openapi.one_of(*TriageStatus.values)),
            openapi.query("sourceType", openapi.one_of(*SourceType.values)),
            openapi.query("providerId"),
            *openapi.PAGE,
        ),
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        """List decisions, the latest changed first."""
        page = paging.read(request, default=100)
        given = Body(request.GET.dict(), message=INVALID_QUERY)
        filters = queries.TriageFilters(
            period=_period(given),
            status=given.choice("status", tuple(TriageStatus.values)),
            source_type=given.choice("sourceType", tuple(SourceType.values)),
            provider_id=given.text("providerId", most=200),
        )
        rows = queries.matching(tenant_id=request.tenant_id, filters=filters)
        counts = queries.status_counts(rows)
        shown = list(rows[page.window])
        return Json(
            {
                "tenantId": request.tenant_id,
                "filters": {
                    "period": filters.period,
                    "status": filters.status,
                    "sourceType": filters.source_type,
                    "providerId": filters.provider_id,
                },
                "limit": page.limit,
                "offset": page.offset,
                "count": len(shown),
                "total": sum(counts.values()),
                "statusCounts": counts,
                "triages": documents(tenant_id=request.tenant_id, rows=shown),
            }
        )

    @openapi.describe(
        "Decide about a mismatch",
        description="`triageKey` alone changes a standing decision; with the identity it may be the first.",
        body=schemas.TRIAGE_IN,
        answers={200: schemas.TRIAGE_DECIDED},
        refusals=(404, 409),
        idempotent=True,
    )
    @idempotent
    def post(self, request: OpsRequest) -> HttpResponse:
        """Write a decision; equal content changes nothing."""
        given = Body(request.body_json, message=INVALID)
        decided = verbs.decide(
            tenant_id=request.tenant_id,
            subject=_subject(given, tenant_id=request.tenant_id),
            change=_change(given),
            expected_revision=given.integer("expectedRevision", least=0, most=2**31 - 1),
            actor=request.actor,
            now=request.received_at,
        )
        document = documents(tenant_id=request.tenant_id, rows=[decided.triage])[0]
        return Json(
            {"ok": True, "tenantId": request.tenant_id, "changed": decided.changed, "triage": document}
        )


# --- Reading the body -----------------------------------------------------------------------------
def _subject(given: Body, *, tenant_id: str) -> Subject:
    key = given.text("triageKey", most=64)
    if key and not any(given.has(name) for name in _IDENTITY):
        return verbs.subject_of_key(tenant_id=tenant_id, triage_key=key)
    source_type = given.choice("sourceType", tuple(SourceType.values))
    if source_type is None:
        raise given.fault("sourceType is required")
    mismatch_type, mismatch_key = given.text("mismatchType", most=64), given.text("mismatchKey", most=2000)
    if not mismatch_type or not mismatch_key:
        raise Invalid("mismatchType and mismatchKey are required")
    period = _period(given)
    if period is None and source_type not in _WITHOUT_MONTH:
        raise given.fault("period is required")
    subject = Subject(
        source_type=source_type,
        period=period or "",
        provider_id=given.text("providerId", most=200) or "",
        mismatch_type=mismatch_type,
        mismatch_key=mismatch_key,
    )
    if key and key != subject.triage_key:
        raise TriageKeyMismatch(details={"triageKey": key, "expectedTriageKey": subject.triage_key})
    return subject


def _period(given: Body) -> str | None:
    named = {text for key in ("period", "month") if (text := given.text(key, most=20))}
    if len(named) > 1 or not all(clock.is_period(text) for text in named):
        raise given.fault("period must match YYYY-MM")
    return named.pop() if named else None


def _change(given: Body) -> Change:
    columns: dict[str, Any] = {
        column: given.text(name, most=most) or ""
        for name, (column, most) in _TEXTS.items()
        if given.has(name)
    }
    for name, column in _HASHES.items():
        if given.has(name):
            value = given.text(name, most=64) or ""
            if value and not _HASH.fullmatch(value):
                raise given.fault(f"{name} must be 64 lowercase hex digits")
            columns[column] = value
    if given.has("severity"):
        columns["severity"] = given.choice("severity", tuple(Severity.values)) or ""
    return Change(
        status=given.choice("status", tuple(TriageStatus.values)),
        metadata=_metadata(given),
        sets_metadata=given.has("metadata"),
        action=given.text("action", most=100) or verbs.ACTION,
        **columns,
    )


def _metadata(given: Body) -> dict[str, Any] | None:
    if given.values.get("metadata") == "":
        return None
    metadata = given.object("metadata")
    if metadata is None:
        return None
    try:
        size = len(canonical_json.dumps(metadata))
    except CanonicalJsonError as error:
        raise given.fault(f"metadata has no canonical form: {error}") from error
    if size > MOST_METADATA_BYTES:
        raise given.fault(f"metadata must have at most {MOST_METADATA_BYTES} bytes")
    return metadata


# --- Showing decisions ----------------------------------------------------------------------------
def documents(*, tenant_id: str, rows: list[Triage]) -> list[dict[str, Any]]:
    """Show decisions as the wire does, with their history; two queries for any number."""
    keys = [row.triage_key for row in rows]
    history = queries.history(tenant_id=tenant_id, triage_keys=keys)
    live = queries.live_hashes(tenant_id=tenant_id, triage_keys=keys)
    return [_document(row, history.get(row.triage_key, []), live.get(row.triage_key, "")) for row in rows]


def _document(row: Triage, history: list[TriageAction], live_hash: str) -> dict[str, Any]:
    return {
        "schemaVersion": "FinanceReconciliationTriage.v1",
        "tenantId": row.tenant_id,
        "triageKey": row.triage_key,
        "sourceType": row.source_type,
        "period": row.period or None,
        "providerId": row.provider_id or None,
        "mismatchType": row.mismatch_type,
        "mismatchKey": row.mismatch_key,
        "mismatchCode": row.mismatch_code or None,
        "severity": row.severity or None,
        "status": row.status,
        "ownerPrincipalId": row.owner_principal_id or None,
        "notes": row.notes or None,
        "sourceReportHash": row.source_report_hash or None,
        "mismatchHash": row.mismatch_hash or None,
        "drifted": queries.is_drifted(row, live_hash),
        "metadata": row.metadata,
        "actionLog": [_action(action) for action in history],
        "revision": row.revision,
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
        "resolvedAt": clock.iso(row.resolved_at),
        "resolvedByPrincipalId": row.resolved_by_principal_id or None,
    }


def _action(action: TriageAction) -> dict[str, Any]:
    return {
        "actionId": str(action.pk),
        "action": action.action,
        "at": clock.iso(action.at),
        "actorPrincipalId": action.actor_principal_id,
        "prevStatus": action.prev_status or None,
        "nextStatus": action.next_status,
        "ownerPrincipalId": action.owner_principal_id or None,
        "notes": action.notes or None,
    }
