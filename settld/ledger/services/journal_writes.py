"""The one statement that posts entries: month rows, entries, postings, shares and balances, or nothing.

Each step takes its rows from the one before, so the locks come in one order: months, the entry ids, and
last, briefly held, the balance rows. What stands already is left out at the beginning; what another
transaction posts meanwhile is waited for at the entry's unique index, and then left out too.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from settld.ledger.states import SHARDS


@dataclass(frozen=True, slots=True)
class Written:
    """What the statement did, and what it saw instead where it did nothing.

    `standing` has the content hash by id of each entry that stood before; `unknown` the accounts that are
    not there or in another book: nothing was written then.
    """

    made: list[str]
    totals: dict[tuple[str, str], int]
    standing: dict[str, str]
    unknown: list[str]


# Lookups are written as subqueries for one row each: whatever the tables' statistics say, they go by index.
_STATEMENT: Final = f"""
WITH given AS MATERIALIZED (
  SELECT j, j->>'tenant' AS tenant_id, (j->>'now')::timestamptz AS now FROM (SELECT %s::jsonb AS j) AS one
), wanted AS MATERIALIZED (
  SELECT given.tenant_id, given.now, entry.*,
    (SELECT content_hash FROM ledger_entry AS old
     WHERE old.tenant_id = given.tenant_id AND old.entry_id = entry.entry_id) AS standing
  FROM given, jsonb_to_recordset(given.j->'entries') AS entry (
    entry_id text, book text, period text, at timestamptz, memo text, source_type text, source_id text,
    reason text, posting_count smallint, share_count smallint, content_hash text)
), line AS MATERIALIZED (
  SELECT line.*, account.is_exact, account.book AS account_book
  FROM given CROSS JOIN LATERAL jsonb_to_recordset(given.j->'lines') AS line (
    entry_id text, posting_no smallint, account_id text, currency text, amount_cents bigint, day text,
    book text)
  LEFT JOIN LATERAL (
    SELECT is_exact, book FROM ledger_account
    WHERE tenant_id = given.tenant_id AND account_id = line.account_id LIMIT 1) AS account ON true
), unknown AS MATERIALIZED (
  SELECT account_id FROM line WHERE account_book IS DISTINCT FROM book
), month AS (
  INSERT INTO month_close
    (id, tenant_id, month, basis, status, request_pending, generation, created_at, updated_at)
  SELECT month.id, given.tenant_id, month.month, 'settledAt', 'OPEN', false, 1, given.now, given.now
  FROM given, jsonb_to_recordset(given.j->'months') AS month (id uuid, month text)
  WHERE (SELECT true FROM month_close AS old WHERE old.tenant_id = given.tenant_id
    AND old.month = month.month AND old.basis = 'settledAt') IS NULL
  ORDER BY month.month
  ON CONFLICT (tenant_id, month, basis) DO NOTHING RETURNING 1
), made AS (
  INSERT INTO ledger_entry
    (tenant_id, entry_id, book, period, at, memo, source_type, source_id, reason, posting_count,
     share_count, content_hash, recorded_at)
  SELECT tenant_id, entry_id, book, period, at, memo, source_type, source_id, reason, posting_count,
    share_count, content_hash, now
  FROM wanted
  WHERE standing IS NULL AND (SELECT count(*) FROM month) >= 0 AND (SELECT count(*) FROM unknown) = 0
  ORDER BY period, entry_id COLLATE "C"
  ON CONFLICT (tenant_id, entry_id) DO NOTHING RETURNING tenant_id, entry_id, book, period, at
), own AS MATERIALIZED (
  SELECT made.tenant_id, made.book, made.period, made.at,
    line.entry_id, line.posting_no, line.account_id, line.currency, line.amount_cents, line.day,
    line.is_exact
  FROM made JOIN line USING (entry_id)
), posted AS (
  INSERT INTO ledger_posting
    (tenant_id, entry_id, posting_no, account_id, book, currency, amount_cents, period, at)
  SELECT tenant_id, entry_id, posting_no, account_id, book, currency, amount_cents, period, at FROM own
), allocated AS (
  INSERT INTO ledger_allocation
    (tenant_id, entry_id, posting_no, account_id, party_id, party_role, currency, amount_cents, period)
  SELECT own.tenant_id, own.entry_id, own.posting_no, own.account_id, share.party_id, share.party_role,
    own.currency, share.amount_cents, own.period
  FROM own JOIN (SELECT share.* FROM given, jsonb_to_recordset(given.j->'shares') AS share (
    entry_id text, posting_no smallint, party_id text, party_role text, amount_cents bigint)) AS share
    USING (entry_id, posting_no)
), touched AS (
  INSERT INTO ledger_balance AS balance (tenant_id, account_id, currency, bucket, shard, amount_cents)
  SELECT own.tenant_id, own.account_id, own.currency, part.bucket,
    CASE WHEN own.is_exact THEN 0 ELSE pg_backend_pid() %% {SHARDS} END, sum(own.amount_cents)::bigint
  FROM own CROSS JOIN LATERAL (VALUES (''), (own.day)) AS part (bucket)
  GROUP BY 1, 2, 3, 4, 5
  ORDER BY own.account_id COLLATE "C", own.currency COLLATE "C", part.bucket COLLATE "C", 5
  ON CONFLICT (tenant_id, account_id, currency, bucket, shard)
    DO UPDATE SET amount_cents = balance.amount_cents + EXCLUDED.amount_cents
  RETURNING account_id, currency, bucket, amount_cents
)
SELECT jsonb_build_array(
  (SELECT jsonb_agg(entry_id) FROM made),
  (SELECT jsonb_agg(jsonb_build_array(account_id, currency, amount_cents)) FROM touched
   WHERE bucket = '' AND account_id IN (SELECT account_id FROM own WHERE is_exact)),
  (SELECT jsonb_object_agg(entry_id, standing) FROM wanted WHERE standing IS NOT NULL),
  (SELECT jsonb_agg(DISTINCT account_id) FROM unknown))::text
"""  # noqa: S608  (the number of shards is ours)
_STANDING: Final = (
    "SELECT entry_id, content_hash FROM ledger_entry WHERE tenant_id = %s AND entry_id = ANY(%s)"
)


def write(content: dict[str, Any]) -> Written:
    """Post what a description says: `tenant, now, months, entries, lines, shares`, the columns by name."""
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, [json.dumps(content, separators=(",", ":"))])
        made, totals, known, unknown = json.loads(cursor.fetchone()[0])
    return Written(
        made=made or [],
        totals={(account_id, currency): cents for account_id, currency, cents in totals or []},
        standing=known or {},
        unknown=unknown or [],
    )


def standing(tenant_id: str, entry_ids: Sequence[str]) -> dict[str, str]:
    """Give the content hash of each of these entries that is there now."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [tenant_id, list(entry_ids)])
        return dict(cursor.fetchall())
