"""Reconcile one period at one provider."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from reconciliation.queries.comparison import compare
from reconciliation.services import keeping, rows
from reconciliation.states import REPORT_SCHEMA, ReportStatus
from settld.core import transactions
from settld.core.errors import NotFound
from settld.core.hashing import canonical_hash


class ProviderNotFound(NotFound):
    """The deployment has no such provider."""

    message = "money rail provider not found"


@dataclass(frozen=True)
class RailReport:
    """What a comparison concluded, and the artifact that holds it when it was stored."""

    core: dict[str, Any]
    report_hash: str
    queue: list[rows.QueueRow]
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
    *, tenant_id: str, period: str, provider_id: str | None, persist: bool, now: dt.datetime
) -> RailReport:
    """Compare, and with `persist` keep the result and its cases in one transaction.

    Equal data give an equal `report_hash`. Without `persist` nothing is written. Runs over the same
    subject that persist follow one another, so an older result never clears a newer one's cases.
    Raises ProviderNotFound.
    """
    provider = provider_id or settings.MONEY_RAILS.default_provider_id
    if provider not in settings.MONEY_RAILS.providers:
        raise ProviderNotFound()
    if not persist:
        return _report(tenant_id=tenant_id, period=period, provider_id=provider, now=now)
    with transactions.atomic():
        keeping.lock_subject(tenant_id=tenant_id, period=period, provider_id=provider)
        report = _report(tenant_id=tenant_id, period=period, provider_id=provider, now=now)
        stored = keeping.keep(
            tenant_id=tenant_id,
            artifact_id=report.artifact_id,
            report_hash=report.report_hash,
            core=report.core,
            queue=report.queue,
            now=now,
        )
    return RailReport(report.core, report.report_hash, report.queue, stored)


def _report(*, tenant_id: str, period: str, provider_id: str, now: dt.datetime) -> RailReport:
    comparison = compare(
        tenant_id=tenant_id,
        period=period,
        provider_id=provider_id,
        default_provider_id=settings.MONEY_RAILS.default_provider_id,
        now=now,
    )
    core = {
        "schemaVersion": REPORT_SCHEMA,
        "tenantId": tenant_id,
        "period": period,
        "providerId": provider_id,
        "status": (ReportStatus.FAIL if comparison.row_count else ReportStatus.PASS).value,
        "summary": comparison.summary(),
        "mismatches": comparison.mismatches,
    }
    queue = rows.queue(period=period, provider_id=provider_id, mismatches=comparison.mismatches)
    return RailReport(core, canonical_hash(core), queue)


def artifact_id(*, period: str, provider_id: str, report_hash: str) -> str:
    """Name a report by its content. Source: spec/money-rails.md 5."""
    return re.sub(r"[^0-9A-Za-z_-]", "_", f"money_rail_reconcile_{period}_{provider_id}_{report_hash[:24]}")
