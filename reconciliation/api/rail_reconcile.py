"""GET /ops/finance/money-rails/reconcile"""

from typing import ClassVar

from django.http import HttpRequest

from reconciliation.api import schemas
from reconciliation.services import rail_report, rows
from reconciliation.services.rail_report import RailReport
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
        ),
    )
    def get(self, request: OpsRequest) -> Json:
        """Answer the comparison; `persist` also stores it (the peer's manner, kept)."""
        report = rail_report.reconcile(
            tenant_id=request.tenant_id,
            period=_period(request),
            provider_id=_provider_id(request),
            persist=_persist(request),
            now=request.received_at,
        )
        return Json(render(report))


def render(report: RailReport) -> dict[str, object]:
    """Show a report as the wire does."""
    stored = report.artifact
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
        "artifact": stored
        and {
            "artifactId": stored.artifact_id,
            "artifactHash": stored.artifact_hash,
            "deliveriesCreated": stored.deliveries_created,
        },
        "triageQueue": [row.as_json() for row in report.queue],
        "triageSummary": rows.triage_summary(report.queue),
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


def _persist(request: HttpRequest) -> bool:
    text = request.GET.get("persist", "").strip().lower()
    if text and text not in SWITCH:
        raise InvalidQuery(details={"message": f"persist must be one of {', '.join(SWITCH)}"})
    return SWITCH.get(text, False)
