"""What must always hold between wallets, the journal, settlements and holds; no rows prove it.

Each query is one statement, so one snapshot: the answer is exact while money moves. It takes the tenant as
its only parameter (`tenant_id`), or, in the form for all tenants, none. The third rule of the kernel spec's
section 4, that a wallet's totals add up, is a constraint of the table.
"""

from dataclasses import dataclass
from typing import Final

from django.db import connection

_UNLIKE_LEDGER: Final = """
SELECT own.tenant_id, own.wallet_id, own.currency, part.account_id, part.cents AS wallet_cents,
  coalesce(booked.cents, 0)::bigint AS ledger_cents
FROM wallet AS own
CROSS JOIN LATERAL (VALUES
  ('wallet:' || own.tenant_id || ':' || own.wallet_id || ':available', own.available_cents),
  ('wallet:' || own.tenant_id || ':' || own.wallet_id || ':escrow_locked', own.escrow_locked_cents)
) AS part (account_id, cents)
LEFT JOIN LATERAL (
  SELECT sum(amount_cents) AS cents FROM ledger_balance
  WHERE tenant_id = own.tenant_id AND account_id = part.account_id AND currency = own.currency AND bucket = ''
) AS booked ON true
WHERE {own} AND part.cents <> coalesce(booked.cents, 0)
ORDER BY own.tenant_id, own.wallet_id, part.account_id
"""
_UNLIKE_HOLDINGS: Final = """
WITH wanted AS (
  SELECT tenant_id, agent_id, currency, sum(cents) AS cents FROM (
    SELECT tenant_id, payer_agent_id AS agent_id, currency, amount_cents AS cents
    FROM agent_run_settlement AS own WHERE {own} AND status = 'locked'
    UNION ALL
    SELECT tenant_id, payer_agent_id, currency, held_cents
    FROM funding_hold AS own WHERE {own} AND status = 'held'
  ) AS locked GROUP BY tenant_id, agent_id, currency
), found AS (
  SELECT tenant_id, agent_id, currency, escrow_locked_cents AS cents FROM wallet AS own WHERE {own}
)
SELECT tenant_id, agent_id, currency, coalesce(found.cents, 0)::bigint AS locked_cents,
  coalesce(wanted.cents, 0)::bigint AS held_cents
FROM found FULL JOIN wanted USING (tenant_id, agent_id, currency)
WHERE coalesce(found.cents, 0) <> coalesce(wanted.cents, 0)
ORDER BY tenant_id, agent_id, currency
"""
_OF_TENANT: Final = "own.tenant_id = %(tenant_id)s"

# Rows: tenant_id, wallet_id, currency, account_id, wallet_cents, ledger_cents.
WALLETS_UNLIKE_LEDGER: Final = _UNLIKE_LEDGER.format(own=_OF_TENANT)
WALLETS_UNLIKE_LEDGER_ANYWHERE: Final = _UNLIKE_LEDGER.format(own="true")
# Rows: tenant_id, agent_id, currency, locked_cents (the wallet's), held_cents (settlements and holds).
ESCROW_UNLIKE_HOLDINGS: Final = _UNLIKE_HOLDINGS.format(own=_OF_TENANT)
ESCROW_UNLIKE_HOLDINGS_ANYWHERE: Final = _UNLIKE_HOLDINGS.format(own="true")


@dataclass(frozen=True, slots=True)
class WalletUnlikeLedger:
    """A wallet's column and its account's balance in the journal, which differ."""

    tenant_id: str
    wallet_id: str
    currency: str
    account_id: str
    wallet_cents: int
    ledger_cents: int


@dataclass(frozen=True, slots=True)
class EscrowUnlikeHoldings:
    """What an agent's wallet has locked, and what its locked settlements and held holds add up to."""

    tenant_id: str
    agent_id: str
    currency: str
    locked_cents: int
    held_cents: int


def wallets_unlike_ledger(*, tenant_id: str) -> list[WalletUnlikeLedger]:
    """Find wallets that differ from the journal."""
    with connection.cursor() as cursor:
        cursor.execute(WALLETS_UNLIKE_LEDGER, {"tenant_id": tenant_id})
        return [WalletUnlikeLedger(*row) for row in cursor.fetchall()]


def escrow_unlike_holdings(*, tenant_id: str) -> list[EscrowUnlikeHoldings]:
    """Find agents whose locked money differs from their locked settlements and held holds."""
    with connection.cursor() as cursor:
        cursor.execute(ESCROW_UNLIKE_HOLDINGS, {"tenant_id": tenant_id})
        return [EscrowUnlikeHoldings(*row) for row in cursor.fetchall()]
