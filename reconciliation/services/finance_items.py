"""One item of a finance round: a tenant and a month. Its failure is its own."""

import datetime as dt
from typing import Any, Final

from reconciliation.services import finance_report, items
from reconciliation.services.items import Item
from settld.core.errors import NotFound
from settld.core.principals import Actor

FAILED_CODE: Final = "FINANCE_RECONCILE_FAILED"
NO_BATCH: Final = "no_gl_batch"


def skipped(*, tenant_id: str, period: str | None, reason: str) -> Item:
    """Note that there was nothing to do."""
    return Item("skipped", _row(tenant_id, period, "skipped", reason=reason))


def month(*, tenant_id: str, period: str, actor: Actor, now: dt.datetime) -> Item:
    """Reconcile a month, and keep what comes of it; what is not there is skipped with its text."""

    def work() -> Item:
        report = finance_report.reconcile(
            tenant_id=tenant_id, period=period, persist=True, actor=actor, now=now
        )
        stored = report.artifact
        row = _row(
            tenant_id,
            period,
            report.status,
            reportHash=report.report_hash,
            artifactId=stored.artifact_id if stored else None,
        )
        return Item(
            report.status, row, report.mismatch_count, stored is not None,
            stored.deliveries_created if stored else 0,
        )  # fmt: skip

    try:
        return items.guarded(
            work,
            side="finance",
            row=_row(tenant_id, period, "error"),
            failed_code=FAILED_CODE,
            passes=NotFound,
        )
    except NotFound as absent:
        return skipped(tenant_id=tenant_id, period=period, reason=absent.message)


def _row(tenant_id: str, period: str | None, status: str, **more: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("reportHash", "artifactId", "reason", "code", "error"))
    return {"tenantId": tenant_id, "period": period, "status": status, **blank, **more}
