"""What the escrow book says was held over a month."""

from dataclasses import dataclass, fields
from typing import Any, Final

from django.db import connection

from settld.kernel.queries.payables import month_bounds

# The kept balances of days give what stood before the month and at its end; the postings of the month say how
# one became the other. The two are written apart, so each checks the other.
_STANDING: Final = """
SELECT currency, sum(opening)::text, sum(ending)::text, bool_or(ending < 0) FROM (
  SELECT account_id, currency,
    coalesce(sum(amount_cents) FILTER (WHERE bucket < %(first_day)s), 0) AS opening,
    sum(amount_cents) AS ending
  FROM ledger_balance
  WHERE tenant_id = %(tenant_id)s AND bucket <> '' AND bucket < %(next_day)s
    AND account_id LIKE '%%:escrow_locked'
  GROUP BY account_id, currency
) own GROUP BY currency
"""
_MOVED: Final = """
SELECT p.currency,
  coalesce(sum(p.amount_cents) FILTER (WHERE e.memo LIKE 'escrow:hold:%%'), 0)::text,
  coalesce(-sum(p.amount_cents) FILTER (WHERE e.memo LIKE 'escrow:release:%%'), 0)::text,
  coalesce(-sum(p.amount_cents) FILTER (WHERE e.memo LIKE 'escrow:forfeit:%%'), 0)::text,
  coalesce(sum(p.amount_cents) FILTER (WHERE NOT e.is_known AND p.amount_cents > 0), 0)::text,
  coalesce(-sum(p.amount_cents) FILTER (WHERE NOT e.is_known AND p.amount_cents < 0), 0)::text,
  count(*)
FROM ledger_posting p
JOIN (SELECT entry_id, memo, (memo LIKE 'escrow:hold:%%' OR memo LIKE 'escrow:release:%%'
        OR memo LIKE 'escrow:forfeit:%%') AS is_known
      FROM ledger_entry WHERE tenant_id = %(tenant_id)s AND book = 'escrow' AND period = %(period)s
      OFFSET 0) e ON e.entry_id = p.entry_id
WHERE p.tenant_id = %(tenant_id)s AND p.book = 'escrow' AND p.period = %(period)s
  AND p.account_id LIKE '%%:escrow_locked'
GROUP BY p.currency
"""


@dataclass(slots=True)
class EscrowWindow:
    """One currency's escrow over a month, in cents; releases and forfeits count what left as positive."""

    opening_held_cents: int = 0
    new_locks_cents: int = 0
    releases_cents: int = 0
    forfeits_cents: int = 0
    unknown_positive_adjustments_cents: int = 0
    unknown_negative_adjustments_cents: int = 0
    ending_held_cents: int = 0
    escrow_posting_count: int = 0
    has_negative_account: bool = False

    @property
    def computed_ending_cents(self) -> int:
        """Add up the classified movements from the opening."""
        return (
            self.opening_held_cents
            + self.new_locks_cents
            - self.releases_cents
            - self.forfeits_cents
            + self.unknown_positive_adjustments_cents
            - self.unknown_negative_adjustments_cents
        )

    def as_json(self) -> dict[str, Any]:
        """Shape it as `ledgerEscrow`."""
        return {
            _camel(column.name): getattr(self, column.name)
            for column in fields(self)
            if column.name != "has_negative_account"
        }


def read(*, tenant_id: str, month: str) -> dict[str, EscrowWindow]:
    """Give the escrow of a month by currency; US dollars always."""
    starts_at, ends_at = month_bounds(month)
    parameters = {
        "tenant_id": tenant_id,
        "period": month,
        "first_day": starts_at.strftime("%Y-%m-%d"),
        "next_day": ends_at.strftime("%Y-%m-%d"),
    }
    found: dict[str, EscrowWindow] = {"USD": EscrowWindow()}
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, parameters)
        for currency, opening, ending, is_negative in cursor.fetchall():
            own = found.setdefault(currency, EscrowWindow())
            own.opening_held_cents, own.ending_held_cents = int(opening), int(ending)
            own.has_negative_account = is_negative
        cursor.execute(_MOVED, parameters)
        for currency, locks, releases, forfeits, positive, negative, count in cursor.fetchall():
            own = found.setdefault(currency, EscrowWindow())
            own.new_locks_cents, own.releases_cents, own.forfeits_cents = (
                int(locks),
                int(releases),
                int(forfeits),
            )
            own.unknown_positive_adjustments_cents = int(positive)
            own.unknown_negative_adjustments_cents = int(negative)
            own.escrow_posting_count = count
    return found


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)
