"""GET /ops/finance/money-rails/reconcile"""

from typing import Any, ClassVar

from django.http import HttpRequest

from reconciliation.api import asked, schemas, shapes
from reconciliation.services import provider_report, rail_report
from reconciliation.services.provider_report import ProviderReport
from reconciliation.services.rail_report import RailReport
from reconciliation.states import PROVIDER_REPORT_SCHEMA
from settld.api.openapi import describe, query
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core.errors import Invalid


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
            query(
                "persist", {"type": "string", "enum": list(asked.SWITCH)}, "also store the report; default no"
            ),
            query(
                "providerSide",
                {"type": "string", "enum": list(asked.SWITCH)},
                "also compare with the provider's statement, as far as it has been read; default no",
            ),
        ),
    )
    def get(self, request: OpsRequest) -> Json:
        """Answer the comparison; `persist` also stores it (the peer's manner, kept)."""
        wanted: dict[str, Any] = {
            "tenant_id": request.tenant_id,
            "period": asked.period(request, InvalidQuery),
            "provider_id": _provider_id(request),
            "persist": asked.switch(request, "persist", InvalidQuery),
            "actor": request.actor,
            "now": request.received_at,
        }
        with_provider_side = asked.switch(request, "providerSide", InvalidQuery)
        answer = render(rail_report.reconcile(**wanted))
        if with_provider_side:
            answer["providerSide"] = render_provider_side(
                request.tenant_id, provider_report.reconcile(**wanted)
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
        "artifact": shapes.stored(report.artifact),
        **shapes.queue(core["tenantId"], report.queue),
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
        "artifact": shapes.stored(report.artifact),
        **shapes.queue(tenant_id, report.queue),
        **({"truncated": report.truncated} if report.truncated else {}),
    }


def _provider_id(request: HttpRequest) -> str | None:
    provider_id = request.GET.get("providerId", "").strip()
    if len(provider_id) > 200:
        raise InvalidQuery(details={"message": "providerId must have at most 200 characters"})
    return provider_id or None
