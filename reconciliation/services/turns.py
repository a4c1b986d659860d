"""Whose turn it is: tenants longest unreconciled first, their newest months, every provider."""

import datetime as dt
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import F, Q

from reconciliation.models import ProviderPeriod
from settld.core import clock, tenancy, transactions
from settld.maintenance.models import MaintenanceState
from settld.maintenance.services import note_state
from settld.maintenance.states import RunOutcome

# Turns are rows of their own: a run that a tenant asks for by hand does not cost it its scheduled one.
TURN: Final = "money_rails_reconcile_turn"
_TENANTS: Final = """
SELECT tenant.tenant_id
FROM tenant LEFT JOIN maintenance_state AS turn ON turn.tenant_id = tenant.tenant_id AND turn.kind = %s
ORDER BY turn.last_run_at NULLS FIRST, tenant.tenant_id COLLATE "C" LIMIT %s
"""
# Jumps from month to month along the index, however many documents a month has.
_PERIODS: Final = """
WITH RECURSIVE newest (period) AS (
  (SELECT period FROM artifact
   WHERE tenant_id = %(tenant_id)s AND artifact_type = %(artifact_type)s AND period IS NOT NULL
   ORDER BY period DESC LIMIT 1)
  UNION ALL
  SELECT (SELECT period FROM artifact
          WHERE tenant_id = %(tenant_id)s AND artifact_type = %(artifact_type)s
            AND period < newest.period ORDER BY period DESC LIMIT 1)
  FROM newest WHERE newest.period IS NOT NULL
)
SELECT period FROM newest WHERE period IS NOT NULL LIMIT %(limit)s
"""
# Months of transfers that we noted and no comparison has judged since. A transfer that the provider lacks
# has no line that could count its month on.
_SENT_LATELY: Final = """
SELECT DISTINCT operation.period, operation.provider_id
FROM movement
JOIN money_rail_operation AS operation
  ON operation.tenant_id = movement.tenant_id AND operation.id = movement.operation_id
LEFT JOIN provider_statement_period AS told
  ON told.tenant_id = operation.tenant_id AND told.provider_id = operation.provider_id
  AND told.period = operation.period
WHERE movement.tenant_id = %(tenant_id)s AND movement.kind = 'transfer'
  AND movement.provider_mode = 'production' AND movement.provider_id = ANY(%(providers)s)
  AND movement.recorded_at BETWEEN %(since)s AND %(until)s
  AND (told.compared_at IS NULL
       OR told.compared_at < movement.recorded_at + make_interval(secs => %(wait_seconds)s))
ORDER BY operation.period DESC, operation.provider_id LIMIT %(limit)s
"""
_LOOKS_BACK: Final = dt.timedelta(days=30)
_MOST_MONTHS: Final = 50


def tenants(*, limit: int, turn: str = TURN) -> list[str]:
    """List the tenants whose last scheduled turn is longest ago, those that never had one first."""
    scope = tenancy.platform_scope(reason="reconciliation: whose turn it is")
    with scope, transactions.atomic(), connection.cursor() as cursor:
        cursor.execute(_TENANTS, [turn, limit])
        return [row[0] for row in cursor.fetchall()]


def take(*, tenant_id: str, now: dt.datetime, turn: str = TURN) -> None:
    """Note that a tenant has its turn, before it: one that breaks the worker does not come first for ever."""
    with transactions.atomic():
        note_state(
            tenant_id=tenant_id, kind=turn, outcome=RunOutcome.RUNNING, ran_at=now, finished_at=now,
            runtime_ms=0, result=None,
        )  # fmt: skip


def periods(*, tenant_id: str, limit: int, artifact_type: str = "PayoutInstruction.v1") -> list[str]:
    """List a tenant's months that have documents of a type (unless told otherwise, payout instructions),
    newest first.
    """
    with transactions.atomic(), connection.cursor() as cursor:
        cursor.execute(_PERIODS, {"tenant_id": tenant_id, "limit": limit, "artifact_type": artifact_type})
        return [row[0] for row in cursor.fetchall()]


def providers(*, limit: int) -> list[str]:
    """List the configured providers by id."""
    return sorted(settings.MONEY_RAILS.providers)[:limit]


def statement_subjects(*, tenant_id: str, providers: list[str], limit: int) -> set[tuple[str, str]]:
    """Name the (period, provider) pairs whose statement is due.

    The newest months, any of which a line changed, and any in which we noted a transfer that no comparison
    has judged yet.
    """
    rows = ProviderPeriod.objects.filter(tenant_id=tenant_id, provider_id__in=providers)
    # A month that somebody asked about, and that no line is of, must not take the place of one that has some.
    told = rows.filter(revision__gt=0)
    newest = set(told.order_by("-period").values_list("period", flat=True).distinct()[:limit])
    due = rows.filter(Q(period__in=newest) | Q(compared_revision__lt=F("revision")))
    pairs = set(due.order_by().values_list("period", "provider_id").distinct())
    return pairs | _sent_lately(tenant_id=tenant_id, providers=providers, now=clock.now())


def _sent_lately(*, tenant_id: str, providers: list[str], now: dt.datetime) -> set[tuple[str, str]]:
    """Name the months of transfers that are old enough to be judged and have not been."""
    wait = 2 * dt.timedelta(seconds=settings.PROVIDER_STATEMENT["lag_seconds"])
    with transactions.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _SENT_LATELY,
            {
                "tenant_id": tenant_id,
                "providers": providers,
                "since": now - _LOOKS_BACK,
                "until": now - wait,
                "wait_seconds": wait.total_seconds(),
                "limit": _MOST_MONTHS,
            },
        )
        return {(period, provider_id) for period, provider_id in cursor.fetchall()}


def state_of(*, tenant_id: str, kind: str) -> MaintenanceState | None:
    """Give the state row that gates a tenant's or, for `*`, everybody's runs."""
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        return MaintenanceState.objects.filter(tenant_id=tenant_id, kind=kind).first()
