"""What payees may be paid, and since when (kernel spec 13.2, 13.3, 13.6)."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from settld.core import clock
from settld.kernel import open_cases
from settld.kernel.queries import ref_lookup
from settld.kernel.queries.refs import PARTY_PREFIX, Ref
from settld.kernel.states import RefKind

REFERENCES_OF: Final = f"""
SELECT party_id, type, id, hash, amount_cents, currency, window_ends_at, run_id FROM (
  SELECT '{PARTY_PREFIX}' || receipt.agent_id AS party_id, 'receipt' AS type, receipt.receipt_id AS id,
    receipt.receipt_hash AS hash, receipt.released_cents AS amount_cents, receipt.currency,
    settlement.dispute_window_ends_at AS window_ends_at, receipt.run_id
  FROM settlement_receipt receipt
  JOIN agent_run_settlement settlement
    ON settlement.tenant_id = receipt.tenant_id AND settlement.run_id = receipt.run_id
  WHERE receipt.tenant_id = %(tenant_id)s AND receipt.finality_state = 'final'
    AND receipt.released_cents > 0
    AND receipt.settled_at >= %(starts_at)s AND receipt.settled_at < %(ends_at)s
  UNION ALL
  SELECT '{PARTY_PREFIX}' || coalesce(hold.payee_agent_id, settlement.agent_id, adjustment.agent_id),
    'adjustment', adjustment.adjustment_id, adjustment.adjustment_hash,
    CASE adjustment.kind WHEN 'verdict_refund' THEN -adjustment.amount_cents
      ELSE adjustment.amount_cents END,
    adjustment.currency, settlement.dispute_window_ends_at, adjustment.run_id
  FROM settlement_adjustment adjustment
  LEFT JOIN funding_hold hold
    ON hold.tenant_id = adjustment.tenant_id AND hold.hold_hash = adjustment.hold_hash
  LEFT JOIN agent_run_settlement settlement
    ON settlement.tenant_id = adjustment.tenant_id AND settlement.run_id = adjustment.run_id
  WHERE adjustment.tenant_id = %(tenant_id)s
    AND adjustment.kind IN ('holdback_release', 'verdict_release', 'verdict_refund')
    AND adjustment.amount_cents > 0
    AND adjustment.created_at >= %(starts_at)s AND adjustment.created_at < %(ends_at)s
) found
WHERE %(currency)s::text IS NULL OR currency = %(currency)s
ORDER BY party_id COLLATE "C", currency, type COLLATE "C", id
"""  # noqa: S608  (only a constant of ours is put in)


@dataclass(frozen=True, slots=True)
class Reference:
    """One kernel object that a party's statement rests on; `amount_cents` has the payee's sign."""

    party_id: str
    type: str
    id: str
    hash: str
    amount_cents: int
    currency: str
    window_ends_at: dt.datetime | None
    run_id: str | None

    def as_json(self) -> dict[str, Any]:
        """Write it as a derived statement's `references` carry it."""
        return {"type": self.type, "id": self.id, "hash": self.hash, "amountCents": self.amount_cents}


def references_of(*, tenant_id: str, period: str, currency: str | None = None) -> Iterator[Reference]:
    """Name what was settled in a UTC month: final receipts with money released, and holdback and verdict
    adjustments created in it; by party, currency, type and id, in code point order.

    `window_ends_at` is the end of the run's challenge window, None where there is none. One statement, read
    in chunks, so call it inside a transaction and read it to its end before the next write. A party's
    references add up to its `periodPayoutCents` less what manual entries did (`refs` says how those and the
    carry are named).
    """
    starts_at, ends_at = month_bounds(period)
    parameters: dict[str, Any] = {
        "tenant_id": tenant_id,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "currency": currency,
    }
    with connection.chunked_cursor() as cursor:
        cursor.execute(REFERENCES_OF, parameters)
        while rows := cursor.fetchmany(2_000):
            for row in rows:
                yield Reference(*row)


def month_bounds(period: str) -> tuple[dt.datetime, dt.datetime]:
    """Give the first instant of a UTC month and of the next."""
    year, month = int(period[:4]), int(period[5:])
    starts_at = dt.datetime(year, month, 1, tzinfo=dt.UTC)
    ends_at = dt.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=dt.UTC)
    return starts_at, ends_at


# --- One payee's list (13.3) ------------------------------------------------------------------------
# What was paid is left out: it is owed no more. A verdict changes what its run's receipt is worth; once the
# receipt is given to a payout, the verdict's adjustment stands for itself. Who holds an object is looked up
# row by row, by its unique index: the planner cannot know how few there are.
def _given(kind: str, column: str) -> str:
    return f"""LEFT JOIN LATERAL (
    SELECT allocation.operation_id, (SELECT reservation.state FROM payout_reservation reservation
      WHERE reservation.tenant_id = allocation.tenant_id
        AND reservation.operation_id = allocation.operation_id LIMIT 1) AS state
    FROM payout_allocation allocation
    WHERE allocation.tenant_id = %(tenant_id)s AND allocation.ref_kind = '{kind}'
      AND allocation.ref_id = {column} AND allocation.released_at IS NULL LIMIT 1) given ON true"""  # noqa: S608


_ITEMS: Final = f"""
SELECT 'settlement_receipt', receipt.receipt_id, receipt.receipt_hash, receipt.released_cents, receipt.run_id,
  receipt.released_cents + CASE WHEN given.operation_id IS NULL THEN coalesce(verdict.cents, 0) ELSE 0 END,
  settlement.dispute_window_ends_at, coalesce(settlement.dispute_window_ends_at, receipt.settled_at),
  settlement.dispute_status, given.operation_id
FROM settlement_receipt receipt
JOIN agent_run_settlement settlement
  ON settlement.tenant_id = receipt.tenant_id AND settlement.run_id = receipt.run_id
{_given("settlement_receipt", "receipt.receipt_id")}
LEFT JOIN LATERAL (
  SELECT sum(CASE adjustment.kind WHEN 'verdict_refund' THEN -1 ELSE 1 END * adjustment.amount_cents)::bigint
    AS cents
  FROM settlement_adjustment adjustment
  WHERE adjustment.tenant_id = %(tenant_id)s AND adjustment.run_id = receipt.run_id
    AND adjustment.kind IN ('verdict_release', 'verdict_refund') AND adjustment.created_at <= %(as_of)s
    AND NOT EXISTS (SELECT 1 FROM payout_allocation own WHERE own.tenant_id = %(tenant_id)s
      AND own.ref_kind = 'settlement_adjustment' AND own.ref_id = adjustment.adjustment_id
      AND own.released_at IS NULL)
) verdict ON true
WHERE receipt.tenant_id = %(tenant_id)s AND receipt.agent_id = %(agent_id)s
  AND receipt.finality_state = 'final' AND receipt.released_cents > 0
  AND receipt.settled_at <= %(as_of)s AND receipt.currency = %(currency)s
  AND (given.state IS NULL OR given.state = 'reserved')
UNION ALL
SELECT 'settlement_adjustment', adjustment.adjustment_id, adjustment.adjustment_hash, verdict.cents,
  adjustment.run_id, verdict.cents, settlement.dispute_window_ends_at,
  coalesce(settlement.dispute_window_ends_at, adjustment.created_at), settlement.dispute_status, NULL
FROM settlement_adjustment adjustment
CROSS JOIN LATERAL (SELECT
  CASE adjustment.kind WHEN 'verdict_refund' THEN -1 ELSE 1 END * adjustment.amount_cents AS cents) verdict
JOIN agent_run_settlement settlement
  ON settlement.tenant_id = adjustment.tenant_id AND settlement.run_id = adjustment.run_id
WHERE adjustment.tenant_id = %(tenant_id)s AND settlement.agent_id = %(agent_id)s
  AND adjustment.kind IN ('verdict_release', 'verdict_refund') AND adjustment.amount_cents > 0
  AND adjustment.created_at <= %(as_of)s AND adjustment.currency = %(currency)s
  AND NOT EXISTS (SELECT 1 FROM payout_allocation own WHERE own.tenant_id = %(tenant_id)s
    AND own.ref_kind = 'settlement_adjustment' AND own.ref_id = adjustment.adjustment_id
    AND own.released_at IS NULL)
  AND EXISTS (SELECT 1 FROM payout_allocation paid WHERE paid.tenant_id = %(tenant_id)s
    AND paid.ref_kind = 'settlement_receipt' AND paid.ref_id = settlement.receipt_id
    AND paid.released_at IS NULL)
UNION ALL
SELECT 'settlement_adjustment', adjustment.adjustment_id, adjustment.adjustment_hash,
  adjustment.amount_cents, adjustment.run_id, adjustment.amount_cents, NULL, adjustment.created_at, NULL,
  given.operation_id
FROM settlement_adjustment adjustment
JOIN funding_hold hold ON hold.tenant_id = adjustment.tenant_id AND hold.hold_hash = adjustment.hold_hash
{_given("settlement_adjustment", "adjustment.adjustment_id")}
WHERE adjustment.tenant_id = %(tenant_id)s AND hold.payee_agent_id = %(agent_id)s
  AND adjustment.kind = 'holdback_release' AND adjustment.amount_cents > 0
  AND adjustment.created_at <= %(as_of)s AND adjustment.currency = %(currency)s
  AND (given.state IS NULL OR given.state = 'reserved')
ORDER BY 8, 2
"""  # noqa: S608  (only constants of ours are put in)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that a payee is owed; `blocked_reason` is None where it may be paid.

    `amount_cents` is the receipt's, with its run's verdicts. `eligible_at` is the end of the challenge
    window, after which it may be paid, or, without a window, the instant it came to be; None while a
    dispute or a case is open, because nobody knows. `operation_id` names the payout that is under way.
    """

    ref: Ref
    run_id: str | None
    amount_cents: int
    currency: str
    eligible_at: dt.datetime | None
    blocked_reason: str | None
    operation_id: str | None

    def as_json(self) -> dict[str, Any]:
        """Shape it for the wire."""
        return {
            "ref": self.ref.as_json(),
            "runId": self.run_id,
            "amountCents": self.amount_cents,
            "currency": self.currency,
            "eligibleAt": clock.iso(self.eligible_at),
            "blockedReason": self.blocked_reason,
            "operationId": self.operation_id,
        }


@dataclass(frozen=True, slots=True)
class Payables:
    """What one payee is owed in one currency, the oldest first, and its sums."""

    items: tuple[Item, ...]

    @property
    def payable_cents(self) -> int:
        """Add up what may be paid now."""
        return sum(item.amount_cents for item in self.items if item.blocked_reason is None)

    @property
    def blocked_cents(self) -> int:
        """Add up what may not be paid yet, payouts under way included."""
        return sum(item.amount_cents for item in self.items if item.blocked_reason is not None)


def listing(*, tenant_id: str, agent_id: str, as_of: dt.datetime, currency: str = "USD") -> Payables:
    """List what a payee is owed at an instant, with what stands in the way of paying it (13.2).

    `as_of` decides what counts and which windows are over; disputes, cases and payouts are as they stand.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _ITEMS, {"tenant_id": tenant_id, "agent_id": agent_id, "as_of": as_of, "currency": currency}
        )
        rows = cursor.fetchall()
    run_ids = {row[4] for row in rows if row[4] and row[8] is not None}
    cases = open_cases.of_runs(tenant_id=tenant_id, run_ids=run_ids) if run_ids else frozenset()
    return Payables(tuple(_item(row, cases=cases, currency=currency, as_of=as_of) for row in rows))


def _item(row: tuple[Any, ...], *, cases: frozenset[str], currency: str, as_of: dt.datetime) -> Item:
    kind, name, digest, own_cents, run_id, cents, window_ends_at, eligible_at, dispute, operation_id = row
    reason = ref_lookup.blocked_reason(
        operation_id=operation_id,
        has_open_case=dispute is not None and run_id in cases,
        dispute_status=dispute,
        window_ends_at=window_ends_at,
        at=as_of,
    )
    is_unknown = reason in (ref_lookup.DISPUTE_OPEN, ref_lookup.ARBITRATION_OPEN)
    return Item(
        ref=Ref(RefKind(kind), name, digest, int(own_cents)),
        run_id=run_id,
        amount_cents=int(cents),
        currency=currency,
        eligible_at=None if is_unknown else eligible_at,
        blocked_reason=reason,
        operation_id=operation_id,
    )
