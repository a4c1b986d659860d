"""From a receipt or an adjustment forward to the payout that paid it."""

from dataclasses import dataclass

from moneyrails.models import Operation
from ops_console import words
from ops_console.payouts.listing import href_of
from settld.kernel.models import PayoutAllocation


@dataclass(frozen=True)
class PaidBy:
    """A payout that rests on some kernel object."""

    ref_id: str
    text: str
    href: str
    state: str
    tone: str


def payouts_of(*, tenant_id: str, ref_ids: list[str]) -> dict[str, PaidBy]:
    """Find the live payout of each reference, in two queries; what went into debt has no operation."""
    live = PayoutAllocation.objects.filter(
        tenant_id=tenant_id, ref_id__in=ref_ids, released_at__isnull=True
    ).values_list("ref_id", "operation_id")
    by_ref = dict(live)
    operations = {
        row.operation_id: row
        for row in Operation.objects.filter(tenant_id=tenant_id, operation_id__in=set(by_ref.values()))
    }
    return {ref_id: _paid(ref_id, name, operations.get(name)) for ref_id, name in by_ref.items()}


def _paid(ref_id: str, name: str, operation: Operation | None) -> PaidBy:
    if operation is None:
        return PaidBy(ref_id, f"Withheld for debt: {words.payout_subject(name)}", "", "", "warn")
    return PaidBy(
        ref_id,
        f"{operation.party_id} {operation.period}",
        href_of(operation),
        words.STATE_LABELS[operation.state],
        words.STATE_TONES[operation.state],
    )
