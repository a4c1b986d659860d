"""What an entity can pay with."""

from typing import Final

from billing.models import BillableEntity, PaymentMethod
from billing.states import PaymentMethodStatus

MOST: Final = 50


def usable(entity: BillableEntity) -> list[PaymentMethod]:
    """List the active methods of the entity's primary customer, the default first, the newest before others.

    Payers of payment links are no customers to charge, so theirs are never among them. At most 50.
    """
    rows = PaymentMethod.objects.filter(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        billing_customer__tenant_id=entity.tenant_id,
        billing_customer__is_primary=True,
        status=PaymentMethodStatus.ACTIVE,
    )
    return list(rows.order_by("-is_default", "-id")[:MOST])
