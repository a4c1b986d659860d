"""What must hold of payouts: their references, their money, the sum at risk and debts."""

from typing import Final

from reconciliation.invariants.kinds import Invariant, Sweep
from reconciliation.states import Severity
from settld.kernel.queries import payout_checks
from settld.kernel.queries.payout_checks import Check

RESERVATIONS: Final = Sweep(
    keys="SELECT operation_id AS key FROM payout_reservation WHERE tenant_id = %(tenant_id)s"
)
PAYOUTS: Final = Sweep(
    keys="""SELECT payout_key AS key FROM money_rail_operation
      WHERE tenant_id = %(tenant_id)s AND direction = 'payout'""",
    newest="""SELECT operation.payout_key AS key FROM movement
      JOIN money_rail_operation AS operation
        ON operation.tenant_id = movement.tenant_id AND operation.id = movement.operation_id
      WHERE movement.tenant_id = %(tenant_id)s AND movement.kind = 'transfer'
        AND movement.provider_mode = 'production' AND movement.recorded_at >= %(since)s
      ORDER BY movement.recorded_at DESC""",
)
COUNTERS: Final = Sweep(
    keys="""SELECT provider_mode || ' ' || day_key AS key FROM exposure_counter
      WHERE tenant_id = %(tenant_id)s""",
    newest="""SELECT mode || ' ' || day AS key FROM unnest(ARRAY['production', 'sandbox']) AS mode,
      unnest(ARRAY[%(today)s::text, %(yesterday)s::text]) AS day""",
    batch=4,
)
PARTIES: Final = Sweep(keys="SELECT party_id AS key FROM party_balance WHERE tenant_id = %(tenant_id)s")
_OWN: Final = "reservation.tenant_id = %(tenant_id)s"
_NARROWED: Final = f"{_OWN} AND reservation.operation_id IN (SELECT key FROM subject)"  # noqa: S608


def _of_reservations(check: Check, *, name: str, advice: str) -> Invariant:
    """Take over a check of the kernel's, looked at part by part and with its columns named."""
    if check.sql.count(_OWN) != 1:
        raise ValueError(f"{check.code} does not name its tenant once")
    return Invariant(
        name=name,
        severity=Severity.CRITICAL,
        means=f"{check.rule[0].upper()}{check.rule[1:]}.",
        advice=advice,
        sweep=RESERVATIONS,
        sql=f"""SELECT operation_id AS key, expected_cents, actual_cents
FROM ({check.sql.replace(_OWN, _NARROWED)}) AS broken (operation_id, expected_cents, actual_cents)
ORDER BY operation_id LIMIT %(limit)s""",  # noqa: S608
    )


REFERENCES_ADD_UP: Final = _of_reservations(
    payout_checks.REFERENCES_ADD_UP,
    name="payout_references_add_up",
    advice="Open the payout and compare its references with its amount; if it has left, the difference has no"
    " reason and must be agreed with the party.",
)
REFERENCES_FOLLOW: Final = _of_reservations(
    payout_checks.REFERENCES_FOLLOW_STATE,
    name="payout_references_follow_state",
    advice="A reference that is free although its payout lives can be paid twice: let nothing leave before it"
    " is taken again.",
)
MONEY_FOLLOWS: Final = _of_reservations(
    payout_checks.MONEY_FOLLOWS_STATE,
    name="payout_money_follows_state",
    advice="Compare the payee's wallet entries with the payout's state.",
)
CASH_FOLLOWS: Final = _of_reservations(
    payout_checks.CASH_FOLLOWS_STATE,
    name="payout_cash_follows_state",
    advice="Compare the general book's entries of the payout with its state.",
)
MOVEMENT_REFERENCES: Final = Invariant(
    name="movement_has_references",
    severity=Severity.CRITICAL,
    means="Every transfer of real money names the statement that it pays, and where the books derived that"
    " statement, kernel objects are given to this payout.",
    advice="Find out in the payout's audit who sent it and what for; take it back at the provider when there"
    " is no reason for it.",
    sweep=PAYOUTS,
    sql="""SELECT key, operation_id, problem FROM (
  SELECT subject.key, operation.operation_id,
    CASE
      WHEN transfer.reference_type = '' OR transfer.reference_id = '' THEN 'names nothing'
      WHEN stated.source IS NULL THEN 'names no statement'
      WHEN stated.source = 'derived' AND NOT EXISTS (
        SELECT FROM payout_allocation AS given WHERE given.tenant_id = operation.tenant_id
          AND given.operation_id = operation.operation_id) THEN 'rests on nothing'
    END AS problem
  FROM subject JOIN money_rail_operation AS operation ON operation.tenant_id = %(tenant_id)s
    AND operation.direction = 'payout' AND operation.payout_key = subject.key
  JOIN movement AS transfer ON transfer.tenant_id = operation.tenant_id
    AND transfer.operation_id = operation.id AND transfer.kind = 'transfer'
    AND transfer.provider_mode = 'production'
  LEFT JOIN LATERAL (
    SELECT statement.source FROM party_statement AS statement
    WHERE statement.tenant_id = operation.tenant_id AND statement.party_id = operation.party_id
      AND statement.period = operation.period AND statement.statement_hash = operation.statement_hash
    LIMIT 1
  ) AS stated ON true
) AS found WHERE problem IS NOT NULL ORDER BY key, operation_id LIMIT %(limit)s""",
)
EXPOSURE: Final = Invariant(
    name="exposure_counter_equals_payouts",
    severity=Severity.HIGH,
    means="The sum at risk that is kept for a day is the sum of that day's open payouts.",
    advice="The daily cap rests on it. Compare the day's payouts with the counter, and find what moved one"
    " without the other.",
    sweep=COUNTERS,
    sql="""SELECT key, difference_cents, difference_count FROM (
  SELECT subject.key,
    (coalesce(kept.amount_cents, 0) - coalesce(real.cents, 0))::bigint AS difference_cents,
    (coalesce(kept.operation_count, 0) - coalesce(real.number, 0))::bigint AS difference_count
  FROM subject
  LEFT JOIN exposure_counter AS kept ON kept.tenant_id = %(tenant_id)s
    AND kept.provider_mode = split_part(subject.key, ' ', 1)
    AND kept.day_key = split_part(subject.key, ' ', 2)
  LEFT JOIN LATERAL (
    SELECT sum(operation.amount_cents) AS cents, count(*) AS number FROM money_rail_operation AS operation
    WHERE operation.tenant_id = %(tenant_id)s AND operation.direction = 'payout'
      AND operation.state IN ('confirmed', 'initiated', 'submitted')
      AND operation.provider_mode = split_part(subject.key, ' ', 1)
      AND operation.initiated_at >= (split_part(subject.key, ' ', 2) || 'T00:00:00Z')::timestamptz
      AND operation.initiated_at
        < (split_part(subject.key, ' ', 2) || 'T00:00:00Z')::timestamptz + interval '1 day'
  ) AS real ON true
) AS found WHERE difference_cents <> 0 OR difference_count <> 0 ORDER BY key LIMIT %(limit)s""",
)
DEBT: Final = Invariant(
    name="party_debt_equals_entries",
    severity=Severity.CRITICAL,
    means="What a party is said to owe is the sum of its reversals, recoveries, releases and adjustments.",
    advice="What is withheld from the next payout rests on it: compare the party's ledger in Chargebacks.",
    sweep=PARTIES,
    sql="""SELECT subject.key, own.currency, own.provider_mode,
  (own.outstanding_cents - coalesce(entries.cents, 0))::bigint AS difference_cents,
  (own.entry_count - entries.number)::bigint AS difference_count
FROM subject JOIN party_balance AS own
  ON own.tenant_id = %(tenant_id)s AND own.party_id = subject.key
CROSS JOIN LATERAL (
  SELECT sum(CASE WHEN entry.kind IN ('reversal', 'release') THEN entry.amount_cents
    ELSE -entry.amount_cents END) AS cents, count(*) AS number
  FROM chargeback_entry AS entry WHERE entry.tenant_id = own.tenant_id AND entry.party_id = own.party_id
    AND entry.currency = own.currency AND entry.provider_mode = own.provider_mode
) AS entries
WHERE own.outstanding_cents <> coalesce(entries.cents, 0) OR own.entry_count <> entries.number
ORDER BY subject.key, own.currency, own.provider_mode LIMIT %(limit)s""",
)
ALL: Final = (
    REFERENCES_ADD_UP,
    REFERENCES_FOLLOW,
    MONEY_FOLLOWS,
    CASH_FOLLOWS,
    MOVEMENT_REFERENCES,
    EXPOSURE,
    DEBT,
)
