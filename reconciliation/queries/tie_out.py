"""What a month's books, statements and payouts each add up to, so that one page can lay them side by side.

Sums are made by the database from what each side keeps: the journal from its balances by day, the GL batch
and the statements from the documents that the close stored, payouts from the operations themselves.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from settld.kernel.queries.payables import month_bounds

# Beyond this many statements their documents are not added up while somebody waits for a page.
MOST_STATEMENTS: Final = 5_000
PAYABLE: Final = "party_role IN ('operator', 'subcontractor') AND payout_cents > 0"
Key = tuple[str, str]

_LEDGER: Final = """
SELECT a.account_id, b.currency, sum(b.amount_cents)::text
FROM ledger_account a JOIN ledger_balance b ON b.tenant_id = a.tenant_id AND b.account_id = a.account_id
WHERE a.tenant_id = %(tenant_id)s AND a.book = 'general'
  AND b.bucket >= %(first_day)s AND b.bucket < %(next_day)s
GROUP BY a.account_id, b.currency
"""
_BATCH: Final = """
SELECT body::json #>> '{batch,totals}' FROM artifact
WHERE tenant_id = %(tenant_id)s AND artifact_id = (
  SELECT artifact_id FROM month_document WHERE tenant_id = %(tenant_id)s AND month = %(period)s
    AND kind = 'gl_batch' AND superseded_at IS NULL)
"""
_STATED: Final = """
SELECT total.key, s.currency, sum(total.value::numeric)::text
FROM party_statement s
JOIN artifact a ON a.tenant_id = s.tenant_id AND a.artifact_id = s.artifact_id
CROSS JOIN LATERAL json_each_text(a.body::json #> '{statement,totalsByAccountId}') total
WHERE s.tenant_id = %(tenant_id)s AND s.period = %(period)s AND s.superseded_at IS NULL
  AND s.source = 'derived' AND s.status = 'CLOSED' AND total.value ~ '^-?[0-9]{1,18}$'
GROUP BY total.key, s.currency
"""
_OWED: Final = f"""
SELECT currency, party_role, source, count(*), coalesce(sum(period_payout_cents), 0)::text,
  sum(payable_carry_in_cents)::text, sum(payable_carry_out_cents)::text,
  sum(payout_cents)::text, coalesce(sum(payout_cents) FILTER (WHERE {PAYABLE}), 0)::text
FROM party_statement
WHERE tenant_id = %(tenant_id)s AND period = %(period)s AND superseded_at IS NULL
GROUP BY currency, party_role, source
"""  # noqa: S608
# OFFSET 0: with row-level security an index serves only plain comparisons, so keys are made before the join.
_FATES: Final = f"""
SELECT due.currency, coalesce(op.state, CASE WHEN o.id IS NULL THEN 'waiting' ELSE 'offset' END), count(*),
  sum(due.payout_cents)::text, count(i.id), coalesce(sum(i.amount_cents), 0)::text,
  coalesce(sum(op.amount_cents), 0)::text, coalesce(sum(op.recovery_applied_cents), 0)::text,
  coalesce(sum((o.response #>> '{{chargeback,payoutAmountGrossCents}}')::bigint)
    FILTER (WHERE op.id IS NULL), 0)::text
FROM (
  SELECT s.tenant_id, s.currency, s.payout_cents,
    'payout_' || s.tenant_id || '_' || s.party_id || '_' || s.period || '_' || s.statement_hash
      AS instruction_id,
    s.tenant_id || ':party:' || s.party_id || ':period:' || s.period || ':statement:' || s.statement_hash
      AS payout_key
  FROM party_statement s
  WHERE s.tenant_id = %(tenant_id)s AND s.period = %(period)s AND s.superseded_at IS NULL
    AND s.status = 'CLOSED' AND {PAYABLE}
  OFFSET 0
) due
LEFT JOIN artifact i ON i.tenant_id = due.tenant_id AND i.artifact_id = due.instruction_id
LEFT JOIN payout_outcome o ON o.tenant_id = due.tenant_id AND o.payout_key = due.payout_key
LEFT JOIN money_rail_operation op ON op.id = o.operation_id
GROUP BY 1, 2
"""  # noqa: S608
_OTHER_PAYOUTS: Final = """
SELECT op.currency, count(*), sum(op.amount_cents + op.recovery_applied_cents)::text
FROM money_rail_operation op
WHERE op.tenant_id = %(tenant_id)s AND op.period = %(period)s AND op.direction = 'payout'
  AND op.state NOT IN ('failed', 'cancelled')
  AND NOT EXISTS (
    SELECT 1 FROM party_statement s
    WHERE s.tenant_id = op.tenant_id AND s.period = op.period AND s.party_id = op.party_id
      AND s.statement_hash = op.statement_hash AND s.superseded_at IS NULL AND s.status = 'CLOSED')
GROUP BY op.currency
"""
_PARTIES: Final = """
SELECT s.party_id, s.currency, coalesce(s.period_payout_cents, s.payout_cents), s.payable_carry_in_cents,
  s.payable_carry_out_cents, coalesce(paid.cents, 0)::bigint, coalesce(paid.waiting, 0)::bigint,
  coalesce(paid.taken_back, 0)::bigint
FROM (
  SELECT * FROM party_statement own
  WHERE own.tenant_id = %(tenant_id)s AND own.period = %(period)s AND own.superseded_at IS NULL
    AND own.party_role IN ('operator', 'subcontractor')
  ORDER BY abs(coalesce(own.period_payout_cents, own.payout_cents)) DESC, own.party_id COLLATE "C"
  LIMIT %(most)s
) s
LEFT JOIN LATERAL (
  SELECT sum(op.amount_cents + op.recovery_applied_cents) FILTER (WHERE op.state = 'confirmed') AS cents,
    sum(op.amount_cents + op.recovery_applied_cents) FILTER (WHERE op.state = 'reversed') AS taken_back,
    sum(op.amount_cents + op.recovery_applied_cents) FILTER (WHERE op.state IN ('initiated', 'submitted'))
      AS waiting
  FROM money_rail_operation op
  WHERE op.tenant_id = s.tenant_id AND op.party_id = s.party_id AND op.period = s.period
    AND op.currency = s.currency AND op.direction = 'payout'
) paid ON true
"""


@dataclass(frozen=True, slots=True)
class Owed:
    """What the statements of one role, currency and source come to, in cents."""

    currency: str
    party_role: str
    source: str
    count: int
    earned: int
    carried_in: int
    carried_out: int
    payout: int
    payable: int


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of payable statements: a payout's state, `offset` (all into debt) or `waiting`.

    `paid` is what goes or went out, `withheld` what repaid a debt; `payable` is what the statements say.
    """

    currency: str
    name: str
    count: int
    payable: int
    instructed_count: int
    instructed: int
    paid: int
    withheld: int


@dataclass(frozen=True, slots=True)
class PartyPay:
    """One party's month in cents: earned, carried; gross paid out, on its way, and taken back again."""

    party_id: str
    currency: str
    earned: int
    carried_in: int
    carried_out: int
    paid: int
    in_flight: int
    taken_back: int


def ledger(*, tenant_id: str, period: str) -> dict[Key, int]:
    """Add up the general book's accounts over a month, by (account, currency)."""
    first, end = month_bounds(period)
    rows = _ask(
        _LEDGER,
        tenant_id,
        period,
        first_day=first.strftime("%Y-%m-%d"),
        next_day=end.strftime("%Y-%m-%d"),
    )
    return _nonzero({(account, currency): int(cents) for account, currency, cents in rows})


def gl_batch(*, tenant_id: str, period: str) -> dict[Key, int] | None:
    """Give the totals that the month's GL batch states, by (account, currency); None without a batch."""
    rows = _ask(_BATCH, tenant_id, period)
    if not rows:
        return None
    totals = json.loads(rows[0][0] or "{}")
    found = _totals_of(totals, "USD")
    for currency, own in (totals.get("byCurrency") or {}).items():
        found |= _totals_of(own, currency)
    return _nonzero(found)


def stated(*, tenant_id: str, period: str) -> dict[Key, int]:
    """Add up what the month's derived statements state, by (account, currency)."""
    rows = _ask(_STATED, tenant_id, period)
    return _nonzero({(account, currency): int(cents) for account, currency, cents in rows})


def owed(*, tenant_id: str, period: str) -> list[Owed]:
    """Add up a month's current statements by currency, role and source."""
    found = [
        Owed(currency, role, source, count, *(int(cents) for cents in sums))
        for currency, role, source, count, *sums in _ask(_OWED, tenant_id, period)
    ]
    return sorted(found, key=lambda row: (row.currency, row.party_role, row.source))


def fates(*, tenant_id: str, period: str) -> list[Fate]:
    """Say what became of a month's payable statements, by currency and state."""
    return [
        Fate(
            currency, name, count, int(payable), instructed_count, int(instructed), int(paid),
            int(withheld) + int(offset),
        )
        for currency, name, count, payable, instructed_count, instructed, paid, withheld, offset in _ask(
            _FATES, tenant_id, period
        )
    ]  # fmt: skip


def other_payouts(*, tenant_id: str, period: str) -> dict[str, tuple[int, int]]:
    """Count a month's live payouts that no closed statement stands for, with their cents, by currency."""
    rows = _ask(_OTHER_PAYOUTS, tenant_id, period)
    return {currency: (count, int(cents)) for currency, count, cents in rows}


def parties(*, tenant_id: str, period: str, most: int) -> list[PartyPay]:
    """Give the paid parties whose month is the largest."""
    return [PartyPay(*row) for row in _ask(_PARTIES, tenant_id, period, most=most)]


def _totals_of(totals: Mapping[str, Any], currency: str) -> dict[Key, int]:
    by_account = totals.get("totalsByAccountId") or {}
    return {(account, currency): int(cents) for account, cents in by_account.items()}


def _nonzero(totals: dict[Key, int]) -> dict[Key, int]:
    return {key: cents for key, cents in totals.items() if cents}


def _ask(query: str, tenant_id: str, period: str, **more: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"tenant_id": tenant_id, "period": period, **more})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
