"""The provider's objects as facts: basil and later shapes, and the legacy ones that an endpoint pinned to an
older version still sends (spec/checkout-billing.md 5.0). A wrong shape is a ShapeError, never a guess.
"""

from collections.abc import Mapping
from typing import Any, Final

from billing.provider_time import ProviderTime
from billing.providers import reading
from billing.providers.facts import (
    CustomerFacts,
    EventFacts,
    ItemFacts,
    PaymentLinkFacts,
    PaymentMethodFacts,
    PortalFacts,
    PriceFacts,
    SessionFacts,
    SubscriptionFacts,
)
from billing.providers.invoice_shapes import (
    invoice_correlation,
    invoice_facts,
    invoice_payment_facts,
    invoice_subscription_id,
    is_invoice_paid,
    payments_of,
)
from billing.providers.reading import ShapeError, id_of

__all__ = [
    "ShapeError",
    "cancels_at_period_end",
    "customer_facts",
    "event_facts",
    "id_of",
    "invoice_correlation",
    "invoice_facts",
    "invoice_payment_facts",
    "invoice_subscription_id",
    "is_invoice_paid",
    "payment_link_facts",
    "payment_method_facts",
    "payments_of",
    "period_end",
    "portal_facts",
    "price_facts",
    "session_facts",
    "subscription_facts",
]

SESSION_STATUSES: Final = frozenset({"open", "complete", "expired"})


def session_facts(value: Any) -> SessionFacts:
    """Read a checkout session; ShapeError without an id or a status that we know."""
    body = reading.object_of(value, "checkout.session")
    status = reading.required_text(body, "status")
    if status not in SESSION_STATUSES:
        raise ShapeError("a checkout session of unknown status")
    details = reading.members(body, "customer_details")
    return SessionFacts(
        id=reading.required_id(body),
        status=status,
        mode=reading.text(body, "mode") or "",
        created=reading.instant(body, "created"),
        expires_at=reading.instant(body, "expires_at"),
        url=reading.text(body, "url"),
        payment_status=reading.text(body, "payment_status"),
        customer_id=id_of(body.get("customer")),
        customer_email=reading.text(details, "email") or reading.text(body, "customer_email"),
        subscription_id=id_of(body.get("subscription")),
        invoice_id=id_of(body.get("invoice")),
        payment_intent_id=id_of(body.get("payment_intent")),
        payment_link_id=id_of(body.get("payment_link")),
        client_reference_id=reading.text(body, "client_reference_id"),
        amount_total=reading.whole(body, "amount_total"),
        currency=reading.currency(body),
        metadata=reading.labels(body),
    )


def subscription_facts(value: Any) -> SubscriptionFacts:
    """Read a subscription; the status is the provider's word, whatever it is."""
    body = reading.object_of(value, "subscription")
    return SubscriptionFacts(
        id=reading.required_id(body),
        status=reading.required_text(body, "status"),
        created=reading.required_instant(body, "created"),
        customer_id=reading.required_id(body, "customer"),
        current_period_end=period_end(body),
        trial_end=reading.instant(body, "trial_end"),
        cancel_at=reading.instant(body, "cancel_at"),
        canceled_at=reading.instant(body, "canceled_at"),
        ended_at=reading.instant(body, "ended_at"),
        cancel_at_period_end=cancels_at_period_end(body),
        latest_invoice_id=id_of(body.get("latest_invoice")),
        items=tuple(_item(row) for row in reading.rows(body, "items")),
        metadata=reading.labels(body),
    )


def period_end(subscription: Mapping[str, Any]) -> ProviderTime | None:
    """Give the earliest end of an item's period, or the legacy one of the whole subscription."""
    ends = [
        end
        for row in reading.rows(subscription, "items")
        if (end := reading.instant(row, "current_period_end")) is not None
    ]
    return min(ends) if ends else reading.instant(subscription, "current_period_end")


def cancels_at_period_end(subscription: Mapping[str, Any]) -> bool:
    """Tell whether it ends with its period: by its own word, or by a `cancel_at` no later than that.

    A subscription with flexible billing may say `cancel_at` only.
    """
    if reading.flag(subscription, "cancel_at_period_end"):
        return True
    cancel_at, end = reading.instant(subscription, "cancel_at"), period_end(subscription)
    return cancel_at is not None and end is not None and cancel_at <= end


def _item(row: Mapping[str, Any]) -> ItemFacts:
    price = reading.members(row, "price") if isinstance(row.get("price"), Mapping) else {}
    recurring = reading.members(price, "recurring")
    price_id = id_of(row.get("price")) or id_of(row.get("plan"))
    if price_id is None:
        raise ShapeError("a subscription item without a price")
    return ItemFacts(
        id=reading.required_id(row),
        price_id=price_id,
        product_id=id_of(price.get("product")),
        quantity=reading.whole(row, "quantity"),
        usage_type=reading.text(recurring, "usage_type") or "licensed",
        currency=reading.currency(price),
        unit_amount=reading.whole(price, "unit_amount"),
        interval=reading.text(recurring, "interval"),
        interval_count=reading.whole(recurring, "interval_count"),
        current_period_end=reading.instant(row, "current_period_end"),
        metadata=reading.labels(row),
    )


def price_facts(value: Any) -> PriceFacts:
    """Read a price, with its product's name when that is expanded."""
    body = reading.object_of(value, "price")
    recurring = reading.members(body, "recurring")
    product = body.get("product")
    return PriceFacts(
        id=reading.required_id(body),
        active=reading.flag(body, "active"),
        type=reading.required_text(body, "type"),
        currency=reading.required_currency(body),
        unit_amount=reading.whole(body, "unit_amount"),
        interval=reading.text(recurring, "interval"),
        interval_count=reading.whole(recurring, "interval_count"),
        usage_type=reading.text(recurring, "usage_type"),
        product_id=id_of(product),
        product_name=reading.text(product, "name") if isinstance(product, Mapping) else None,
        nickname=reading.text(body, "nickname"),
        metadata=reading.labels(body),
    )


def customer_facts(value: Any) -> CustomerFacts:
    """Read a customer, deleted ones included."""
    body = reading.object_of(value, "customer")
    return CustomerFacts(
        id=reading.required_id(body),
        is_deleted=reading.flag(body, "deleted"),
        email=reading.text(body, "email"),
        default_payment_method_id=id_of(
            reading.members(body, "invoice_settings").get("default_payment_method")
        ),
        created=reading.instant(body, "created"),
        metadata=reading.labels(body),
    )


def payment_method_facts(value: Any) -> PaymentMethodFacts:
    """Read a payment method; brand and last four digits of a card, a US bank account or a SEPA debit."""
    body = reading.object_of(value, "payment_method")
    kind = reading.required_text(body, "type")
    card = reading.members(body, "card") if kind == "card" else {}
    bank = reading.members(body, kind) if kind in ("us_bank_account", "sepa_debit") else {}
    bank_name = reading.text(bank, "bank_name" if kind == "us_bank_account" else "bank_code")
    return PaymentMethodFacts(
        id=reading.required_id(body),
        type=kind,
        customer_id=id_of(body.get("customer")),
        brand=reading.text(card, "brand") or bank_name,
        last4=reading.text(card, "last4") or reading.text(bank, "last4"),
        exp_month=reading.whole(card, "exp_month"),
        exp_year=reading.whole(card, "exp_year"),
        created=reading.instant(body, "created"),
        metadata=reading.labels(body),
    )


def portal_facts(value: Any) -> PortalFacts:
    """Read a portal session."""
    body = reading.object_of(value, "billing_portal.session")
    return PortalFacts(id=reading.required_id(body), url=reading.required_text(body, "url"))


def payment_link_facts(value: Any) -> PaymentLinkFacts:
    """Read a payment link."""
    body = reading.object_of(value, "payment_link")
    return PaymentLinkFacts(
        id=reading.required_id(body),
        url=reading.required_text(body, "url"),
        active=reading.flag(body, "active"),
        metadata=reading.labels(body),
    )


def event_facts(value: Any) -> EventFacts:
    """Read an event, stored or retrieved."""
    body = reading.object_of(value, "event")
    data = reading.members(body, "data")
    return EventFacts(
        id=reading.required_id(body),
        type=reading.required_text(body, "type"),
        created=reading.required_instant(body, "created"),
        livemode=reading.flag(body, "livemode"),
        api_version=reading.text(body, "api_version"),
        thing=reading.members(data, "object"),
        previous_attributes=reading.members(data, "previous_attributes"),
    )
