"""Locking wallets, which makes those that are missing."""

import datetime as dt
from collections.abc import Collection

from django.db import connection

from settld.core import ids, rows
from settld.core.errors import Conflict
from settld.kernel import accounts, identifiers, wire
from settld.kernel.models import Wallet
from settld.kernel.queries import agents
from settld.kernel.queries import wallets as queries
from settld.ledger.services import accounts as ledger_accounts

_MAKE = """
INSERT INTO wallet (id, tenant_id, wallet_id, agent_id, currency, available_cents, escrow_locked_cents,
  total_debited_cents, total_credited_cents, total_refunded_cents, locked_today_cents, revision,
  created_at, updated_at)
VALUES (%s, %s, %s, %s, %s, 0, 0, 0, 0, 0, 0, 0, %s, %s)
ON CONFLICT (tenant_id, agent_id) DO NOTHING
"""
# Either all of them are there, and are locked in their order, or none is locked and some must be made first.
# By wallet id, so that one index serves both the search and the order.
_LOCK = """tenant_id = %s AND wallet_id = ANY(%s) AND (
  SELECT count(*) FROM wallet WHERE tenant_id = %s AND wallet_id = ANY(%s)) = %s
ORDER BY wallet_id FOR NO KEY UPDATE"""


class WalletCurrencyMismatch(Conflict):
    """An agent has one wallet, in one currency, and it is another one."""

    code = "WALLET_CURRENCY_MISMATCH"
    message = "wallet has another currency"


def lock(*, tenant_id: str, agent_ids: Collection[str], currency: str, now: dt.datetime) -> dict[str, Wallet]:
    """Lock the wallets of agents, by wallet id, and give them by agent id; makes what is missing.

    Give all wallets of an effect in one call, as the last locks before the journal (kernel spec 2.9). The
    agents must exist. Raises WalletCurrencyMismatch.
    """
    wanted = sorted(set(agent_ids), key=identifiers.wallet_id)
    found = _locked(tenant_id, wanted)
    if not found and wanted:
        _make(tenant_id=tenant_id, agent_ids=wanted, currency=currency, now=now)
        found = _locked(tenant_id, wanted)
    for wallet in found:
        if wallet.currency != currency:
            raise WalletCurrencyMismatch(
                details={"agentId": wallet.agent_id, "walletCurrency": wallet.currency, "currency": currency}
            )
    locked = {wallet.agent_id: wallet for wallet in found}
    if len(locked) != len(wanted):
        raise RuntimeError("a wallet vanished; rows of wallets are never deleted")
    return locked


def get_view(*, tenant_id: str, agent_id: str) -> dict[str, object]:
    """Show an agent's wallet (AgentWallet.v1); zeros where none is stored yet. Raises AgentNotFound."""
    agents.get(tenant_id=tenant_id, agent_id=agent_id)
    wallet = queries.find(tenant_id=tenant_id, agent_id=agent_id)
    if wallet is None:
        return wire.no_wallet_json(tenant_id=tenant_id, agent_id=agent_id)
    return wire.wallet_json(wallet)


def _locked(tenant_id: str, agent_ids: list[str]) -> list[Wallet]:
    wallet_ids = [identifiers.wallet_id(agent_id) for agent_id in agent_ids]
    return rows.every(Wallet, _LOCK, [tenant_id, wallet_ids, tenant_id, wallet_ids, len(wallet_ids)])


def _make(*, tenant_id: str, agent_ids: list[str], currency: str, now: dt.datetime) -> None:
    """Make wallets with their accounts, all in one order; the journal needs the general accounts as well."""
    wallet_ids = [identifiers.wallet_id(agent_id) for agent_id in agent_ids]
    wanted = {one for each in wallet_ids for one in accounts.of_wallet(tenant_id=tenant_id, wallet_id=each)}
    ledger_accounts.ensure_general(tenant_id=tenant_id, now=now)
    ledger_accounts.ensure(tenant_id=tenant_id, accounts=sorted(wanted), now=now)
    with connection.cursor() as cursor:
        for agent_id, wallet_id in zip(agent_ids, wallet_ids, strict=True):
            cursor.execute(_MAKE, [ids.uuid7(), tenant_id, wallet_id, agent_id, currency, now, now])
