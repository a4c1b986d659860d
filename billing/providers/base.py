"""What checkout billing asks of a payment provider; which one a deployment has is a setting.

Every method refuses to run inside a transaction (RuntimeError), and either gives a usable answer or raises
ProviderProblem. What writes takes an idempotency key and refuses to send without one (ValueError).
`profile` is `request` while somebody waits and `worker` otherwise: a shorter limit of time, fewer sends.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from django.conf import settings

from billing.provider_time import ProviderTime
from billing.providers.facts import (
    Answer,
    CustomerFacts,
    EventFacts,
    InvoiceFacts,
    Listing,
    PaymentLinkFacts,
    PaymentMethodFacts,
    PortalFacts,
    PriceFacts,
    SessionFacts,
    SubscriptionFacts,
)
from settld.stripe_gateway.profiles import Profile

Params = Mapping[str, Any]


class ProviderUnknown(LookupError):
    """No adapter of that name."""


class Provider(Protocol):
    """The adapter's contract (spec 5.6); a system check compares the active adapter with it."""

    name: str
    sdk_name: str
    sdk_version: str

    @property
    def api_version(self) -> str:
        """Give the version of the provider's interface that every request names."""

    # Checkout sessions
    def create_checkout_session(
        self, params: Params, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[SessionFacts]:
        """Make a session, or repeat the answer saved under this key (`is_replayed`)."""

    def retrieve_checkout_session(
        self, session_id: str, *, profile: Profile = "request"
    ) -> Answer[SessionFacts]:
        """Read one session as it is now."""

    def list_checkout_sessions_by_operation_key(
        self,
        operation_key: str,
        *,
        client_reference_id: str,
        created_from: ProviderTime,
        created_to: ProviderTime,
        profile: Profile = "request",
    ) -> tuple[Answer[SessionFacts], ...]:
        """Find the sessions of one operation among all that were created in a span, both ends included.

        All pages or ProviderProblem, never a part. Both the key in the metadata and the reference match.
        """

    def list_checkout_sessions(
        self,
        *,
        subscription: str | None = None,
        payment_link: str | None = None,
        customer: str | None = None,
        status: str | None = None,
        created_from: ProviderTime | None = None,
        profile: Profile = "request",
    ) -> Listing[SessionFacts]:
        """List the sessions of a subscription, a payment link or a customer; one of them must be named."""

    def expire_checkout_session(
        self, session_id: str, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[SessionFacts]:
        """End an open session; ProviderProblem (a rejection) when it is not open any more."""

    # Portal and payment links
    def create_portal_session(
        self, params: Params, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[PortalFacts]:
        """Make a portal session."""

    def create_payment_link(
        self, params: Params, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[PaymentLinkFacts]:
        """Make a payment link."""

    def update_payment_link(
        self, payment_link_id: str, *, active: bool, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[PaymentLinkFacts]:
        """Let a link take money, or no more."""

    # Prices
    def create_price(
        self, params: Params, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[PriceFacts]:
        """Make a price."""

    def retrieve_price(self, price_id: str, *, profile: Profile = "request") -> Answer[PriceFacts]:
        """Read one price, its product expanded."""

    def list_prices(
        self, *, active: bool | None = True, limit: int = 100, profile: Profile = "request"
    ) -> Listing[PriceFacts]:
        """List the newest prices, at most `limit` (1 to 100), products expanded; None lists both kinds."""

    # Subscriptions
    def retrieve_subscription(
        self, subscription_id: str, *, profile: Profile = "request"
    ) -> Answer[SubscriptionFacts]:
        """Read one subscription as it is now, ended ones included."""

    def list_subscriptions(
        self, *, customer: str, status: str = "all", profile: Profile = "request"
    ) -> Listing[SubscriptionFacts]:
        """List every subscription of a customer, of one status or of all."""

    def cancel_subscription(
        self,
        subscription_id: str,
        *,
        idempotency_key: str,
        invoice_now: bool = False,
        prorate: bool = False,
        profile: Profile = "request",
    ) -> Answer[SubscriptionFacts]:
        """End a subscription at once; `is_missing` when it has ended already.

        The provider ignores the key of this request: asking twice ends it once anyway.
        """

    # Invoices, customers, payment methods, events
    def retrieve_invoice(self, invoice_id: str, *, profile: Profile = "request") -> Answer[InvoiceFacts]:
        """Read one invoice, its payments expanded."""

    def list_invoices(
        self,
        *,
        customer: str | None = None,
        subscription: str | None = None,
        created_from: ProviderTime | None = None,
        profile: Profile = "request",
    ) -> Listing[InvoiceFacts]:
        """List every invoice since an instant, payments expanded; a customer or subscription narrows it."""

    def retrieve_customer(self, customer_id: str, *, profile: Profile = "request") -> Answer[CustomerFacts]:
        """Read one customer; a deleted one answers with `is_deleted`."""

    def list_customer_payment_methods(
        self, customer_id: str, *, profile: Profile = "request"
    ) -> Listing[PaymentMethodFacts]:
        """List every payment method of a customer, of all types."""

    def retrieve_event(self, event_id: str, *, profile: Profile = "request") -> Answer[EventFacts]:
        """Read one event; the provider keeps them for 30 days."""


def active() -> Provider:
    """Give the deployment's provider."""
    return named(settings.BILLING.provider)


def named(name: str) -> Provider:
    """Give a provider by its name; ProviderUnknown for none."""
    from billing.providers.stripe import StripeProvider

    if name != StripeProvider.name:
        raise ProviderUnknown(name)
    return StripeProvider()
