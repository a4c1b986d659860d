"""Composing the entries of an effect: the one of book escrow, and its twin in book general."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from settld.kernel import accounts
from settld.kernel.models import Wallet
from settld.ledger import attribution
from settld.ledger.services.journal import EntryDraft, Line, Share
from settld.ledger.states import Book


@dataclass(frozen=True, slots=True)
class Source:
    """What caused an entry."""

    type: str
    id: str


def available(wallet: Wallet) -> str:
    """Name the account of what a wallet may spend."""
    return accounts.available(tenant_id=wallet.tenant_id, wallet_id=wallet.wallet_id)


def escrow_locked(wallet: Wallet) -> str:
    """Name the account of what a wallet has locked."""
    return accounts.escrow_locked(tenant_id=wallet.tenant_id, wallet_id=wallet.wallet_id)


def escrow_entry(
    entry_id: str,
    *,
    memo: str,
    source: Source,
    wallet: Wallet,
    lines: Sequence[tuple[str, int]],
    now: dt.datetime,
) -> EntryDraft:
    """Compose an entry of book escrow; `lines` are accounts with what they gain or lose."""
    return EntryDraft(
        entry_id=entry_id,
        book=Book.ESCROW,
        at=now,
        memo=memo,
        source_type=source.type,
        source_id=source.id,
        lines=tuple(Line(account, cents, wallet.currency) for account, cents in lines),
    )


def general_entry(
    entry_id: str,
    *,
    kind: str,
    run_id: str | None = None,
    debit: str,
    credit: str,
    amount_cents: int,
    currency: str,
    source: Source,
    payer_agent_id: str | None = None,
    payee_agent_id: str | None = None,
    now: dt.datetime,
) -> EntryDraft:
    """Compose `jnl_{entry_id}` of book general, each line attributed whole to the party of its account."""

    def line(account: str, cents: int) -> Line:
        party_id, role = attribution.party_of(
            account, payee_agent_id=payee_agent_id, payer_agent_id=payer_agent_id
        )
        return Line(account, cents, currency, (Share(party_id, role, cents),))

    return EntryDraft(
        entry_id=f"jnl_{entry_id}",
        book=Book.GENERAL,
        at=now,
        memo=f"job:{run_id or '-'} {kind}",
        source_type=source.type,
        source_id=source.id,
        lines=(line(debit, amount_cents), line(credit, -amount_cents)),
    )
