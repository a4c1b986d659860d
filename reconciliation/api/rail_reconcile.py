"""GET /ops/finance/money-rails/reconcile"""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.http import HttpRequest

from reconciliation.api import schemas
from reconciliation.queries import triage
from reconciliation.services import provider_report, rail_report, rows
from reconciliation.services.keeping import StoredArtifact
from reconciliation.services.provider_report import ProviderReport
from reconciliation.services.rail_report import RailReport
from reconciliation.states import PROVIDER_REPORT_SCHEMA
from settld.api.openapi import describe, query
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock
from settld.core.errors import Invalid

SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class InvalidQuery(Invalid):
    """A query parameter is of the wrong form."""

    message = "invalid money rail reconciliation query"


class RailReconcile(OpsView):
    """Compare a month's payout instructions with what a provider's operations did."""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": ("finance_read",)}

    @describe(
        "Reconcile a month's payouts at one provider",
        answers={200: schemas.RAIL_RECONCILE},
        parameters=(
            query("period", schemas.PERIOD, "the month; required unless `month` is sent"),
            query("month", schemas.PERIOD, "alias of period"),
            query("providerId", description="default: the deployment's default provider"),
            query("persist", {"type": "string", "enum": list(SWITCH)}, "also store the report; default no"),
            query(
                "providerSide",
                {"type": "string", "enum": list(SWITCH)},
                "also compare with the provider's statement, as far as it has been read; default no",
            ),
        ),
    )
    def get(self, request: OpsRequest) -> Json:
        """Answer the comparison; `persist` also stores it (the peer's manner, kept)."""
        asked: dict[str, Any] = {
            "tenant_id": request.tenant_id,
            "period": _period(request),
            "provider_id": _provider_id(request),
            "persist": _switch(request, "persist"),
            "actor": request.actor,
            "now": request.received_at,
        }
        with_provider_side = _switch(request, "providerSide")
        answer = render(rail_report.reconcile(**asked))
        if with_provider_side:
            answer["providerSide"] = render_provider_side(
                request.tenant_id, provider_report.reconcile(**asked)
            )
        return Json(answer)


def render(report: RailReport) -> dict[str, Any]:
    """Show a report as the wire does."""
    core = report.core
    return {
        "ok": True,
        "tenantId": core["tenantId"],
        "period": core["period"],
        "providerId": core["providerId"],
        "status": report.status,
        "reportHash": report.report_hash,
        "summary": core["summary"],
        "mismatches": core["mismatches"],
        "artifact": _stored(report.artifact),
        **_queue(core["tenantId"], report.queue),
        **({"truncated": report.truncated} if report.truncated else {}),
    }


def render_provider_side(tenant_id: str, report: ProviderReport) -> dict[str, Any]:
    """Show what comparing with the provider's statement gave; without a statement, why not."""
    core = report.core or {}
    return {
        "schemaVersion": PROVIDER_REPORT_SCHEMA,
        "status": report.status,
        "reportHash": report.report_hash,
        "coverage": report.coverage.as_json()
        | {"inFlightCount": report.in_flight_count, "uncheckedCount": report.unchecked_count},
        "summary": core.get("summary"),
        "mismatches": core.get("mismatches"),
        "artifact": _stored(report.artifact),
        **_queue(tenant_id, report.queue),
        **({"truncated": report.truncated} if report.truncated else {}),
    }


def _stored(artifact: StoredArtifact | None) -> dict[str, Any] | None:
    if artifact is None:
        return None
    return {
        "artifactId": artifact.artifact_id,
        "artifactHash": artifact.artifact_hash,
        "deliveriesCreated": artifact.deliveries_created,
    }


def _queue(tenant_id: str, queue: Sequence[rows.QueueRow]) -> dict[str, Any]:
    """Show the rows as cases with the decisions about them, and count those decisions."""
    decisions = triage.overlay(tenant_id=tenant_id, triage_keys=[row.triage_key for row in queue])
    overlays = [
        triage.as_overlay(found, live_hash=row.mismatch_hash)
        if (found := decisions.get(row.triage_key))
        else None
        for row in queue
    ]
    return {
        "triageQueue": [row.as_json(overlay) for row, overlay in zip(queue, overlays, strict=True)],
        "triageSummary": rows.triage_summary(overlays),
    }


def _period(request: HttpRequest) -> str:
    """Read `period`, or its alias `month`; when both are sent they must agree."""
    named = {text for key in ("period", "month") if (text := request.GET.get(key, "").strip())}
    if not named:
        raise Invalid("period is required")
    period = named.pop()
    if named or not clock.is_period(period):
        raise InvalidQuery(details={"message": "period must match YYYY-MM"})
    return period


def _provider_id(request: HttpRequest) -> str | None:
    provider_id = request.GET.get("providerId", "").strip()
    if len(provider_id) > 200:
        raise InvalidQuery(details={"message": "providerId must have at most 200 characters"})
    return provider_id or None


def _switch(request: HttpRequest, name: str) -> bool:
    text = request.GET.get(name, "").strip().lower()
    if text and text not in SWITCH:
        raise InvalidQuery(details={"message": f"{name} must be one of {', '.join(SWITCH)}"})
    return SWITCH.get(text, False)
