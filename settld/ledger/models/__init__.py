"""Accounts, the journal, periods and their events."""

from settld.ledger.models.account import Balance, LedgerAccount
from settld.ledger.models.entry import Allocation, JournalEntry, Posting
from settld.ledger.models.month_close import MonthClose, MonthStatus
from settld.ledger.models.month_event import MonthEvent

__all__ = [
    "Allocation",
    "Balance",
    "JournalEntry",
    "LedgerAccount",
    "MonthClose",
    "MonthEvent",
    "MonthStatus",
    "Posting",
]
