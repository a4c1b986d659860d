"""Rows on the wire: `id`, the columns of section 2 that are shown, the stamps; in camelCase (spec 7.1)."""

import datetime as dt
from typing import Any, Final

from billing.models import Plan, PlanPrice
from billing.services.snapshot import Snapshot
from billing.states import (
    BillingComponent,
    EntityStatus,
    EntityType,
    Interval,
    InvoiceStatus,
    PaymentMethodStatus,
    PaymentStatus,
    SubscriptionStatus,
    UsageType,
)
from settld.api import openapi
from settld.api.openapi import BOOL, INSTANT, OBJECT, TEXT, Schema, many, maybe, obj, one_of
from settld.core import clock

ID: Final[Schema] = {"type": "integer", "format": "int64"}
AMOUNT: Final[Schema] = ID | {"description": "minor units of the currency"}


def camel(name: str) -> str:
    """Write a column's name as the wire does."""
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)


class Row:
    """How a table's rows are written, and the description of that."""

    def __init__(self, **columns: Schema) -> None:
        self.columns = {"id": ID, **columns, "created_at": INSTANT, "updated_at": INSTANT}
        self.schema = obj({camel(name): schema for name, schema in self.columns.items()})

    def __call__(self, row: Any) -> dict[str, Any]:
        return {camel(name): _plain(getattr(row, name)) for name in self.columns}

    def all(self, rows: Any) -> list[dict[str, Any]]:
        """Write several."""
        return [self(row) for row in rows]


def _plain(value: Any) -> Any:
    return clock.iso(value) if isinstance(value, dt.datetime) else value


_OWNED: Final[dict[str, Schema]] = {"billable_entity_id": ID}
_MARK: Final[dict[str, Schema]] = {
    "metadata_json": OBJECT,
    "last_provider_event_created_at": maybe(INSTANT),
    "last_provider_event_id": maybe(TEXT),
}

billable_entity = Row(
    entity_type=one_of(*EntityType.values),
    entity_ref=maybe(TEXT),
    workspace_id=maybe(TEXT),
    owner_user_id=maybe(ID),
    status=one_of(*EntityStatus.values),
)
customer = Row(**_OWNED, provider=TEXT, provider_customer_id=TEXT, email=maybe(TEXT), metadata_json=OBJECT)
subscription = Row(
    **_OWNED,
    plan_id=ID,
    billing_customer_id=ID,
    provider=TEXT,
    provider_subscription_id=TEXT,
    status=one_of(*SubscriptionStatus.values),
    provider_subscription_created_at=INSTANT,
    current_period_end=maybe(INSTANT),
    trial_end=maybe(INSTANT),
    canceled_at=maybe(INSTANT),
    cancel_at_period_end=BOOL,
    ended_at=maybe(INSTANT),
    is_current=BOOL,
    **_MARK,
)
item = Row(
    subscription_id=ID,
    provider=TEXT,
    provider_subscription_item_id=TEXT,
    billing_plan_price_id=maybe(ID),
    billing_component=one_of(*BillingComponent.values),
    usage_type=one_of(*UsageType.values),
    quantity=maybe(ID),
    is_active=BOOL,
    **_MARK,
)
invoice = Row(
    subscription_id=maybe(ID),
    **_OWNED,
    billing_customer_id=ID,
    provider=TEXT,
    provider_invoice_id=TEXT,
    status=one_of(*InvoiceStatus.values),
    amount_due_minor=AMOUNT,
    amount_paid_minor=AMOUNT,
    amount_remaining_minor=AMOUNT,
    currency=TEXT,
    issued_at=maybe(INSTANT),
    due_at=maybe(INSTANT),
    paid_at=maybe(INSTANT),
    **_MARK,
)
payment = Row(
    invoice_id=ID,
    provider=TEXT,
    provider_payment_id=TEXT,
    type=TEXT,
    status=one_of(*PaymentStatus.values),
    amount_minor=AMOUNT,
    currency=TEXT,
    paid_at=maybe(INSTANT),
    **_MARK,
)
payment_method = Row(
    **_OWNED,
    billing_customer_id=ID,
    provider=TEXT,
    provider_payment_method_id=TEXT,
    type=TEXT,
    brand=maybe(TEXT),
    last4=maybe(TEXT),
    exp_month=maybe(openapi.INT),
    exp_year=maybe(openapi.INT),
    is_default=BOOL,
    status=one_of(*PaymentMethodStatus.values),
    last_provider_synced_at=maybe(INSTANT),
    metadata_json=OBJECT,
)
grant = Row(
    **_OWNED,
    principal_type=TEXT,
    principal_id=TEXT,
    can_read=BOOL,
    can_manage=BOOL,
    expires_at=maybe(INSTANT),
    revoked_at=maybe(INSTANT),
)
entitlement = Row(plan_id=ID, code=TEXT, schema_version=TEXT, value_json=openapi.ANY)
catalog_item = Row(
    provider=TEXT,
    provider_price_id=TEXT,
    name=TEXT,
    currency=TEXT,
    unit_amount_minor=AMOUNT,
    is_active=BOOL,
)

SNAPSHOT: Final = obj(
    {
        "billableEntity": billable_entity.schema,
        "subscription": maybe(subscription.schema),
        "customer": maybe(customer.schema),
        "items": many(item.schema),
        "invoices": many(invoice.schema),
        "payments": many(payment.schema),
    }
)


def snapshot(read: Snapshot) -> dict[str, Any]:
    """Write what an entity has, as GET /api/billing/subscription answers."""
    return {
        "billableEntity": billable_entity(read.entity),
        "subscription": subscription(read.subscription) if read.subscription else None,
        "customer": customer(read.customer) if read.customer else None,
        "items": item.all(read.items),
        "invoices": invoice.all(read.invoices),
        "payments": payment.all(read.payments),
    }


# --- Plans ----------------------------------------------------------------------------------------
CORE_PRICE: Final = obj(
    {
        "provider": TEXT,
        "providerPriceId": TEXT,
        "providerProductId": maybe(TEXT),
        "interval": one_of(*Interval.values),
        "intervalCount": openapi.INT,
        "currency": TEXT,
        "unitAmountMinor": AMOUNT,
    }
)
PLAN: Final = obj(
    {
        "id": ID,
        "code": TEXT,
        "name": TEXT,
        "description": maybe(TEXT),
        "appliesTo": TEXT,
        "corePrice": maybe(CORE_PRICE),
        "isActive": BOOL,
        "metadataJson": OBJECT,
        "createdAt": INSTANT,
        "updatedAt": INSTANT,
        "entitlements": many(entitlement.schema),
    }
)


def plan(row: Plan, *, core_price: PlanPrice | None) -> dict[str, Any]:
    """Write a plan with the price that it is sold at, and its entitlements."""
    return {
        "id": row.pk,
        "code": row.code,
        "name": row.name,
        "description": row.description,
        "appliesTo": row.applies_to,
        "corePrice": None if core_price is None else _core_price(core_price),
        "isActive": row.is_active,
        "metadataJson": row.metadata_json,
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
        "entitlements": entitlement.all(row.entitlements.all()),
    }


def _core_price(price: PlanPrice) -> dict[str, Any]:
    return {
        "provider": price.provider,
        "providerPriceId": price.provider_price_id,
        "providerProductId": price.provider_product_id,
        "interval": price.interval,
        "intervalCount": price.interval_count,
        "currency": price.currency,
        "unitAmountMinor": price.unit_amount_minor,
    }
