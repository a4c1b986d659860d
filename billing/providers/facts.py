"""What we take from the provider's objects: typed, with the provider's clock, in words of our own.

Amounts are whole minor units; currencies have three capital letters; a missing id is an empty text where
the object always has it in principle, and None where it may well have none.
"""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from billing.provider_time import ProviderTime
from settld.stripe_gateway.replies import Attempt

F = TypeVar("F")
Labels = dict[str, str]


@dataclass(frozen=True)
class Answer(Generic[F]):
    """One object as the provider has it at `provider_time`, its clock when it answered.

    `is_replayed`: a saved answer to an earlier request with this key, which may be outdated.
    """

    facts: F
    raw: dict[str, Any] = field(repr=False)
    provider_time: ProviderTime
    is_replayed: bool = False
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Listing(Generic[F]):
    """Every object of a list, all pages; `provider_time` is the clock of the first page, the oldest."""

    items: tuple[Answer[F], ...]
    provider_time: ProviderTime


@dataclass(frozen=True)
class SessionFacts:
    """A checkout session; `status` is open, complete or expired."""

    id: str
    status: str
    mode: str
    created: ProviderTime | None
    expires_at: ProviderTime | None
    url: str | None
    payment_status: str | None
    customer_id: str | None
    customer_email: str | None
    subscription_id: str | None
    invoice_id: str | None
    payment_intent_id: str | None
    payment_link_id: str | None
    client_reference_id: str | None
    amount_total: int | None
    currency: str | None
    metadata: Labels

    @property
    def operation_key(self) -> str | None:
        """Give the key of the operation that made it."""
        return self.metadata.get("operation_key") or None

    @property
    def billable_entity_id(self) -> str | None:
        """Give the entity that it says it belongs to, as text."""
        return self.metadata.get("billable_entity_id") or None


@dataclass(frozen=True)
class ItemFacts:
    """One line of a subscription."""

    id: str
    price_id: str
    product_id: str | None
    quantity: int | None
    usage_type: str
    currency: str | None
    unit_amount: int | None
    interval: str | None
    interval_count: int | None
    current_period_end: ProviderTime | None
    metadata: Labels


@dataclass(frozen=True)
class SubscriptionFacts:
    """A subscription; `status` is the provider's word, which may be one that we do not know."""

    id: str
    status: str
    created: ProviderTime
    customer_id: str
    current_period_end: ProviderTime | None
    trial_end: ProviderTime | None
    cancel_at: ProviderTime | None
    canceled_at: ProviderTime | None
    ended_at: ProviderTime | None
    cancel_at_period_end: bool
    latest_invoice_id: str | None
    items: tuple[ItemFacts, ...]
    metadata: Labels

    @property
    def operation_key(self) -> str | None:
        """Give the key of the operation that made it."""
        return self.metadata.get("operation_key") or None

    @property
    def billable_entity_id(self) -> str | None:
        """Give the entity that it says it belongs to, as text."""
        return self.metadata.get("billable_entity_id") or None


@dataclass(frozen=True)
class PaymentFacts:
    """One payment towards an invoice; `kind` is payment_intent, charge or payment_record."""

    id: str
    kind: str
    status: str
    amount: int | None
    paid_at: ProviderTime | None


@dataclass(frozen=True)
class InvoiceFacts:
    """An invoice; `metadata` is that of its subscription where it has one, else its own."""

    id: str
    status: str
    is_paid: bool
    created: ProviderTime | None
    customer_id: str | None
    subscription_id: str | None
    amount_due: int
    amount_paid: int
    amount_remaining: int
    currency: str
    issued_at: ProviderTime | None
    due_at: ProviderTime | None
    paid_at: ProviderTime | None
    payments: tuple[PaymentFacts, ...]
    metadata: Labels

    @property
    def operation_key(self) -> str | None:
        """Give the key of the operation that led to it."""
        return self.metadata.get("operation_key") or None

    @property
    def billable_entity_id(self) -> str | None:
        """Give the entity that it says it belongs to, as text."""
        return self.metadata.get("billable_entity_id") or None

    @property
    def payment_id(self) -> str | None:
        """Give the real id of its payment: the paid one before others; None when the object tells none."""
        ranked = sorted(self.payments, key=lambda payment: payment.status != "paid")
        return ranked[0].id if ranked else None


@dataclass(frozen=True)
class InvoicePaymentFacts:
    """The object of an `invoice_payment.*` event: which payment settled which invoice."""

    id: str
    invoice_id: str
    currency: str | None
    created: ProviderTime | None
    payment: PaymentFacts | None


@dataclass(frozen=True)
class PriceFacts:
    """A price; `type` is recurring or one_time, `unit_amount` None when it is no whole number."""

    id: str
    active: bool
    type: str
    currency: str
    unit_amount: int | None
    interval: str | None
    interval_count: int | None
    usage_type: str | None
    product_id: str | None
    product_name: str | None
    nickname: str | None
    metadata: Labels


@dataclass(frozen=True)
class CustomerFacts:
    """A customer; of a deleted one only the id is known."""

    id: str
    is_deleted: bool
    email: str | None
    default_payment_method_id: str | None
    created: ProviderTime | None
    metadata: Labels

    @property
    def billable_entity_id(self) -> str | None:
        """Give the entity that it says it belongs to, as text."""
        return self.metadata.get("billable_entity_id") or None


@dataclass(frozen=True)
class PaymentMethodFacts:
    """A way to pay; `brand` is a card's brand or a bank's name or code."""

    id: str
    type: str
    customer_id: str | None
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    created: ProviderTime | None
    metadata: Labels


@dataclass(frozen=True)
class PortalFacts:
    """A portal session: where to send the person."""

    id: str
    url: str


@dataclass(frozen=True)
class PaymentLinkFacts:
    """A payment link and whether it still takes money."""

    id: str
    url: str
    active: bool
    metadata: Labels


@dataclass(frozen=True)
class EventFacts:
    """A provider event; `thing` is the object that it is about, as it was then."""

    id: str
    type: str
    created: ProviderTime
    livemode: bool
    api_version: str | None
    thing: dict[str, Any] = field(repr=False)
    previous_attributes: dict[str, Any] = field(repr=False)
