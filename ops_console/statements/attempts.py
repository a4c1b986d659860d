"""What kept a month from being closed when it was last tried."""

from typing import Any, Final

from ops_console import words
from ops_console.errors import Fact
from settld.ledger.models import MonthClose

MOST_HOLDS: Final = 20


def told(month: MonthClose | None) -> tuple[str, list[Fact]]:
    """Tell what kept the last try from closing the month, and which holds stand in its way."""
    last: dict[str, Any] = (month.last_attempt if month is not None else None) or {}
    status = last.get("status")
    if month is None or month.is_closed or status not in ("blocked", "failed", "error"):
        return "", []
    blocking = last.get("blocking") or []
    if status == "blocked":
        text = f"The last try to close it met {words.count(len(blocking), 'open hold')}"
        text += f" under the policy {words.label(str(last.get('closeHoldPolicy') or '')).lower()}."
        text += " Resolve them, or change the policy, then ask again."
    else:
        text = f"The last try to close it failed: {words.label(str(last.get('reason') or 'unknown'))}."
    return text, [_hold(row) for row in blocking[:MOST_HOLDS]]


def _hold(row: dict[str, Any]) -> Fact:
    """Name a hold, and since when it is there."""
    name = str(row.get("holdId") or row.get("jobId") or "hold")
    return Fact(
        words.short(name, keep=24), f"held since {str(row.get('heldAt') or '')[:19].replace('T', ' ')}"
    )
