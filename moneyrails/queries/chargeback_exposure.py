"""What reversals left open, party by party: one set-based answer, whatever the number of rows (spec 2.4)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection

# Sums and rows come out of one statement, so out of one snapshot; an empty page still has its sums.
_ANSWER = """
WITH reversal AS (
  SELECT entry.id, entry.party_id, entry.amount_cents, entry.at
  FROM chargeback_entry entry
  JOIN money_rail_operation operation
    ON operation.id = entry.operation_id AND operation.tenant_id = entry.tenant_id
  WHERE entry.tenant_id = %(tenant_id)s AND entry.kind = 'reversal'
    AND operation.provider_id = %(provider_id)s
    AND (%(party_id)s::text IS NULL OR entry.party_id = %(party_id)s)
    AND (%(period)s::text IS NULL OR operation.period = %(period)s)
), repayment AS (
  SELECT reversal.party_id, entry.payout_key,
    sum(CASE entry.kind WHEN 'recovery' THEN entry.amount_cents WHEN 'release' THEN -entry.amount_cents
      ELSE 0 END) AS recovered_cents,
    sum(CASE entry.kind WHEN 'adjustment' THEN entry.amount_cents ELSE 0 END) AS adjusted_cents
  FROM reversal JOIN chargeback_entry entry
    ON entry.reversal_id = reversal.id AND entry.tenant_id = %(tenant_id)s
  GROUP BY reversal.party_id, entry.payout_key
), reversed AS (
  SELECT party_id, sum(amount_cents) AS reversed_cents, count(*) AS reversed_count,
    max(at) AS latest_reversed_at
  FROM reversal GROUP BY party_id
), repaid AS (
  SELECT party_id, sum(recovered_cents) AS recovered_cents, sum(adjusted_cents) AS adjusted_cents,
    count(*) FILTER (WHERE recovered_cents > 0) AS recovery_count
  FROM repayment GROUP BY party_id
), party AS (
  SELECT reversed.party_id, reversed_cents, coalesce(recovered_cents, 0) AS recovered_cents,
    coalesce(adjusted_cents, 0) AS adjusted_cents, reversed_count,
    coalesce(recovery_count, 0) AS recovery_count, latest_reversed_at
  FROM reversed LEFT JOIN repaid ON repaid.party_id = reversed.party_id
), summary AS (
  SELECT count(*) AS party_count, coalesce(sum(reversed_cents - recovered_cents - adjusted_cents), 0) AS owed,
    coalesce(sum(reversed_cents), 0) AS reversed_cents, coalesce(sum(recovered_cents), 0) AS recovered_cents
  FROM party
), page AS (
  SELECT * FROM party ORDER BY party_id COLLATE "C" LIMIT %(limit)s OFFSET %(offset)s
)
SELECT summary.party_count, summary.owed, summary.reversed_cents, summary.recovered_cents,
  page.party_id, page.reversed_cents - page.recovered_cents - page.adjusted_cents, page.reversed_cents,
  page.recovered_cents, page.adjusted_cents, page.reversed_count, page.recovery_count,
  page.latest_reversed_at
FROM summary LEFT JOIN page ON true ORDER BY page.party_id COLLATE "C"
"""


@dataclass(frozen=True)
class PartyExposure:
    """One party's selected reversals and what repaid them; amounts in cents."""

    party_id: str
    outstanding_cents: int
    reversed_cents: int
    recovered_cents: int
    adjusted_cents: int
    reversed_count: int
    recovery_count: int
    latest_reversed_at: dt.datetime

    @property
    def status(self) -> str:
        """Say in a word whether anything is open."""
        return "negative_balance" if self.outstanding_cents > 0 else "clear"


@dataclass(frozen=True)
class Summary:
    """The sums over every selected party, of every page."""

    party_count: int
    outstanding_cents: int
    reversed_cents: int
    recovered_cents: int


@dataclass(frozen=True)
class Selection:
    """Which reversals count: those of a provider, perhaps of one party or one payout period."""

    tenant_id: str
    provider_id: str
    party_id: str | None = None
    period: str | None = None


@dataclass(frozen=True)
class Exposure:
    """One page of parties, and the sums over all of them."""

    summary: Summary
    parties: list[PartyExposure]


def exposure(selection: Selection, *, limit: int, offset: int) -> Exposure:
    """Give the parties that have a selected reversal, by id in code point order, with the sums of all."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWER, vars(selection) | {"limit": limit, "offset": offset})
        rows = cursor.fetchall()
    summary = Summary(*(int(value) for value in rows[0][:4]))
    return Exposure(summary, [_party(row[4:]) for row in rows if row[4] is not None])


def _party(row: tuple[Any, ...]) -> PartyExposure:
    party_id, owed, reversed_cents, recovered, adjusted, reversals, recoveries, latest_reversed_at = row
    return PartyExposure(
        party_id=party_id,
        outstanding_cents=int(owed),
        reversed_cents=int(reversed_cents),
        recovered_cents=int(recovered),
        adjusted_cents=int(adjusted),
        reversed_count=reversals,
        recovery_count=recoveries,
        latest_reversed_at=latest_reversed_at,
    )
