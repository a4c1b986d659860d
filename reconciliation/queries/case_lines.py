"""The lines behind a case of a month's books, side by side: journal, GL batch, party statements."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

MOST: Final = 100
_NAMES: Final = ("entryId", "accountId", "partyId", "partyRole", "currency")

_JOURNAL: Final = """
SELECT a.entry_id, a.account_id, a.party_id, a.party_role, a.currency, sum(a.amount_cents)::text, min(e.memo)
FROM ledger_allocation a JOIN ledger_entry e ON e.tenant_id = a.tenant_id AND e.entry_id = a.entry_id
WHERE a.tenant_id = %(tenant_id)s AND a.period = %(period)s
  AND (%(entry_id)s = '' OR a.entry_id = %(entry_id)s)
  AND (%(party_id)s = '' OR a.party_id = %(party_id)s)
  AND (%(account_id)s = '' OR (a.account_id = %(account_id)s AND a.currency = %(currency)s))
GROUP BY a.entry_id, a.account_id, a.party_id, a.party_role, a.currency
ORDER BY a.entry_id COLLATE "C" LIMIT %(most)s
"""
_BATCH: Final = """
SELECT body FROM artifact WHERE tenant_id = %(tenant_id)s AND artifact_id = (
  SELECT artifact_id FROM month_document WHERE tenant_id = %(tenant_id)s AND month = %(period)s
    AND kind = 'gl_batch' AND superseded_at IS NULL)
"""
_STATED: Final = """
SELECT s.party_id, s.party_role, s.currency, a.body
FROM party_statement s JOIN artifact a ON a.tenant_id = s.tenant_id AND a.artifact_id = s.artifact_id
WHERE s.tenant_id = %(tenant_id)s AND s.period = %(period)s AND s.superseded_at IS NULL
  AND s.party_id = ANY(%(parties)s) AND s.source = 'derived'
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a case is about: a party's account, an account, or an entry; blank leaves a column open."""

    party_id: str = ""
    account_id: str = ""
    currency: str = ""
    entry_id: str = ""


@dataclass(slots=True)
class Line:
    """One party's share of an entry on an account as each side has it; None where a side has none.

    `is_stated` tells whether the party's statement names the entry; None when it has no statement.
    """

    entry_id: str
    account_id: str
    party_id: str
    party_role: str
    currency: str
    memo: str = ""
    journal_cents: int | None = None
    batch_cents: int | None = None
    is_stated: bool | None = None


Key = tuple[str, str, str, str, str]


def read(*, tenant_id: str, period: str, subject: Subject) -> tuple[list[Line], bool, bool]:
    """Give the lines by entry, whether there are more than MOST, and whether the GL batch could be read."""
    named = {"tenant_id": tenant_id, "period": period, "most": MOST + 1, **{
        name: getattr(subject, name) for name in ("party_id", "account_id", "currency", "entry_id")
    }}  # fmt: skip
    lines: dict[Key, Line] = {}
    with connection.cursor() as cursor:
        cursor.execute(_JOURNAL, named)
        for *columns, cents, memo in cursor.fetchall():
            line = _line(lines, columns)
            line.journal_cents, line.memo = int(cents), memo
        cursor.execute(_BATCH, named)
        batch = _batch_lines(cursor.fetchone())
    is_cut = len(lines) > MOST
    if batch is not None:
        _add_batch(lines, batch, subject)
    found = sorted(lines.values(), key=lambda line: (line.entry_id, line.party_id, line.account_id))
    is_cut, found = is_cut or len(found) > MOST, found[:MOST]
    _mark_stated(found, named)
    return found, is_cut, batch is not None


def _line(lines: dict[Key, Line], columns: Sequence[str]) -> Line:
    entry_id, account_id, party_id, party_role, currency = columns
    key = (entry_id, account_id, party_id, party_role, currency)
    return lines.setdefault(key, Line(*key))


def _batch_lines(row: tuple[str] | None) -> list[Any] | None:
    """Give the lines of a batch; None for one that is missing, kept in parts, or no batch at all."""
    try:
        body = json.loads(row[0])["batch"] if row else None
        lines = None if body is None or body.get("parts") else body["lines"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return lines if isinstance(lines, list) else None


def _add_batch(lines: dict[Key, Line], batch: Iterable[Any], subject: Subject) -> None:
    wanted = {
        "partyId": subject.party_id, "accountId": subject.account_id, "currency": subject.currency,
        "entryId": subject.entry_id,
    }  # fmt: skip
    for row in batch:
        if not isinstance(row, dict) or any(
            value and row.get(name) != value for name, value in wanted.items()
        ):
            continue
        line = _line(lines, [str(row.get(name)) for name in _NAMES])
        cents = row.get("amountCents")
        line.batch_cents = (line.batch_cents or 0) + (cents if isinstance(cents, int) else 0)
        line.memo = line.memo or str(row.get("memo") or "")


def _mark_stated(lines: list[Line], named: dict[str, Any]) -> None:
    parties = sorted({line.party_id for line in lines})
    with connection.cursor() as cursor:
        cursor.execute(_STATED, named | {"parties": parties})
        stated = {
            (party, role, currency): _entry_ids(body) for party, role, currency, body in cursor.fetchall()
        }
    for line in lines:
        entry_ids = stated.get((line.party_id, line.party_role, line.currency))
        line.is_stated = None if entry_ids is None else line.entry_id in entry_ids


def _entry_ids(body: str) -> frozenset[str]:
    try:
        found = json.loads(body)["statement"]["includedEntryIds"]
        return frozenset(name for name in found if isinstance(name, str))
    except (ValueError, KeyError, TypeError):
        return frozenset()
