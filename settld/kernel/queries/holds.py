"""Reading funding holds."""

from django.db.models import QuerySet

from settld.core import rows
from settld.core.errors import NotFound
from settld.kernel.models import FundingHold
from settld.kernel.states import HoldStatus


class HoldNotFound(NotFound):
    """No such hold in the tenant."""

    message = "funding hold not found"


def get(*, tenant_id: str, hold_hash: str) -> FundingHold:
    """Give a hold. Raises HoldNotFound."""
    hold = rows.first(FundingHold, "tenant_id = %s AND hold_hash = %s", [tenant_id, hold_hash])
    if hold is None:
        raise HoldNotFound()
    return hold


def listing(
    *, tenant_id: str, agreement_hash: str | None = None, status: HoldStatus | None = None
) -> QuerySet[FundingHold]:
    """List holds, the newest first."""
    found = FundingHold.objects.filter(tenant_id=tenant_id)
    if agreement_hash is not None:
        found = found.filter(agreement_hash=agreement_hash)
    if status is not None:
        found = found.filter(status=status)
    return found.order_by("-created_at", "-hold_hash")
