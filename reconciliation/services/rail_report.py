"""Reconcile one period at one provider."""

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings

from reconciliation.queries.comparison import compare
from reconciliation.queries.differences import Differences
from reconciliation.services import alerts, keeping, rows
from reconciliation.states import REPORT_SCHEMA, ReportStatus, Side
from settld.core import failpoints, transactions
from settld.core.errors import NotFound
from settld.core.principals import Actor

ACTOR: Final = Actor.system("reconciliation")


class ProviderNotFound(NotFound):
    """The deployment has no such provider."""

    message = "money rail provider not found"


@dataclass(frozen=True)
class RailReport:
    """What a comparison concluded, and the artifact that holds it when it was stored.

    `core["mismatches"]` and `queue` hold each group's first rows; `truncated` names the groups that have
    more, with their counts. The hash covers every row.
    """

    core: dict[str, Any]
    report_hash: str
    queue: list[rows.QueueRow]
    mismatch_count: int
    truncated: dict[str, int]
    artifact: keeping.StoredArtifact | None = None

    @property
    def status(self) -> str:
        """Tell whether both sides agree."""
        return str(self.core["status"])

    @property
    def artifact_id(self) -> str:
        """Name the artifact that holds, or would hold, this result."""
        return artifact_id(
            period=self.core["period"], provider_id=self.core["providerId"], report_hash=self.report_hash
        )


def reconcile(
    *,
    tenant_id: str,
    period: str,
    provider_id: str | None,
    persist: bool,
    now: dt.datetime,
    actor: Actor = ACTOR,
) -> RailReport:
    """Compare, and with `persist` keep the result and its cases in one transaction.

    Equal data give an equal `report_hash`. Without `persist` nothing is written. Runs over the same
    subject that persist follow one another, so an older result never clears a newer one's cases. `actor`
    is named by the alert that keeping cases may give. Raises ProviderNotFound.
    """
    provider = require_provider(provider_id)
    if not persist:
        return _report(tenant_id=tenant_id, period=period, provider_id=provider, now=now)[0]
    with transactions.atomic():
        keeping.lock_subject(tenant_id=tenant_id, period=period, provider_id=provider)
        report, differences = _report(tenant_id=tenant_id, period=period, provider_id=provider, now=now)
        document = keeping.Document(
            side=Side.BOOKS,
            schema=REPORT_SCHEMA,
            artifact_id=report.artifact_id,
            report_hash=report.report_hash,
            core=report.core,
            mismatch_count=report.mismatch_count,
            truncated=report.truncated,
        )
        queue = (
            rows.queue_row(period=period, provider_id=provider, group=group, row=row)
            for group, row in differences
        )
        stored = keeping.keep(tenant_id=tenant_id, document=document, queue=queue, now=now)
        alerts.give_if_due(tenant_id=tenant_id, actor=actor, now=now)
        failpoints.hit("reconcile.before_commit")
    failpoints.hit("reconcile.after_commit")
    return replace(report, artifact=stored)


def require_provider(provider_id: str | None) -> str:
    """Give the provider asked for, or the default; raises ProviderNotFound."""
    provider = provider_id or settings.MONEY_RAILS.default_provider_id
    if provider not in settings.MONEY_RAILS.providers:
        raise ProviderNotFound()
    return str(provider)


def _report(
    *, tenant_id: str, period: str, provider_id: str, now: dt.datetime
) -> tuple[RailReport, Differences]:
    comparison = compare(
        tenant_id=tenant_id,
        period=period,
        provider_id=provider_id,
        default_provider_id=settings.MONEY_RAILS.default_provider_id,
        configured=list(settings.MONEY_RAILS.providers),
        now=now,
    )
    found = comparison.differences
    rest = {
        "schemaVersion": REPORT_SCHEMA,
        "tenantId": tenant_id,
        "period": period,
        "providerId": provider_id,
        "status": (ReportStatus.FAIL if found.count else ReportStatus.PASS).value,
        "summary": comparison.summary(),
    }
    core = rest | {"mismatches": found.kept}
    queue = rows.queue(period=period, provider_id=provider_id, mismatches=found.kept)
    return RailReport(core, found.report_hash(rest), queue, found.count, found.truncated), found


def artifact_id(*, period: str, provider_id: str, report_hash: str) -> str:
    """Name a report by its content. Source: spec/money-rails.md 5."""
    return re.sub(r"[^0-9A-Za-z_-]", "_", f"money_rail_reconcile_{period}_{provider_id}_{report_hash[:24]}")
