"""Reading the ledger: balances and entries, and the streams of months."""

from settld.ledger.queries.accounts import AccountRow, general_accounts
from settld.ledger.queries.balances import BalanceRow, balance, balances
from settld.ledger.queries.entries import EntryFilter, EntryView, entries, entry
from settld.ledger.queries.months import (
    ChainVerdict,
    StreamProof,
    chain_hash,
    events,
    find_event,
    find_month,
    payload_hash,
    proof_at,
    verify_chain,
)

__all__ = [
    "AccountRow",
    "BalanceRow",
    "ChainVerdict",
    "EntryFilter",
    "EntryView",
    "StreamProof",
    "balance",
    "balances",
    "chain_hash",
    "entries",
    "entry",
    "events",
    "find_event",
    "find_month",
    "general_accounts",
    "payload_hash",
    "proof_at",
    "verify_chain",
]
