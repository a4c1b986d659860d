"""Periods and their events."""

from settld.ledger.models.month_close import MonthClose, MonthStatus
from settld.ledger.models.month_event import MonthEvent

__all__ = ["MonthClose", "MonthEvent", "MonthStatus"]
