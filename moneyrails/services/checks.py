"""Proving that what is kept equals what it stands for: counters and balances, tenant by tenant."""

from dataclasses import asdict
from typing import Any

from moneyrails.models import ChargebackEntry, ExposureCounter, Operation, PartyBalance
from moneyrails.queries.chargebacks import Account, outstanding_from_entries
from moneyrails.services import exposure
from settld.core import tenancy, transactions


def tenants() -> list[str]:
    """Name the tenants that have anything to check."""
    with tenancy.platform_scope(reason="money rail checks: find tenants"):
        found: set[str] = set()
        for model in (Operation, ExposureCounter, PartyBalance, ChargebackEntry):
            found.update(model.objects.values_list("tenant_id", flat=True).distinct())
    return sorted(found)


def check_tenant(tenant_id: str) -> list[dict[str, Any]]:
    """Give every difference of a tenant, counters and balances; an empty list is the proof."""
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        problems = [
            {"kind": "exposure_counter", "tenantId": tenant_id, **asdict(difference)}
            for difference in exposure.check(tenant_id=tenant_id)
        ]
        return problems + _balances(tenant_id)


def _balances(tenant_id: str) -> list[dict[str, Any]]:
    columns = ("party_id", "currency", "provider_mode")
    held = {
        row[:3]: row[3]
        for row in PartyBalance.objects.filter(tenant_id=tenant_id).values_list(*columns, "outstanding_cents")
    }
    named = ChargebackEntry.objects.filter(tenant_id=tenant_id).values_list(*columns).distinct()
    problems = []
    for key in sorted({*held, *named}):
        actual = outstanding_from_entries(Account(tenant_id, *key))
        if held.get(key, 0) != actual:
            problems.append(
                {
                    "kind": "party_balance",
                    "tenantId": tenant_id,
                    **dict(zip(columns, key, strict=True)),
                    "heldCents": held.get(key, 0),
                    "actualCents": actual,
                }
            )
    return problems
