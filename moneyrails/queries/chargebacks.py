"""What parties owe, and which reversals are still open."""

from dataclasses import dataclass

from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from moneyrails.models import ChargebackEntry
from moneyrails.states import EntryKind


@dataclass(frozen=True)
class Account:
    """Whose debt: one party, one currency, one mode."""

    tenant_id: str
    party_id: str
    currency: str
    provider_mode: str

    def filter(self) -> dict[str, str]:
        """Give the columns that name it."""
        return dict(vars(self))


@dataclass(frozen=True)
class OpenReversal:
    """A reversal that is not repaid yet."""

    entry: ChargebackEntry
    open_cents: int


def open_reversals(account: Account) -> list[OpenReversal]:
    """List a party's unpaid reversals, oldest first; hold the balance lock to act on them."""
    repaid = Sum("repayments__amount_cents", filter=Q(repayments__kind__in=["recovery", "adjustment"]))
    released = Sum("repayments__amount_cents", filter=Q(repayments__kind="release"))
    rows = (
        ChargebackEntry.objects.filter(kind=EntryKind.REVERSAL, **account.filter())
        .annotate(open_cents=F("amount_cents") - Coalesce(repaid, 0) + Coalesce(released, 0))
        .filter(open_cents__gt=0)
        .order_by("operation__reversed_at", "operation__operation_id")
    )
    return [OpenReversal(row, row.open_cents) for row in rows]
