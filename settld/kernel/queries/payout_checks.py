"""What must hold of payouts' references and money at any instant, as statements that give what is broken.

The invariant monitor runs them in one snapshot; an empty answer proves them. Each takes the tenant once.
"""

from dataclasses import dataclass
from typing import Any, Final

from django.db import connection


@dataclass(frozen=True, slots=True)
class Check:
    """One rule: its code, its words, and the statement that gives the operations that break it.

    The statement takes %(tenant_id)s and gives (operation_id, expected_cents, actual_cents).
    """

    code: str
    rule: str
    sql: str


REFERENCES_ADD_UP: Final = Check(
    code="PAYOUT_REFERENCES_ADD_UP",
    rule="the references of a payout add up to the amount that leaves over the rail",
    sql="""
SELECT reservation.operation_id, reservation.amount_cents, coalesce(sum(allocation.amount_cents), 0)::bigint
FROM payout_reservation reservation LEFT JOIN payout_allocation allocation
  ON allocation.tenant_id = reservation.tenant_id AND allocation.operation_id = reservation.operation_id
WHERE reservation.tenant_id = %(tenant_id)s
GROUP BY reservation.operation_id, reservation.amount_cents
HAVING coalesce(sum(allocation.amount_cents), 0) <> reservation.amount_cents
ORDER BY 1
""",
)
REFERENCES_FOLLOW_STATE: Final = Check(
    code="PAYOUT_REFERENCES_FOLLOW_STATE",
    rule="the references of a payout are free exactly when it was released",
    sql="""
SELECT reservation.operation_id, reservation.amount_cents,
  coalesce(sum(allocation.amount_cents) FILTER (WHERE allocation.released_at IS NULL), 0)::bigint
FROM payout_reservation reservation JOIN payout_allocation allocation
  ON allocation.tenant_id = reservation.tenant_id AND allocation.operation_id = reservation.operation_id
WHERE reservation.tenant_id = %(tenant_id)s
GROUP BY reservation.operation_id, reservation.amount_cents, reservation.state
HAVING bool_or((allocation.released_at IS NOT NULL) <> (reservation.state = 'released'))
ORDER BY 1
""",
)
MONEY_FOLLOWS_STATE: Final = Check(
    code="PAYOUT_MONEY_FOLLOWS_STATE",
    rule="a payout has taken its gross out of the wallet while it is reserved or committed, and nothing else",
    sql="""
SELECT * FROM (
  SELECT reservation.operation_id,
    CASE WHEN reservation.state IN ('reserved', 'committed')
      THEN reservation.amount_cents + reservation.recovery_cents ELSE 0 END AS expected,
    coalesce((SELECT -sum(posting.amount_cents) FROM ledger_posting posting
      WHERE posting.tenant_id = reservation.tenant_id AND posting.account_id LIKE 'wallet:%%'
        AND posting.entry_id IN ('payout_' || reservation.operation_id,
          'payout_return_' || reservation.operation_id, 'payout_recovery_' || reservation.operation_id,
          'payout_recovery_return_' || reservation.operation_id)), 0)::bigint AS actual
  FROM payout_reservation reservation WHERE reservation.tenant_id = %(tenant_id)s
) compared WHERE expected <> actual ORDER BY 1
""",
)
CASH_FOLLOWS_STATE: Final = Check(
    code="PAYOUT_CASH_FOLLOWS_STATE",
    rule="the general book says of a payout that its cash has left exactly while it is committed",
    sql="""
SELECT * FROM (
  SELECT reservation.operation_id,
    CASE reservation.state WHEN 'committed' THEN reservation.amount_cents ELSE 0 END AS expected,
    coalesce((SELECT -sum(posting.amount_cents) FROM ledger_posting posting
      WHERE posting.tenant_id = reservation.tenant_id
        AND posting.entry_id IN ('jnl_payout_' || reservation.operation_id,
          'jnl_payout_return_' || reservation.operation_id)
        AND posting.account_id = 'acct_cash'), 0)::bigint AS actual
  FROM payout_reservation reservation WHERE reservation.tenant_id = %(tenant_id)s
) compared WHERE expected <> actual ORDER BY 1
""",
)
CHECKS: Final = (REFERENCES_ADD_UP, REFERENCES_FOLLOW_STATE, MONEY_FOLLOWS_STATE, CASH_FOLLOWS_STATE)


def run(check: Check, *, tenant_id: str) -> list[tuple[Any, ...]]:
    """Give (operation_id, expected_cents, actual_cents) of each payout that breaks a rule."""
    with connection.cursor() as cursor:
        cursor.execute(check.sql, {"tenant_id": tenant_id})
        return list(cursor.fetchall())
