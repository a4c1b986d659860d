"""GET /ops/finance/reconcile"""

from typing import Any, ClassVar

from reconciliation.api import asked, schemas, shapes
from reconciliation.services import finance_report
from reconciliation.services.finance_report import FinanceReport
from settld.api.openapi import describe, query
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core.errors import Forbidden, Invalid


class InvalidQuery(Invalid):
    """A query parameter is of the wrong form."""

    message = "invalid finance reconciliation query"


class FinanceReconcile(OpsView):
    """Compare a closed month's GL batch with its party statements and with the journal."""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": ("finance_read",)}

    @describe(
        "Reconcile a closed month's books",
        description="`persist` also stores the report and files its mismatches; it needs finance_write.",
        answers={200: schemas.FINANCE_RECONCILE},
        refusals=(404,),
        parameters=(
            query("period", schemas.PERIOD, "the month; required unless `month` is sent"),
            query("month", schemas.PERIOD, "alias of period"),
            query(
                "persist",
                {"type": "string", "enum": list(asked.SWITCH)},
                "also store the report; default no",
            ),
        ),
    )
    def get(self, request: OpsRequest) -> Json:
        """Answer the comparison; 200 whether it passes or fails."""
        period = asked.period(request, InvalidQuery)
        persist = asked.switch(request, "persist", InvalidQuery)
        if persist and not request.principal.has("finance_write"):
            raise Forbidden("missing_scope")
        return Json(
            render(
                finance_report.reconcile(
                    tenant_id=request.tenant_id,
                    period=period,
                    persist=persist,
                    actor=request.actor,
                    now=request.received_at,
                )
            )
        )


def render(report: FinanceReport) -> dict[str, Any]:
    """Show a report as the wire does."""
    return {
        "ok": True,
        "tenantId": report.tenant_id,
        "period": report.period,
        "reportHash": report.report_hash,
        "reconcile": report.core,
        "inputs": report.inputs,
        "artifact": shapes.stored(report.artifact),
        **shapes.queue(report.tenant_id, report.queue),
    }
