"""Reading receipts of money that came in, and what was taken back of it."""

from django.db.models import F, Sum

from settld.core import rows
from settld.core.errors import NotFound
from settld.kernel.models import Adjustment, FundingReceipt
from settld.kernel.states import AdjustmentKind


class FundingReceiptNotFound(NotFound):
    """No such receipt in the tenant."""

    message = "funding receipt not found"


def get(*, tenant_id: str, receipt_id: str) -> FundingReceipt:
    """Give a receipt. Raises FundingReceiptNotFound."""
    receipt = rows.first(FundingReceipt, "tenant_id = %s AND receipt_id = %s", [tenant_id, receipt_id])
    if receipt is None:
        raise FundingReceiptNotFound()
    return receipt


def reversed_cents(receipt: FundingReceipt) -> int:
    """Give how much of a receipt has been reversed, what could not be taken included."""
    reversals = Adjustment.objects.filter(
        tenant_id=receipt.tenant_id,
        agent_id=receipt.agent_id,
        kind=AdjustmentKind.FUNDING_REVERSAL,
        body__sourceRef__id=receipt.receipt_id,
    )
    total = reversals.aggregate(cents=Sum(F("amount_cents") + F("shortfall_cents")))["cents"]
    return int(total or 0)


def shortfall_cents(*, tenant_id: str, agent_id: str, currency: str) -> int:
    """Give what corrections could not take from an agent: the only way in which it can owe anything."""
    found = Adjustment.objects.filter(tenant_id=tenant_id, agent_id=agent_id, currency=currency)
    return int(found.aggregate(cents=Sum("shortfall_cents"))["cents"] or 0)
