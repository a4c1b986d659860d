"""Reconcile one period at one provider with the provider's own statement; a report beside the spec's."""

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings

from reconciliation.models import ProviderPeriod
from reconciliation.queries import provider_comparison
from reconciliation.queries.differences import Differences
from reconciliation.queries.provider_comparison import Coverage
from reconciliation.services import alerts, keeping, rows, statement_lines
from reconciliation.services.rail_report import ACTOR, require_provider
from reconciliation.states import PROVIDER_REPORT_SCHEMA, ReportStatus, Side
from settld.core import failpoints, transactions
from settld.core.principals import Actor

UNSUPPORTED: Final = "unsupported"
NOT_READ: Final = "not_read"


@dataclass(frozen=True)
class ProviderReport:
    """What comparing with the statement concluded; without `core` there was nothing to compare with.

    As in RailReport, `core` and `queue` hold each group's first rows, and the hash covers every row.
    """

    status: str
    coverage: Coverage
    core: dict[str, Any] | None = None
    report_hash: str | None = None
    queue: tuple[rows.QueueRow, ...] = ()
    mismatch_count: int = 0
    in_flight_count: int = 0
    unchecked_count: int = 0
    truncated: dict[str, int] | None = None
    artifact: keeping.StoredArtifact | None = None


def has_statement(provider_id: str) -> bool:
    """Tell whether a provider has a statement that we can read."""
    return provider_id in statement_lines.statement_providers()


def reconcile(
    *,
    tenant_id: str,
    period: str,
    provider_id: str | None,
    persist: bool,
    now: dt.datetime,
    actor: Actor = ACTOR,
) -> ProviderReport:
    """Compare operations with the lines that have been read; reads nothing from the provider itself.

    Status `unsupported`: the provider has no statement. `not_read`: no read has come to its end yet, so
    nothing may be called missing. With `persist` the result and its cases are kept in one transaction.
    Raises ProviderNotFound.
    """
    provider = require_provider(provider_id)
    covered = provider_comparison.coverage()
    if not has_statement(provider):
        return ProviderReport(UNSUPPORTED, Coverage(None, None, None))
    if covered.read_at is None:
        return ProviderReport(NOT_READ, covered)
    if not persist:
        return _report(tenant_id, period, provider, covered, now=now)[0]
    with transactions.atomic():
        subject_name = keeping.statement_subject(provider)
        keeping.lock_subject(tenant_id=tenant_id, period=period, provider_id=subject_name)
        subject, _ = ProviderPeriod.objects.get_or_create(
            tenant_id=tenant_id, provider_id=provider, period=period, defaults={"changed_at": now}
        )
        covered = provider_comparison.coverage()
        report, differences = _report(tenant_id, period, provider, covered, now=now)
        document = keeping.Document(
            side=Side.PROVIDER,
            schema=PROVIDER_REPORT_SCHEMA,
            artifact_id=artifact_id(
                period=period, provider_id=provider, report_hash=report.report_hash or ""
            ),
            report_hash=report.report_hash or "",
            core=report.core or {},
            mismatch_count=report.mismatch_count,
            truncated=report.truncated or {},
        )
        queue = (
            rows.queue_row(period=period, provider_id=provider, group=group, row=row)
            for group, row in differences
        )
        stored = keeping.keep(tenant_id=tenant_id, document=document, queue=queue, now=now)
        # What changed within the lag was given its time, and so has to be looked at once more after it;
        # twice the lag, for the provider's clock may be ahead of ours.
        is_judged = subject.changed_at + 2 * _lag() <= now
        compared = subject.revision if is_judged else subject.compared_revision
        ProviderPeriod.objects.filter(pk=subject.pk).update(compared_revision=compared, compared_at=now)
        alerts.give_if_due(tenant_id=tenant_id, actor=actor, now=now)
        failpoints.hit("reconcile.provider.before_commit")
    failpoints.hit("reconcile.provider.after_commit")
    return replace(report, artifact=stored)


def _report(
    tenant_id: str, period: str, provider_id: str, covered: Coverage, *, now: dt.datetime
) -> tuple[ProviderReport, Differences]:
    comparison = provider_comparison.compare_with_provider(
        tenant_id=tenant_id,
        period=period,
        provider_id=provider_id,
        covered=covered,
        lag=_lag(),
        now=now,
    )
    found = comparison.differences
    status = (ReportStatus.FAIL if found.count else ReportStatus.PASS).value
    rest = {
        "schemaVersion": PROVIDER_REPORT_SCHEMA,
        "tenantId": tenant_id,
        "period": period,
        "providerId": provider_id,
        "status": status,
        "summary": comparison.summary(),
    }
    report = ProviderReport(
        status=status,
        coverage=covered,
        core=rest | {"mismatches": found.kept},
        report_hash=found.report_hash(rest),
        queue=tuple(rows.queue(period=period, provider_id=provider_id, mismatches=found.kept)),
        mismatch_count=found.count,
        in_flight_count=comparison.totals["in_flight_count"],
        unchecked_count=comparison.totals["unchecked_count"],
        truncated=found.truncated,
    )
    return report, found


def _lag() -> dt.timedelta:
    return dt.timedelta(seconds=settings.PROVIDER_STATEMENT["lag_seconds"])


def artifact_id(*, period: str, provider_id: str, report_hash: str) -> str:
    """Name a report by its content, as the spec's report is named."""
    name = f"money_rail_provider_reconcile_{period}_{provider_id}_{report_hash[:24]}"
    return re.sub(r"[^0-9A-Za-z_-]", "_", name)
