"""How the console writes states, times and long identifiers for people."""

import datetime as dt
import re
from typing import Final

PAYOUT_KEY: Final = re.compile(r":party:(?P<party>.+):period:(?P<period>\d{4}-\d{2}):statement:")
STATE_TONES: Final[dict[str, str]] = {
    "initiated": "info",
    "submitted": "warn",
    "confirmed": "good",
    "failed": "bad",
    "cancelled": "quiet",
    "reversed": "bad",
}
STATE_LABELS: Final[dict[str, str]] = {
    "initiated": "Initiated",
    "submitted": "Submitted",
    "confirmed": "Confirmed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "reversed": "Reversed",
}
DISPATCH_LABELS: Final[dict[str, str]] = {
    "dispatching": "Dispatching",
    "in_doubt": "In doubt",
    "indeterminate": "Indeterminate",
    "retryable": "Not executed",
    "rejected": "Rejected",
    "not_sent": "Not sent",
    "succeeded": "Succeeded",
}
DISPATCH_TONES: Final[dict[str, str]] = {
    "dispatching": "info",
    "in_doubt": "warn",
    "indeterminate": "bad",
    "retryable": "warn",
    "rejected": "bad",
    "not_sent": "quiet",
    "succeeded": "good",
}
SEVERITY_TONES: Final[dict[str, str]] = {"critical": "bad", "high": "warn", "medium": "info", "low": "quiet"}


def moment(instant: dt.datetime | None) -> str:
    """Write an instant to the second; the column says that it is UTC."""
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S") if instant else ""


def age(since: dt.datetime, *, now: dt.datetime) -> str:
    """Write how long ago something was, in its largest unit."""
    seconds = max(int((now - since).total_seconds()), 0)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def short(text: str, *, keep: int = 12) -> str:
    """Cut a hash or key to its telling beginning."""
    return text if len(text) <= keep + 1 else text[:keep] + "…"


def shortened(text: str, *, most: int = 80) -> str:
    """Cut a sentence that somebody wrote to what fits on a line."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def payout_subject(identifier: str) -> str:
    """Name the party and period that an operation id or payout key speaks of; other ids are cut short."""
    match = PAYOUT_KEY.search(identifier)
    if match:
        return f"{match['party']} {match['period']}"
    return identifier if len(identifier) <= 60 else f"{identifier[:34]}…{identifier[-18:]}"


def label(word: str) -> str:
    """Make a label out of a wire word, as in missing_operation."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", word).replace("_", " ").strip().capitalize()


def action(word: str) -> str:
    """Make a sentence out of an audit action, as in PAYOUT_ENQUEUED."""
    return word.replace("_", " ").capitalize()
