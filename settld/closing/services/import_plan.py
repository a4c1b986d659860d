"""What a file of statements would do to the books, row by row; nothing is written here."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from django.db import connection

from settld.closing import documents
from settld.closing.services.statements import StatementContent
from settld.closing.statement_file import StatementRow
from settld.core import money
from settld.core.hashing import canonical_hash, sha256_hex
from settld.ledger.models import MonthClose

BASIS: Final = "settledAt"
CHUNK: Final = 2000
NEW: Final = "new"
UNCHANGED: Final = "unchanged"
REPLACED: Final = "replaced"
CONFLICT: Final = "conflict"
OUTCOMES: Final = (NEW, REPLACED, UNCHANGED, CONFLICT)
Say = Callable[[str], None]
_STANDING = """
SELECT given.at, own.id, own.status, own.generation, own.statement_hash, own.payout_cents
FROM json_to_recordset(%s::json)
  AS given(at integer, party_id text, period text, party_role text, currency text)
JOIN party_statement own ON own.tenant_id = %s AND own.party_id = given.party_id
  AND own.period = given.period AND own.party_role = given.party_role AND own.currency = given.currency
  AND own.superseded_at IS NULL
ORDER BY given.at
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """One row with what becomes of it, and what stands in the books now (blank when nothing does)."""

    row: StatementRow
    outcome: str
    is_month_closed: bool
    standing_id: str = ""
    standing_hash: str = ""
    standing_generation: int = 0
    standing_cents: int | None = None

    @property
    def mark(self) -> str:
        """Write in a few letters what was foreseen, so that a later look can tell whether it still is so."""
        return f"{self.outcome[0]}{'c' if self.is_month_closed else 'o'}{self.standing_hash[:12]}"


@dataclass(frozen=True)
class MonthPlan:
    """What a file does to one month."""

    period: str
    status: str
    counts: dict[str, int]


@dataclass(frozen=True)
class Total:
    """What a file adds up to in one currency; payable is what may be paid out of it."""

    currency: str
    statement_count: int
    payout_cents: int
    payable_cents: int

    def as_json(self) -> dict[str, Any]:
        """Write it for the record; sums beyond what JSON keeps are digits in a text."""
        return {
            "currency": self.currency,
            "statementCount": self.statement_count,
            "payoutCents": money.exact(self.payout_cents),
            "payableCents": money.exact(self.payable_cents),
        }


@dataclass(frozen=True)
class Plan:
    """The rows of a file in the file's order, each with what becomes of it."""

    file_hash: str
    planned: list[Planned] = field(repr=False)
    months: list[MonthPlan]
    totals: list[Total]

    @property
    def counts(self) -> dict[str, int]:
        """Count the rows by what becomes of them."""
        counted = Counter(one.outcome for one in self.planned)
        return {outcome: counted[outcome] for outcome in OUTCOMES}

    @property
    def conflicts(self) -> list[Planned]:
        """Give the rows that contradict a closed statement."""
        return [one for one in self.planned if one.outcome == CONFLICT]

    @property
    def foreseen(self) -> str:
        """Write down what was foreseen for each row, a line each."""
        return "\n".join(one.mark for one in self.planned)

    @property
    def hash(self) -> str:
        """Name what was foreseen of which content."""
        return sha256_hex(f"{self.file_hash}\n{self.foreseen}")


def make(
    *,
    tenant_id: str,
    file_hash: str,
    rows: list[StatementRow],
    months: Mapping[str, MonthClose | None],
    is_locking: bool = False,
    say: Say | None = None,
) -> Plan:
    """Hold each row against the books, a query per 2,000 rows; `is_locking` keeps what stands from changing.

    With `is_locking` the rows must come sorted by key, so that two imports never wait for each other.
    """
    planned: list[Planned] = []
    for chunk in chunks(rows):
        standing = _standing(tenant_id=tenant_id, rows=chunk, is_locking=is_locking)
        for at, row in enumerate(chunk):
            planned.append(_planned(tenant_id, row, months.get(row.period), standing.get(at)))
        if say is not None and len(rows) > CHUNK:
            say(f"compared {len(planned):,} of {len(rows):,} rows")
    planned.sort(key=lambda one: one.row.line)
    return Plan(file_hash, planned, _months(planned), _totals(planned))


def content_of(row: StatementRow) -> StatementContent:
    """Say what a row states, in the words of a single PUT."""
    return StatementContent(
        party_role=row.party_role,
        payout_cents=row.payout_cents,
        currency=row.currency,
        basis=BASIS,
        payable_after=row.payable_after,
        references=[{"type": kind, "id": name} for kind, name in row.references],
    )


def chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut into pieces of 2,000."""
    waiting = iter(rows)
    while chunk := list(islice(waiting, CHUNK)):
        yield chunk


def _standing(
    *, tenant_id: str, rows: list[StatementRow], is_locking: bool
) -> dict[int, tuple[str, str, int, str, int]]:
    """Give what stands for each row of a piece, by its place: id, status, generation, hash, cents."""
    keys = [
        {
            "at": at, "party_id": row.party_id, "period": row.period, "party_role": row.party_role,
            "currency": row.currency,
        }
        for at, row in enumerate(rows)
    ]  # fmt: skip
    query = f"{_STANDING} FOR UPDATE OF own" if is_locking else _STANDING
    with connection.cursor() as cursor:
        cursor.execute(query, [json.dumps(keys, ensure_ascii=False), tenant_id])
        return {row[0]: (str(row[1]), *row[2:]) for row in cursor.fetchall()}


def _planned(
    tenant_id: str,
    row: StatementRow,
    month: MonthClose | None,
    standing: tuple[str, str, int, str, int] | None,
) -> Planned:
    is_closed = month is not None and month.is_closed
    if standing is None:
        return Planned(row, NEW, is_closed)
    body = documents.statement_body(
        tenant_id=tenant_id, party_id=row.party_id, party_role=row.party_role, period=row.period,
        basis=BASIS, currency=row.currency, payout_cents=row.payout_cents,
        payable_after=row.payable_after, references=content_of(row).references,
    )  # fmt: skip
    row_id, status, generation, hash_, cents = standing
    other = CONFLICT if status == "CLOSED" else REPLACED
    outcome = UNCHANGED if hash_ == canonical_hash(body) else other
    return Planned(row, outcome, is_closed, row_id, hash_, generation, cents)


def _months(planned: list[Planned]) -> list[MonthPlan]:
    closed: dict[str, bool] = {}
    counted: dict[str, Counter[str]] = {}
    for one in planned:
        closed[one.row.period] = one.is_month_closed
        counted.setdefault(one.row.period, Counter())[one.outcome] += 1
    return [
        MonthPlan(
            period,
            "CLOSED" if closed[period] else "OPEN",
            {outcome: counted[period][outcome] for outcome in OUTCOMES},
        )
        for period in sorted(counted)
    ]


def _totals(planned: list[Planned]) -> list[Total]:
    sums: dict[str, list[int]] = {}
    for one in planned:
        row = one.row
        entry = sums.setdefault(row.currency, [0, 0, 0])
        entry[0] += 1
        entry[1] += row.payout_cents
        entry[2] += documents.payable_cents(party_role=row.party_role, payout_cents=row.payout_cents)
    return [Total(currency, *sums[currency]) for currency in sorted(sums)]
