"""Read reports and runs: the latest per subject, pages of them, and what the scheduler did."""

from dataclasses import dataclass

from django.db.models import QuerySet

from reconciliation.models import ProviderPeriod, ReconcileReport
from reconciliation.states import Side
from settld.maintenance.models import MaintenanceRun, MaintenanceState
from settld.maintenance.status import RAILS


@dataclass(frozen=True)
class ReportFilters:
    """Which reports to show; None leaves a column open to all."""

    period: str | None = None
    provider_id: str | None = None
    status: str | None = None
    side: str | None = None


def matching(*, tenant_id: str, filters: ReportFilters) -> QuerySet[ReconcileReport]:
    """Select a tenant's reports; every row is one distinct result, `last_run_at` when it last held."""
    wanted = {name: value for name, value in vars(filters).items() if value is not None}
    return _rails(tenant_id).filter(**wanted)


def _rails(tenant_id: str) -> QuerySet[ReconcileReport]:
    """Select what was concluded about operations; a month's books have pages of their own."""
    return ReconcileReport.objects.filter(tenant_id=tenant_id).exclude(side=Side.FINANCE)


def latest(*, tenant_id: str, periods: list[str]) -> list[ReconcileReport]:
    """Give the newest result of each (period, provider, side) of some months; one query."""
    rows = _rails(tenant_id).filter(period__in=periods)
    return list(
        rows.order_by("period", "provider_id", "side", "-last_run_at").distinct(
            "period", "provider_id", "side"
        )
    )


def newest_of(*, tenant_id: str, period: str, provider_id: str, side: str) -> ReconcileReport | None:
    """Give the newest result about one subject."""
    rows = ReconcileReport.objects.filter(
        tenant_id=tenant_id, period=period, provider_id=provider_id, side=side
    )
    return rows.order_by("-last_run_at").first()


def find(*, tenant_id: str, artifact_id: str) -> ReconcileReport | None:
    """Give a report by the name of its artifact."""
    return _rails(tenant_id).filter(artifact_id=artifact_id).first()


def statement_periods(*, tenant_id: str, limit: int) -> list[str]:
    """List the months in which the provider's statement has lines of this tenant, newest first."""
    rows = ProviderPeriod.objects.filter(tenant_id=tenant_id).order_by("-period")
    return list(rows.values_list("period", flat=True).distinct()[:limit])


def scheduler_state(*, tenant_id: str) -> MaintenanceState | None:
    """Give where the scheduler stands for a tenant."""
    return MaintenanceState.objects.filter(tenant_id=tenant_id, kind=RAILS).first()


def runs(*, tenant_id: str, limit: int) -> list[MaintenanceRun]:
    """List the latest runs that covered a tenant, newest first."""
    rows = MaintenanceRun.objects.filter(tenant_id=tenant_id, kind=RAILS)
    return list(rows.order_by("-started_at")[:limit])
