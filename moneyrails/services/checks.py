"""Proving that what is kept equals what it stands for: counters and balances, tenant by tenant."""

from dataclasses import asdict
from typing import Any

from django.db import connection

from moneyrails.models import ChargebackEntry, ExposureCounter, Operation, PartyBalance
from moneyrails.services import exposure
from settld.core import tenancy

_BALANCES = """
SELECT party_id, currency, provider_mode, coalesce(held.outstanding_cents, 0), coalesce(entries.cents, 0)
FROM (SELECT * FROM party_balance WHERE tenant_id = %s) held
FULL JOIN (
  SELECT party_id, currency, provider_mode,
    sum(CASE WHEN kind IN ('reversal', 'release') THEN amount_cents ELSE -amount_cents END)::bigint AS cents
  FROM chargeback_entry WHERE tenant_id = %s GROUP BY 1, 2, 3
) entries USING (party_id, currency, provider_mode)
WHERE coalesce(held.outstanding_cents, 0) <> coalesce(entries.cents, 0)
ORDER BY 1, 2, 3
"""


def tenants() -> list[str]:
    """Name the tenants that have anything to check."""
    with tenancy.platform_scope(reason="money rail checks: find tenants"):
        found: set[str] = set()
        for model in (Operation, ExposureCounter, PartyBalance, ChargebackEntry):
            found.update(model.objects.values_list("tenant_id", flat=True).distinct())
    return sorted(found)


def check_tenant(tenant_id: str) -> list[dict[str, Any]]:
    """Give every difference of a tenant, counters and balances; an empty list is the proof."""
    with tenancy.tenant_scope(tenant_id):
        problems = [
            {"kind": "exposure_counter", "tenantId": tenant_id, **asdict(difference)}
            for difference in exposure.check(tenant_id=tenant_id)
        ]
        return problems + _balances(tenant_id)


def _balances(tenant_id: str) -> list[dict[str, Any]]:
    names = ("partyId", "currency", "providerMode", "heldCents", "actualCents")
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, [tenant_id, tenant_id])
        rows = cursor.fetchall()
    return [
        {"kind": "party_balance", "tenantId": tenant_id, **dict(zip(names, row, strict=True))} for row in rows
    ]
