"""What a client asks of a checkout, with its defaults written out, and what the provider is asked for it."""

from dataclasses import dataclass
from typing import Any

from billing.models import BillableEntity, BillingRequest, Customer, Plan, PlanPrice
from billing.services import creations
from billing.states import Flow


@dataclass(frozen=True)
class OneOff:
    """One thing bought once; the amount is of one unit, in minor units of the currency."""

    name: str
    amount_minor: int
    quantity: int
    currency: str


@dataclass(frozen=True)
class CheckoutOrder:
    """A valid request for a checkout; either a plan or a one-off thing, by its flow."""

    flow: Flow
    success_path: str
    cancel_path: str
    plan_code: str | None = None
    one_off: OneOff | None = None

    def normalized(self) -> dict[str, Any]:
        """Give the request as it is fingerprinted and stored; what the flow does not use is left out."""
        what: dict[str, Any] = {"planCode": self.plan_code}
        if self.one_off is not None:
            what = {
                "oneOff": {
                    "name": self.one_off.name,
                    "amountMinor": self.one_off.amount_minor,
                    "quantity": self.one_off.quantity,
                    "currency": self.one_off.currency,
                }
            }
        paths = {"successPath": self.success_path, "cancelPath": self.cancel_path}
        return {"checkoutType": self.flow.value, **what, **paths}


@dataclass(frozen=True)
class Offer:
    """The plan that is sold and its price."""

    plan: Plan
    price: PlanPrice


def params(
    order: CheckoutOrder,
    *,
    entity: BillableEntity,
    request: BillingRequest,
    offer: Offer | None,
    customer: Customer | None,
    expires_at: int,
) -> dict[str, Any]:
    """Build what the provider is asked (5.2); `offer` is there for a subscription, `expires_at` in seconds.

    Everything that leads back to us is in the metadata, of the session and of what it will make.
    """
    metadata = {
        "operation_key": request.operation_key,
        "billable_entity_id": str(entity.pk),
        "idempotency_row_id": str(request.pk),
        "checkout_type": order.flow.value,
        "checkout_flow": order.flow.value,
    }
    if offer is not None:
        metadata |= {"plan_code": offer.plan.code, "plan_version": str(offer.plan.version)}
    common = {
        "success_url": creations.absolute(order.success_path),
        "cancel_url": creations.absolute(order.cancel_path),
        "client_reference_id": str(entity.pk),
        "metadata": metadata,
        "expires_at": expires_at,
    }
    if customer is not None:
        common["customer"] = customer.provider_customer_id
    if offer is not None:
        return common | _subscription(offer, metadata)
    if order.one_off is None:
        raise ValueError("an order is for a plan or for a one-off thing")
    return common | _payment(order.one_off, metadata, has_customer=customer is not None)


def _subscription(offer: Offer, metadata: dict[str, str]) -> dict[str, Any]:
    return {
        "mode": "subscription",
        "line_items": [{"price": offer.price.provider_price_id, "quantity": 1}],
        "subscription_data": {"metadata": metadata},
    }


def _payment(what: OneOff, metadata: dict[str, str], *, has_customer: bool) -> dict[str, Any]:
    price = {
        "currency": what.currency.lower(),
        "unit_amount": what.amount_minor,
        "product_data": {"name": what.name},
    }
    payment: dict[str, Any] = {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": what.quantity}],
        "invoice_creation": {"enabled": True, "invoice_data": {"metadata": metadata}},
    }
    return payment if has_customer else payment | {"customer_creation": "always"}
