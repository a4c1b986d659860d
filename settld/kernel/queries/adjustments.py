"""Reading corrections."""

from settld.core import rows
from settld.core.errors import NotFound
from settld.kernel.models import Adjustment


class AdjustmentNotFound(NotFound):
    """No such correction in the tenant."""

    message = "settlement adjustment not found"


def find(*, tenant_id: str, adjustment_id: str) -> Adjustment | None:
    """Give a correction, or None."""
    return rows.first(Adjustment, "tenant_id = %s AND adjustment_id = %s", [tenant_id, adjustment_id])


def get(*, tenant_id: str, adjustment_id: str) -> Adjustment:
    """Give a correction. Raises AdjustmentNotFound."""
    adjustment = find(tenant_id=tenant_id, adjustment_id=adjustment_id)
    if adjustment is None:
        raise AdjustmentNotFound()
    return adjustment
