"""A month's general book, read for its close: summed, listed and written as JSON by the database.

Each statement reads the period's allocations once. Lists are in the order that hashes ask for: by entry,
posting and party, each compared by UTF-16 code units.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from settld.closing.composing import Written, in_code_units
from settld.kernel.queries.payables import REFERENCES_OF, month_bounds

# What one JSON text in the database may hold with room to spare; longer digests are read piece by piece.
MOST_DIGESTED_AT_ONCE: Final = 2_000_000
_PIECE: Final = 20_000
_FETCHED: Final = 100

_ENTRY: Final = in_code_units("a.entry_id")
_POSTING: Final = 'a.posting_no::text COLLATE "C"'
_SHARE: Final = """
'{"accountId":' || to_json(a.account_id)::text || ',"amountCents":' || a.amount_cents || ',"currency":'
  || to_json(a.currency)::text || ',"entryId":' || to_json(a.entry_id)::text || ',"partyId":'
  || to_json(a.party_id)::text || ',"partyRole":' || to_json(a.party_role)::text || ',"postingId":"p'
  || a.posting_no || '"}'
"""

_TOTALS: Final = """
SELECT a.party_id, a.party_role, a.currency, a.account_id, sum(a.amount_cents)::text, count(*)
FROM ledger_allocation a
WHERE a.tenant_id = %(tenant_id)s AND a.period = %(period)s
GROUP BY a.party_id, a.party_role, a.currency, a.account_id
"""

# The rows come out of the window in its order, and grouping by its leading columns keeps it.
_LISTS: Final = f"""
SELECT a.party_id, a.party_role, a.currency,
  CASE WHEN count(*) <= @most THEN encode(sha256(convert_to(
    '[' || string_agg(a.share, ',') FILTER (WHERE a.place <= @most) || ']', 'UTF8')), 'hex') END,
  '[' || string_agg(to_json(a.entry_id)::text, ',') FILTER (WHERE a.is_first) || ']'
FROM (
  SELECT a.party_id, a.party_role, a.currency, a.entry_id,
    lag(a.entry_id) OVER own IS DISTINCT FROM a.entry_id AS is_first, @place AS place, {_SHARE} AS share
  FROM ledger_allocation a
  WHERE a.tenant_id = %(tenant_id)s AND a.period = %(period)s
  WINDOW own AS (PARTITION BY a.party_id, a.party_role, a.currency ORDER BY {_ENTRY}, {_POSTING})
) a
GROUP BY a.party_id, a.party_role, a.currency
"""  # noqa: S608

_PIECES: Final = f"""
SELECT string_agg(a.share, ',' ORDER BY a.place) FROM (
  SELECT row_number() OVER own AS place, {_SHARE} AS share
  FROM ledger_allocation a
  WHERE a.tenant_id = %(tenant_id)s AND a.period = %(period)s AND a.party_id = %(party_id)s
    AND a.party_role = %(party_role)s AND a.currency = %(currency)s
  WINDOW own AS (ORDER BY {_ENTRY}, {_POSTING})
) a GROUP BY (a.place - 1) / %(piece)s ORDER BY (a.place - 1) / %(piece)s
"""  # noqa: S608

_GL_LINES: Final = f"""
SELECT count(*), string_agg(line.text, ',' ORDER BY line.place) FROM (
  SELECT row_number() OVER (
      ORDER BY {_ENTRY}, {_POSTING}, {in_code_units("a.party_id")}, a.party_role COLLATE "C") AS place,
    '{{"accountId":' || to_json(a.account_id)::text || ',"amountCents":' || a.amount_cents || e.at
      || ',"currency":' || to_json(a.currency)::text || ',"entryId":' || e.entry || e.job_id
      || ',"lineId":' || to_json(a.entry_id || ':p' || a.posting_no || ':' || a.party_id)::text || e.memo
      || ',"partyId":' || to_json(a.party_id)::text || ',"partyRole":' || to_json(a.party_role)::text
      || ',"postingId":"p' || a.posting_no || '"}}' AS text
  FROM ledger_allocation a
  JOIN (
    SELECT entry_id, to_json(entry_id)::text AS entry, ',"memo":' || to_json(memo)::text AS memo,
      ',"at":"' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' AS at,
      ',"jobId":' || coalesce(to_json(CASE WHEN memo LIKE 'job:%% %%'
        THEN nullif(nullif(split_part(substr(memo, 5), ' ', 1), '-'), '') END)::text, 'null') AS job_id
    FROM ledger_entry WHERE tenant_id = %(tenant_id)s AND period = %(period)s AND book = 'general' OFFSET 0
  ) e ON e.entry_id = a.entry_id
  WHERE a.tenant_id = %(tenant_id)s AND a.period = %(period)s
) line GROUP BY (line.place - 1) / %(part)s ORDER BY (line.place - 1) / %(part)s
"""  # noqa: S608

_REFERENCES: Final = f"""
SELECT r.party_id, r.currency, max(r.window_ends_at),
  '[' || string_agg('{{"amountCents":' || r.amount_cents || ',"hash":' || to_json(r.hash)::text || ',"id":'
    || to_json(r.id)::text || ',"type":' || to_json(r.type)::text || '}}', ','
    ORDER BY r.type COLLATE "C", r.id COLLATE "C") || ']'
FROM ({REFERENCES_OF}) r GROUP BY r.party_id, r.currency
"""  # noqa: S608

# What closed months have left open, and what a reopened one has taken already; see docs/month-close.md.
_CARRIES: Final = """
SELECT party_id, party_role, currency, least(before, everywhere)::bigint FROM (
  SELECT party_id, party_role, currency,
    coalesce(sum(open_cents) FILTER (WHERE period < %(period)s), 0) AS before,
    sum(open_cents) AS everywhere
  FROM (
    SELECT party_id, party_role, currency, period, CASE status WHEN 'CLOSED'
      THEN payable_carry_out_cents - payable_carry_in_cents
      ELSE least(payable_carry_out_cents - payable_carry_in_cents, 0) END AS open_cents
    FROM party_statement
    WHERE tenant_id = %(tenant_id)s AND basis = %(basis)s AND period <> %(period)s AND source = 'derived'
      AND superseded_at IS NULL AND NOT payable_carry_in_cents = payable_carry_out_cents
  ) own GROUP BY party_id, party_role, currency
) found WHERE least(before, everywhere) <> 0
"""

Owner = tuple[str, str, str]  # party, role, currency


@dataclass(slots=True)
class Sums:
    """What one party's lines add up to, in one role and currency."""

    line_count: int
    by_account: dict[str, int]


@dataclass(frozen=True, slots=True)
class Listing:
    """What one party's statement says of its lines; `entry_ids` is a JSON array."""

    owner: Owner
    digest: str
    entry_ids: Written


@dataclass(frozen=True, slots=True)
class References:
    """The kernel objects of a party's period as a JSON array, and when the last window over them ends."""

    payable_after: dt.datetime | None
    text: Written


def prepare() -> None:
    """Give this transaction memory for sorting a month, and the quickest compression for its documents."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('work_mem', '256MB', true), set_config('cursor_tuple_fraction', '1', true),"
            " set_config('default_toast_compression', 'lz4', true) FROM pg_settings"
            " WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
        )
        if not cursor.fetchone():
            cursor.execute(
                "SELECT set_config('work_mem', '256MB', true), set_config('cursor_tuple_fraction', '1', true)"
            )


def sums(*, tenant_id: str, period: str) -> dict[Owner, Sums]:
    """Add up every general entry of the period by party, role, currency and account."""
    found: dict[Owner, Sums] = {}
    with _rows(_TOTALS, {"tenant_id": tenant_id, "period": period}) as rows:
        for party_id, party_role, currency, account_id, cents, count in rows:
            own = found.setdefault((party_id, party_role, currency), Sums(0, {}))
            own.line_count += count
            own.by_account[account_id] = int(cents)
    return found


def listings(
    *, tenant_id: str, period: str, may_be_large: bool, most: int = MOST_DIGESTED_AT_ONCE
) -> Iterator[Listing]:
    """Give each party's digest and entry ids. Read it to its end; other statements may run in between.

    `may_be_large` says that some party has more than `most` lines: its digest is then read in pieces.
    """
    place = "row_number() OVER own" if may_be_large else "1"
    query = _LISTS.replace("@most", str(most)).replace("@place", place)
    parameters = {"tenant_id": tenant_id, "period": period}
    with _rows(query, parameters) as rows:
        for party_id, party_role, currency, digest, entry_ids in rows:
            owner = (party_id, party_role, currency)
            digest = digest or _digest_in_pieces(owner, parameters)
            yield Listing(owner, digest, Written(entry_ids.encode()))


def gl_lines(*, tenant_id: str, period: str, part_size: int) -> Iterator[tuple[int, Written]]:
    """Give the period's GL lines as JSON without brackets, in parts of so many lines, with their counts."""
    parameters = {"tenant_id": tenant_id, "period": period, "part": part_size}
    with _rows(_GL_LINES, parameters, fetched=1) as rows:
        for count, text in rows:
            yield count, Written(text.encode())


def references(*, tenant_id: str, period: str) -> dict[tuple[str, str], References]:
    """Give what was settled in the period by (party, currency)."""
    starts_at, ends_at = month_bounds(period)
    parameters = {"tenant_id": tenant_id, "starts_at": starts_at, "ends_at": ends_at, "currency": None}
    with _rows(_REFERENCES, parameters) as rows:
        return {
            (party_id, currency): References(payable_after, Written(text.encode()))
            for party_id, currency, payable_after, text in rows
        }


def carries(*, tenant_id: str, period: str, basis: str) -> dict[Owner, int]:
    """Tell what is carried into a period, where that is not 0.

    It is what the closed months before it have left open, which is the last one's carry out. When later
    months are closed already, what those have taken is not given a second time.
    """
    with _rows(_CARRIES, {"tenant_id": tenant_id, "period": period, "basis": basis}) as rows:
        return {(party_id, role, currency): int(cents) for party_id, role, currency, cents in rows}


def _digest_in_pieces(owner: Owner, parameters: dict[str, Any]) -> str:
    digest, separator = hashlib.sha256(), b"["
    own = dict(zip(("party_id", "party_role", "currency"), owner, strict=True))
    with _rows(_PIECES, parameters | own | {"piece": _PIECE}, fetched=1) as rows:
        for (text,) in rows:
            digest.update(separator + text.encode())
            separator = b","
    digest.update(b"]")
    return digest.hexdigest()


@contextmanager
def _rows(query: str, parameters: dict[str, Any], *, fetched: int = _FETCHED) -> Iterator[Iterator[Any]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, parameters)
        yield _fetched(cursor, fetched)


def _fetched(cursor: Any, count: int) -> Iterator[Any]:
    while rows := cursor.fetchmany(count):
        yield from rows
