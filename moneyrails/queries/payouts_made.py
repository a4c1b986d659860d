"""What was paid out for a party's period already; the answer to closing's question (finance spec 5.3)."""

from typing import Final

from django.db import connection

# A payout that went into the debt entirely has no operation, and no currency of its own: rails pay one.
_LIVE: Final = """
SELECT sum(cents)::bigint FROM (
  SELECT amount_cents + recovery_applied_cents AS cents FROM money_rail_operation
  WHERE tenant_id = %(tenant_id)s AND party_id = %(party_id)s AND period = %(period)s
    AND currency = %(currency)s AND direction = 'payout' AND state NOT IN ('failed', 'cancelled')
  UNION ALL
  SELECT (response->'chargeback'->>'payoutAmountGrossCents')::bigint FROM payout_outcome
  WHERE tenant_id = %(tenant_id)s AND party_id = %(party_id)s AND period = %(period)s
    AND kind = 'offset' AND %(currency)s = 'USD'
) live
"""


def live_payout_cents(*, tenant_id: str, party_id: str, currency: str, period: str) -> int | None:
    """Sum up in gross cents what is neither failed nor cancelled; None when there is none.

    A reversed payout counts: what it paid stays paid for its period, and its debt is booked apart.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _LIVE,
            {"tenant_id": tenant_id, "party_id": party_id, "period": period, "currency": currency},
        )
        cents = cursor.fetchone()[0]
    return None if cents is None else int(cents)
