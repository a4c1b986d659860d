"""What was paid out for a period already; the answer to closing's question (finance spec 5.3)."""

from typing import Final

from django.db import connection

# A payout that went into the debt entirely has no operation, and no currency of its own: rails pay one.
_LIVE: Final = """
SELECT party_id, currency, sum(cents)::bigint FROM (
  SELECT party_id, currency, amount_cents + recovery_applied_cents AS cents FROM money_rail_operation
  WHERE tenant_id = %(tenant_id)s AND period = %(period)s
    AND direction = 'payout' AND state NOT IN ('failed', 'cancelled')
  UNION ALL
  SELECT party_id, 'USD', (response->'chargeback'->>'payoutAmountGrossCents')::bigint FROM payout_outcome
  WHERE tenant_id = %(tenant_id)s AND period = %(period)s AND kind = 'offset'
) live GROUP BY party_id, currency
"""


def live_payouts(*, tenant_id: str, period: str) -> dict[tuple[str, str], int]:
    """Sum up in gross cents what is neither failed nor cancelled, by party and currency.

    A reversed payout counts: what it paid stays paid for its period, and its debt is booked apart.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LIVE, {"tenant_id": tenant_id, "period": period})
        return {(party_id, currency): int(cents) for party_id, currency, cents in cursor.fetchall()}
