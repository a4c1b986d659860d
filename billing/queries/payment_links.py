"""The payment links of an entity."""

from typing import Final

from billing.models import BillableEntity, PaymentLink

MOST: Final = 100


def newest(entity: BillableEntity) -> list[PaymentLink]:
    """List the entity's links, the newest first, at most 100."""
    rows = PaymentLink.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity)
    return list(rows.order_by("-id")[:MOST])
