"""What parties owe, and which reversals are still open."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from moneyrails.models import ChargebackEntry, Operation
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
    rows = with_open_cents(ChargebackEntry.objects.filter(**account.filter())).filter(open_cents__gt=0)
    return [OpenReversal(row, row.open_cents) for row in rows]


def with_open_cents(rows: "QuerySet[ChargebackEntry]") -> "QuerySet[Any]":
    """Narrow entries to reversals, each with what it still has open, in the order of repayment."""
    repaid = Sum("repayments__amount_cents", filter=Q(repayments__kind__in=["recovery", "adjustment"]))
    released = Sum("repayments__amount_cents", filter=Q(repayments__kind="release"))
    return (
        rows.filter(kind=EntryKind.REVERSAL)
        .annotate(open_cents=F("amount_cents") - Coalesce(repaid, 0) + Coalesce(released, 0))
        .order_by("operation__reversed_at", "operation__operation_id")
    )


def operation_of_party(*, tenant_id: str, party_id: str, operation_id: str) -> Operation | None:
    """Find a party's payout by its id, at whichever provider: the id follows from the payout key."""
    found = Operation.objects.filter(tenant_id=tenant_id, party_id=party_id, operation_id=operation_id)
    return found.order_by("provider_id").first()


def reversal_of(operation: Operation) -> OpenReversal:
    """Give a reversed operation's reversal; hold the balance lock to act on it."""
    rows = ChargebackEntry.objects.filter(tenant_id=operation.tenant_id, operation=operation)
    row = with_open_cents(rows).select_related("operation").get()
    return OpenReversal(row, row.open_cents)
