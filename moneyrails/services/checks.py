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
# An entry whose place or running sum is not what the entries before it make of it.
_PLACES = """
SELECT party_id, currency, provider_mode, seq, outstanding_after_cents, place, running
FROM (
  SELECT entry.*, row_number() OVER in_order AS place,
    sum(CASE WHEN kind IN ('reversal', 'release') THEN amount_cents ELSE -amount_cents END)
      OVER in_order AS running
  FROM chargeback_entry entry WHERE tenant_id = %s
  WINDOW in_order AS (PARTITION BY party_id, currency, provider_mode ORDER BY seq)
) entries
WHERE seq <> place OR outstanding_after_cents <> running OR running < 0
ORDER BY 1, 2, 3, 4
"""
_REVERSALS = """
SELECT reversal.party_id, operation.operation_id, reversal.amount_cents, repaid.cents::bigint
FROM chargeback_entry reversal
JOIN money_rail_operation operation
  ON operation.tenant_id = reversal.tenant_id AND operation.id = reversal.operation_id
CROSS JOIN LATERAL (
  SELECT coalesce(sum(CASE kind WHEN 'release' THEN -amount_cents ELSE amount_cents END), 0) AS cents
  FROM chargeback_entry entry WHERE entry.reversal_id = reversal.id
) repaid
WHERE reversal.tenant_id = %s AND reversal.kind = 'reversal'
  AND (repaid.cents < 0 OR repaid.cents > reversal.amount_cents)
ORDER BY 1, 2
"""
# Every reversed payout is owed once; what a payout withheld repays something exactly while it stands.
_PAYOUTS = """
SELECT operation.operation_id, operation.state, operation.amount_cents, operation.recovery_applied_cents,
  coalesce(own.reversed_cents, 0)::bigint, coalesce(own.recovered_cents, 0)::bigint,
  coalesce(own.released_cents, 0)::bigint
FROM money_rail_operation operation
LEFT JOIN (
  SELECT operation_id,
    sum(amount_cents) FILTER (WHERE kind = 'reversal') AS reversed_cents,
    sum(amount_cents) FILTER (WHERE kind = 'recovery') AS recovered_cents,
    sum(amount_cents) FILTER (WHERE kind = 'release') AS released_cents
  FROM chargeback_entry WHERE tenant_id = %s GROUP BY operation_id
) own ON own.operation_id = operation.id
WHERE operation.tenant_id = %s AND (
  coalesce(own.reversed_cents, 0)
    <> CASE operation.state WHEN 'reversed' THEN operation.amount_cents ELSE 0 END
  OR coalesce(own.recovered_cents, 0) <> operation.recovery_applied_cents
  OR coalesce(own.released_cents, 0) <> CASE WHEN operation.state IN ('failed', 'cancelled', 'reversed')
    THEN operation.recovery_applied_cents ELSE 0 END
)
ORDER BY 1
"""
_DEBTS = (
    (
        "chargeback_place",
        _PLACES,
        ("partyId", "currency", "providerMode", "seq", "outstandingAfterCents", "place", "actualCents"),
    ),
    ("chargeback_reversal", _REVERSALS, ("partyId", "operationId", "amountCents", "repaidCents")),
    (
        "chargeback_payout",
        _PAYOUTS,
        (
            "operationId", "state", "amountCents", "recoveryAppliedCents", "reversedCents", "recoveredCents",
            "releasedCents",
        ),
    ),
)  # fmt: skip


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
        return problems + _balances(tenant_id) + _debts(tenant_id)


def _balances(tenant_id: str) -> list[dict[str, Any]]:
    names = ("partyId", "currency", "providerMode", "heldCents", "actualCents")
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, [tenant_id, tenant_id])
        rows = cursor.fetchall()
    return [
        {"kind": "party_balance", "tenantId": tenant_id, **dict(zip(names, row, strict=True))} for row in rows
    ]


def _debts(tenant_id: str) -> list[dict[str, Any]]:
    """Prove the ledger in itself: places, reversals not repaid above their amount, payouts as they stand."""
    problems: list[dict[str, Any]] = []
    for kind, query, names in _DEBTS:
        with connection.cursor() as cursor:
            cursor.execute(query, [tenant_id] * query.count("%s"))
            problems += [
                {"kind": kind, "tenantId": tenant_id, **dict(zip(names, row, strict=True))}
                for row in cursor.fetchall()
            ]
    return problems
