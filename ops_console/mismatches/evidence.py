"""A broken invariant in its own words, with the rows that break it."""

from dataclasses import dataclass
from typing import Any, Final

from ops_console import words
from ops_console.errors import Fact
from ops_console.journal import links
from ops_console.mismatches.stories import Story
from reconciliation.invariants import BY_NAME, Invariant
from reconciliation.models import Mismatch
from reconciliation.states import SourceType
from settld.core import money

# Invariants whose rows are keyed by journal entries.
_OF_ENTRIES: Final = ("ledger_entry_balances", "ledger_posting_is_allocated")


@dataclass(frozen=True)
class Table:
    """Rows under a heading; `note` says what is left out."""

    title: str
    headers: list[str]
    rows: list[list[Fact]]
    note: str = ""


def means(case: Mismatch, story: Story) -> str:
    """Say what a case means; an invariant says of itself what must hold."""
    invariant = _of(case)
    return f"{story.means} It is this: {invariant.means}" if invariant else story.means


def advice(case: Mismatch, story: Story) -> str:
    """Say what to do; of the stop only where the invariant stops payouts."""
    invariant = _of(case)
    if invariant is None:
        return story.advice
    return f"{invariant.advice} {story.advice}" if invariant.stops_payouts else invariant.advice


def table(case: Mismatch) -> Table | None:
    """Shape the rows that break an invariant, whatever columns they have; None for any other case."""
    details = case.details if isinstance(case.details, dict) else {}
    rows = details.get("rows")
    if case.source_type != SourceType.INVARIANT or not isinstance(rows, list) or not rows:
        return None
    shown = [row for row in rows if isinstance(row, dict)]
    columns = list(shown[0]) if shown else []
    return Table(
        "Rows that break it",
        [words.label(column.removesuffix("_cents")) for column in columns],
        [[_cell(case.mismatch_key, column, row) for column in columns] for row in shown],
        note="There may be more: these are the first." if details.get("hasMoreRows") else "",
    )


def _of(case: Mismatch) -> Invariant | None:
    return BY_NAME.get(case.mismatch_key) if case.source_type == SourceType.INVARIANT else None


def _cell(name: str, column: str, row: dict[str, Any]) -> Fact:
    value = row.get(column)
    if column.endswith("_cents") and isinstance(value, int):
        return Fact(column, money.show(value, str(row.get("currency") or "")).strip())
    text = "" if value is None else str(value)
    href = ""
    if column == "key" and name in _OF_ENTRIES:
        href = links.entry_href(text)
    elif column == "account_id":
        href = links.account_href(text)
    return Fact(column, text, href=href)
