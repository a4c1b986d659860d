"""Whose turn it is: tenants longest unreconciled first, their newest months, every provider."""

import datetime as dt
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import F, Q

from reconciliation.models import ProviderPeriod
from settld.core import tenancy, transactions
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
# Jumps from month to month along the index, however many instructions a month has.
_PERIODS: Final = """
WITH RECURSIVE newest (period) AS (
  (SELECT period FROM artifact
   WHERE tenant_id = %(tenant_id)s AND artifact_type = 'PayoutInstruction.v1' AND period IS NOT NULL
   ORDER BY period DESC LIMIT 1)
  UNION ALL
  SELECT (SELECT period FROM artifact
          WHERE tenant_id = %(tenant_id)s AND artifact_type = 'PayoutInstruction.v1'
            AND period < newest.period ORDER BY period DESC LIMIT 1)
  FROM newest WHERE newest.period IS NOT NULL
)
SELECT period FROM newest WHERE period IS NOT NULL LIMIT %(limit)s
"""


def tenants(*, limit: int) -> list[str]:
    """List the tenants whose last scheduled turn is longest ago, those that never had one first."""
    scope = tenancy.platform_scope(reason="reconciliation: whose turn it is")
    with scope, transactions.atomic(), connection.cursor() as cursor:
        cursor.execute(_TENANTS, [TURN, limit])
        return [row[0] for row in cursor.fetchall()]


def take(*, tenant_id: str, now: dt.datetime) -> None:
    """Note that a tenant has its turn, before it: one that breaks the worker does not come first for ever."""
    with transactions.atomic():
        note_state(
            tenant_id=tenant_id, kind=TURN, outcome=RunOutcome.RUNNING, ran_at=now, finished_at=now,
            runtime_ms=0, result=None,
        )  # fmt: skip


def periods(*, tenant_id: str, limit: int) -> list[str]:
    """List a tenant's months with payout instructions, newest first."""
    with transactions.atomic(), connection.cursor() as cursor:
        cursor.execute(_PERIODS, {"tenant_id": tenant_id, "limit": limit})
        return [row[0] for row in cursor.fetchall()]


def providers(*, limit: int) -> list[str]:
    """List the configured providers by id."""
    return sorted(settings.MONEY_RAILS.providers)[:limit]


def statement_subjects(*, tenant_id: str, providers: list[str], limit: int) -> set[tuple[str, str]]:
    """Name the (period, provider) pairs whose statement is due: the newest months, and any that changed."""
    rows = ProviderPeriod.objects.filter(tenant_id=tenant_id, provider_id__in=providers)
    newest = set(rows.order_by("-period").values_list("period", flat=True).distinct()[:limit])
    due = rows.filter(Q(period__in=newest) | Q(compared_revision__lt=F("revision")))
    return set(due.order_by().values_list("period", "provider_id").distinct())


def state_of(*, tenant_id: str, kind: str) -> MaintenanceState | None:
    """Give the state row that gates a tenant's or, for `*`, everybody's runs."""
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        return MaintenanceState.objects.filter(tenant_id=tenant_id, kind=kind).first()
