"""What must hold after every step, whatever happened in it; each query gives its breaches, best none.

They are written from the specification, not with the product's own sums.
"""

import dataclasses
import datetime as dt
from collections import Counter
from typing import Any

from tests.simulation.books import Books
from tests.simulation.provider import Provider

LONGEST_WAIT = dt.timedelta(hours=1, seconds=10)


class Broken(BaseException):
    """Something that must always hold does not; no handler of the product's may turn it into an answer."""


# Each part gives (what, where). Spec: money-rails 2.1, 3.1, 3.4, 4, 9.
_EVERYWHERE = """
WITH exposure AS (
  SELECT tenant_id, provider_mode, to_char(initiated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day_key,
    sum(amount_cents)::bigint AS cents, count(*) AS operations
  FROM money_rail_operation
  WHERE direction = 'payout' AND state IN ('initiated', 'submitted', 'confirmed') GROUP BY 1, 2, 3
),
debt AS (
  SELECT tenant_id, party_id, currency, provider_mode, sum(CASE kind WHEN 'reversal' THEN amount_cents
    WHEN 'release' THEN amount_cents ELSE -amount_cents END)::bigint AS cents
  FROM chargeback_entry GROUP BY 1, 2, 3, 4
),
repaid AS (
  SELECT reversal_id, sum(CASE kind WHEN 'release' THEN -amount_cents ELSE amount_cents END)::bigint AS cents
  FROM chargeback_entry WHERE reversal_id IS NOT NULL GROUP BY 1
)
SELECT 'exposure counter differs from its sum' AS what,
  concat_ws(' ', tenant_id, provider_mode, day_key, c.amount_cents, e.cents) AS at
FROM exposure_counter c FULL JOIN exposure e USING (tenant_id, provider_mode, day_key)
WHERE (coalesce(c.amount_cents, 0), coalesce(c.operation_count, 0))
   <> (coalesce(e.cents, 0), coalesce(e.operations, 0))
UNION ALL
SELECT 'debt differs from its entries, or is negative',
  concat_ws(' ', tenant_id, party_id, provider_mode, b.outstanding_cents, d.cents)
FROM party_balance b FULL JOIN debt d USING (tenant_id, party_id, currency, provider_mode)
WHERE coalesce(b.outstanding_cents, 0) <> coalesce(d.cents, 0) OR coalesce(d.cents, 0) < 0
UNION ALL
SELECT 'a reversal was repaid more than once, or less than nothing',
  concat_ws(' ', e.tenant_id, e.party_id, r.cents)
FROM repaid r JOIN chargeback_entry e ON e.id = r.reversal_id WHERE r.cents > e.amount_cents OR r.cents < 0
UNION ALL
SELECT 'a payout withheld other than it says', o.operation_id FROM money_rail_operation o
LEFT JOIN LATERAL (SELECT coalesce(sum(amount_cents), 0) AS cents FROM chargeback_entry e
  WHERE e.tenant_id = o.tenant_id AND e.payout_key = o.payout_key AND e.kind = 'recovery') w ON true
WHERE w.cents <> o.recovery_applied_cents
UNION ALL
SELECT 'a called-off payout still repays', o.operation_id FROM money_rail_operation o
WHERE o.state IN ('failed', 'cancelled', 'reversed') AND o.recovery_applied_cents > 0
  AND o.recovery_applied_cents <> (SELECT coalesce(sum(amount_cents), 0) FROM chargeback_entry e
    WHERE e.tenant_id = o.tenant_id AND e.payout_key = o.payout_key AND e.kind = 'release')
UNION ALL
SELECT 'a reversed payout without its debt, or a debt without reversal', o.operation_id
FROM money_rail_operation o LEFT JOIN chargeback_entry e ON e.operation_id = o.id AND e.kind = 'reversal'
WHERE (o.state = 'reversed') <> (e.id IS NOT NULL) OR e.amount_cents <> o.amount_cents
UNION ALL
SELECT 'movements do not match the state ' || o.state, o.operation_id FROM money_rail_operation o
LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE kind = 'transfer') AS transfers,
    count(*) FILTER (WHERE kind = 'return') AS returns,
    count(*) FILTER (WHERE kind = 'reversal') AS reversals,
    count(*) FILTER (WHERE amount_cents <> o.amount_cents) AS other_amounts
  FROM movement m WHERE m.operation_id = o.id) m ON true
WHERE m.transfers <> (o.submitted_at IS NOT NULL)::int OR m.other_amounts > 0
  OR m.reversals <> (o.state = 'reversed')::int
  OR m.returns <> (o.submitted_at IS NOT NULL AND o.state IN ('failed', 'cancelled'))::int
UNION ALL
SELECT 'a movement without a statement behind it', m.id::text FROM movement m
WHERE NOT EXISTS (SELECT 1 FROM party_statement s WHERE s.tenant_id = m.tenant_id AND m.reference_id =
  s.tenant_id || ':party:' || s.party_id || ':period:' || s.period || ':statement:' || s.statement_hash)
UNION ALL
SELECT 'two open attempts', operation_id::text FROM dispatch_attempt
WHERE status IN ('dispatching', 'in_doubt', 'indeterminate') GROUP BY operation_id HAVING count(*) > 1
UNION ALL
SELECT 'an open attempt that nobody will look at: ' || a.status, o.operation_id
FROM dispatch_attempt a JOIN money_rail_operation o ON o.id = a.operation_id
WHERE a.status IN ('dispatching', 'in_doubt') AND (a.next_check_at IS NULL OR a.next_check_at > %s)
UNION ALL
SELECT 'an open attempt of an operation that is ' || o.state, o.operation_id
FROM dispatch_attempt a JOIN money_rail_operation o ON o.id = a.operation_id
WHERE a.status IN ('dispatching', 'in_doubt', 'indeterminate') AND o.state <> 'initiated'
UNION ALL
SELECT 'a submission audited twice', target_id FROM ops_audit
WHERE action = 'MONEY_RAIL_OPERATION_SUBMITTED' GROUP BY target_id HAVING count(*) > 1
UNION ALL
SELECT 'a settled attempt whose submission nobody audited', o.operation_id
FROM dispatch_attempt a JOIN money_rail_operation o ON o.id = a.operation_id
WHERE a.status = 'succeeded' AND NOT EXISTS (SELECT 1 FROM ops_audit u
  WHERE u.action = 'MONEY_RAIL_OPERATION_SUBMITTED' AND u.target_id = o.operation_id)
UNION ALL
SELECT 'two live payouts of one party and period', concat_ws(' ', tenant_id, party_id, period)
FROM money_rail_operation WHERE state NOT IN ('failed', 'cancelled')
GROUP BY tenant_id, party_id, period HAVING count(*) > 1
UNION ALL
SELECT 'a payout without an instruction', o.operation_id FROM money_rail_operation o
WHERE NOT EXISTS (SELECT 1 FROM artifact a WHERE a.tenant_id = o.tenant_id
  AND a.artifact_type = 'PayoutInstruction.v1' AND a.payout_key = o.payout_key)
UNION ALL
SELECT 'a row of one tenant hangs on another tenant''s', o.operation_id FROM money_rail_operation o
WHERE EXISTS (SELECT 1 FROM movement x WHERE x.operation_id = o.id AND x.tenant_id <> o.tenant_id)
  OR EXISTS (SELECT 1 FROM dispatch_attempt x WHERE x.operation_id = o.id AND x.tenant_id <> o.tenant_id)
  OR EXISTS (SELECT 1 FROM provider_event x WHERE x.operation_id = o.id AND x.tenant_id <> o.tenant_id)
  OR EXISTS (SELECT 1 FROM chargeback_entry x WHERE x.operation_id = o.id AND x.tenant_id <> o.tenant_id)
  OR EXISTS (SELECT 1 FROM payout_outcome x WHERE x.operation_id = o.id AND x.tenant_id <> o.tenant_id)
UNION ALL
SELECT 'a lease that nobody takes back', dedupe_key FROM outbox_job
WHERE status = 'leased' AND lease_expires_at > %s
"""
_EXPOSURE = """
SELECT tenant_id, provider_mode, to_char(initiated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day_key,
  sum(amount_cents)::bigint AS cents, max(amount_cents) AS largest
FROM money_rail_operation
WHERE direction = 'payout' AND state IN ('initiated', 'submitted', 'confirmed') GROUP BY 1, 2, 3
"""
_CONTROLS = """
SELECT tenant_id, payout_kill_switch OR NOT real_money_enabled AS is_stopped, payout_kill_switch,
  max_payout_amount_cents, daily_payout_limit_cents FROM money_rail_controls
"""
_MOVED = """
SELECT m.kind, m.provider_ref, m.amount_cents, o.operation_id, o.state FROM movement m
JOIN money_rail_operation o ON o.id = m.operation_id
WHERE o.provider_mode = 'production' AND o.provider_id LIKE 'stripe%%'
"""
_OPEN = """
SELECT o.operation_id FROM dispatch_attempt a JOIN money_rail_operation o ON o.id = a.operation_id
WHERE a.status IN ('dispatching', 'in_doubt', 'indeterminate')
"""


@dataclasses.dataclass
class Checks:
    """Remembers how things stood before a step, to tell what the step did."""

    books: Books
    provider: Provider
    exposure: dict[tuple[str, str, str], tuple[int, int]] = dataclasses.field(default_factory=dict)
    operations: int = 0

    def all(self, *, now: dt.datetime) -> None:
        """Raise Broken with the first breaches that are found."""
        breaches = self.books.rows(_EVERYWHERE, now + LONGEST_WAIT, now + LONGEST_WAIT)
        if breaches:
            raise Broken("; ".join(f"{row['what']}: {row['at']}" for row in breaches[:5]))
        self._caps()
        self._provider()

    def _caps(self) -> None:
        """Exposure never grows beyond a cap; it may stand above one that was lowered afterwards."""
        controls = {row["tenant_id"]: row for row in self.books.rows(_CONTROLS)}
        found = {
            (row["tenant_id"], row["provider_mode"], row["day_key"]): (int(row["cents"]), int(row["largest"]))
            for row in self.books.rows(_EXPOSURE)
        }
        for key, (cents, largest) in found.items():
            before, before_largest = self.exposure.get(key, (0, 0))
            rules = controls.get(key[0])
            if rules is None or cents <= before:
                continue
            limit, cap = rules["daily_payout_limit_cents"], rules["max_payout_amount_cents"]
            if limit and cents > limit:
                raise Broken(f"exposure of {key} grew to {cents}, above its limit of {limit}")
            if cap and largest > max(cap, before_largest):
                raise Broken(f"a payout of {largest} in {key} is above the cap of {cap}")
        self.exposure = found

    def _provider(self) -> None:
        """What left us is what the provider has, and each payout left once."""
        transfers = self.provider.transfers()
        ours = [row for row in transfers if row["id"] not in self.provider.foreign]
        twice = [name for name, count in Counter(row["operation"] for row in ours).items() if count > 1]
        if twice:
            raise Broken(f"paid twice: {twice[0]}")
        by_id = {row["id"]: row for row in transfers}
        moved = self.books.rows(_MOVED)
        for row in moved:
            transfer = by_id.get(row["provider_ref"])
            if transfer is None:
                raise Broken(f"a movement without a transfer: {row['operation_id']} {row['provider_ref']}")
            if transfer["amount"] != row["amount_cents"]:
                raise Broken(f"a movement of another amount than its transfer: {row['operation_id']}")
            if row["kind"] == "reversal" and transfer["reversed"] != transfer["amount"]:
                raise Broken(f"a reversal that the provider does not know: {row['operation_id']}")
        recorded = {row["provider_ref"] for row in moved if row["kind"] == "transfer"}
        known = {row["operation_id"] for row in moved}
        unrecorded = {row["operation"] for row in ours if row["id"] not in recorded}
        being_found = {row["operation_id"] for row in self.books.rows(_OPEN)} if unrecorded else set()
        for operation in unrecorded - being_found:
            # Somebody else's transfer of exactly this payout may have settled it while ours was on its way.
            if operation not in known or not self._settled_by_another(operation, moved):
                raise Broken(f"money left and nobody is finding out: {operation}")

    def _settled_by_another(self, operation: str, moved: list[dict[str, Any]]) -> bool:
        refs = {row["provider_ref"] for row in moved if row["operation_id"] == operation}
        return bool(refs & self.provider.foreign)

    def stopped(self) -> dict[str, bool]:
        """Tell which tenants' payouts are stopped as committed now."""
        return {row["tenant_id"]: row["is_stopped"] for row in self.books.rows(_CONTROLS)}
