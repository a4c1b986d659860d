"""GET /ops/status and POST /ops/maintenance/retention/run"""

from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core.errors import Invalid
from settld.maintenance import status
from settld.maintenance.services import retention

log = structlog.get_logger(__name__)
N_TEXT, N_INT, N_AT = (openapi.maybe(kind) for kind in (openapi.TEXT, openapi.INT, openapi.INSTANT))
LAST_RUN = {
    "lastRunAt": N_AT,
    "lastSuccessAt": N_AT,
    "lastResult": openapi.maybe(openapi.OBJECT),
    "outcome": N_TEXT,
    "runtimeMs": N_INT,
    "requestId": N_TEXT,
    "auditId": N_INT,
}
GATES = {
    "enabled": openapi.BOOL,
    "intervalSeconds": N_INT,
    "maxTenants": N_INT,
    "maxPeriodsPerTenant": N_INT,
}
PURGED = openapi.obj(dict.fromkeys(retention.TABLES, openapi.INT))
REASONS = openapi.many(openapi.obj({"reason": openapi.TEXT, "count": openapi.INT}))
STATUS = openapi.obj(
    {
        "ok": openapi.BOOL,
        "tenantId": openapi.TEXT,
        "process": openapi.obj({"startedAt": openapi.INSTANT, "uptimeSeconds": openapi.INT}),
        "backlog": openapi.obj(
            {
                "outboxByKind": openapi.mapping(openapi.INT),
                "deliveriesPending": openapi.INT,
                "deliveriesFailed": openapi.INT,
                "ingestRejected": openapi.INT,
                "deliveryDlqTopDestinations": openapi.many(
                    openapi.obj({"destinationId": openapi.TEXT, "count": openapi.INT})
                ),
            }
        ),
        "maintenance": openapi.obj(
            {
                "retentionCleanup": openapi.maybe(openapi.OBJECT),
                "financeReconciliation": openapi.obj({**GATES, **LAST_RUN}),
                "moneyRailReconciliation": openapi.obj(
                    {**GATES, "maxProvidersPerTenant": openapi.INT, **LAST_RUN}
                ),
                "invariants": openapi.obj(
                    {
                        "enabled": openapi.BOOL,
                        "intervalSeconds": openapi.INT,
                        "maxTenants": openapi.INT,
                        "broken": openapi.many(openapi.TEXT),
                        **LAST_RUN,
                    }
                ),
                "billingStripeSync": openapi.obj(
                    {
                        "enabled": openapi.BOOL,
                        "intervalSeconds": N_INT,
                        "batchSize": N_INT,
                        "lastRunAt": N_AT,
                        "lastSuccessAt": N_AT,
                        "lastResult": openapi.maybe(openapi.OBJECT),
                    }
                ),
            }
        ),
        "reasons": openapi.obj({"topAppendRejected": REASONS, "topIngestRejected": REASONS}),
    }
)


class OpsStatus(OpsView):
    """GET /ops/status"""

    scopes = {"GET": ("ops_read", "finance_read")}

    @openapi.describe(
        "Tell how background work stands for the tenant",
        answers={200: STATUS, 503: openapi.obj({"ok": openapi.BOOL})},
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        try:
            return Json(status.read(tenant_id=request.tenant_id, now=request.received_at))
        except DatabaseError:
            log.exception("ops_status_failed")
            return Json({"ok": False}, status=503)


class RetentionRun(OpsView):
    """POST /ops/maintenance/retention/run"""

    scopes = {"POST": ("ops_write",)}

    @openapi.describe(
        "Delete the tenant's expired rows, in bounds",
        body=openapi.obj(
            {
                "dryRun": openapi.BOOL,
                "batchSize": openapi.INT,
                "maxRows": openapi.INT,
                "maxMillis": openapi.INT,
            },
            optional=("dryRun", "batchSize", "maxRows", "maxMillis"),
        ),
        answers={
            200: openapi.obj(
                {
                    "ok": openapi.BOOL,
                    "dryRun": openapi.BOOL,
                    "runtimeMs": openapi.INT,
                    "timedOut": openapi.BOOL,
                    "purged": PURGED,
                }
            )
        },
        refusals=(409,),
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.body_json)
        rows = _positive(given, "batchSize", alias="maxRows", default=retention.DEFAULT_ROWS)
        milliseconds = _positive(given, "maxMillis", default=retention.DEFAULT_MS)
        cleanup, finished = retention.run(
            tenant_id=request.tenant_id,
            actor=request.actor,
            path=request.path,
            limits=retention.Limits(
                rows_per_table=min(rows, retention.MOST_ROWS), most_ms=min(milliseconds, retention.MOST_MS)
            ),
            is_dry_run=bool(given.boolean("dryRun", default=False)),
            now=request.received_at,
        )
        return Json(
            {
                "ok": True,
                "dryRun": cleanup.is_dry_run,
                "runtimeMs": finished.runtime_ms,
                "timedOut": cleanup.has_timed_out,
                "purged": cleanup.purged,
            }
        )


def _positive(given: Body, key: str, *, alias: str | None = None, default: int) -> int:
    named = alias if alias and given.values.get(key) is None else key
    value: Any = given.values.get(named)
    if value is None:
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Invalid(f"invalid {key}")
    return value
