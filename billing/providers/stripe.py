"""Stripe behind the provider's contract (spec/checkout-billing.md 5.0, 5.6); base.py says what each gives."""

from collections.abc import Mapping
from typing import Any, Final, cast

import stripe
from django.conf import settings

from billing.provider_time import ProviderTime
from billing.providers import calls, shapes
from billing.providers.base import Params
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
from settld.stripe_gateway.calls import Endpoint
from settld.stripe_gateway.profiles import Profile

SESSIONS: Final = "/v1/checkout/sessions"


class StripeProvider:
    """The adapter; it holds no state, the gateway keeps the clients."""

    name = "stripe"
    sdk_name = "stripe-python"
    sdk_version = stripe.VERSION

    @property
    def api_version(self) -> str:
        return str(settings.STRIPE.pinned_api_version)

    def create_checkout_session(
        self, params: Params, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[SessionFacts]:
        options = _keyed(idempotency_key)
        return calls.one(
            Endpoint(path=SESSIONS, label=f"POST {SESSIONS}"),
            lambda c: c.v1.checkout.sessions.create(_plain(params), options),
            shapes.session_facts,
            profile=profile,
        )

    def retrieve_checkout_session(
        self, session_id: str, *, profile: Profile = "request"
    ) -> Answer[SessionFacts]:
        return calls.one(
            Endpoint(path=f"{SESSIONS}/{session_id}", label=f"GET {SESSIONS}/{{id}}"),
            lambda c: c.v1.checkout.sessions.retrieve(_id(session_id)),
            shapes.session_facts,
            profile=profile,
        )

    def list_checkout_sessions_by_operation_key(
        self,
        operation_key: str,
        *,
        client_reference_id: str,
        created_from: ProviderTime,
        created_to: ProviderTime,
        profile: Profile = "request",
    ) -> tuple[Answer[SessionFacts], ...]:
        span = {"created": {"gte": created_from.seconds, "lte": created_to.seconds}}

        def is_ours(row: Mapping[str, Any]) -> bool:
            metadata = row.get("metadata")
            return (
                isinstance(metadata, Mapping)
                and metadata.get("operation_key") == operation_key
                and row.get("client_reference_id") == client_reference_id
            )

        return calls.matching(
            _sessions("by time"), _list_sessions, span, is_ours, shapes.session_facts, profile=profile
        )

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
        whose = _given(subscription=subscription, payment_link=payment_link, customer=customer)
        if not whose:
            raise ValueError("name a subscription, a payment link or a customer")
        params = whose | _given(status=status) | _since(created_from)
        return calls.every(
            _sessions("/".join(whose)), _list_sessions, params, shapes.session_facts, profile=profile
        )

    def expire_checkout_session(
        self, session_id: str, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[SessionFacts]:
        options = _keyed(idempotency_key)
        return calls.one(
            Endpoint(path=f"{SESSIONS}/{session_id}/expire", label=f"POST {SESSIONS}/{{id}}/expire"),
            lambda c: c.v1.checkout.sessions.expire(_id(session_id), {}, options),
            shapes.session_facts,
            profile=profile,
        )

    def create_portal_session(
        self, params: Params, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[PortalFacts]:
        options = _keyed(idempotency_key)
        return calls.one(
            Endpoint(path="/v1/billing_portal/sessions", label="POST /v1/billing_portal/sessions"),
            lambda c: c.v1.billing_portal.sessions.create(_plain(params), options),
            shapes.portal_facts,
            profile=profile,
        )

    def create_payment_link(
        self, params: Params, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[PaymentLinkFacts]:
        options = _keyed(idempotency_key)
        return calls.one(
            Endpoint(path="/v1/payment_links", label="POST /v1/payment_links"),
            lambda c: c.v1.payment_links.create(_plain(params), options),
            shapes.payment_link_facts,
            profile=profile,
        )

    def update_payment_link(
        self, payment_link_id: str, *, active: bool, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[PaymentLinkFacts]:
        options = _keyed(idempotency_key)
        return calls.one(
            Endpoint(path=f"/v1/payment_links/{payment_link_id}", label="POST /v1/payment_links/{id}"),
            lambda c: c.v1.payment_links.update(_id(payment_link_id), {"active": active}, options),
            shapes.payment_link_facts,
            profile=profile,
        )

    def create_price(
        self, params: Params, *, idempotency_key: str, profile: Profile = "request"
    ) -> Answer[PriceFacts]:
        options = _keyed(idempotency_key)
        return calls.one(
            Endpoint(path="/v1/prices", label="POST /v1/prices"),
            lambda c: c.v1.prices.create(_plain(params), options),
            shapes.price_facts,
            profile=profile,
        )

    def retrieve_price(self, price_id: str, *, profile: Profile = "request") -> Answer[PriceFacts]:
        return calls.one(
            Endpoint(path=f"/v1/prices/{price_id}", label="GET /v1/prices/{id}"),
            lambda c: c.v1.prices.retrieve(_id(price_id), {"expand": ["product"]}),
            shapes.price_facts,
            profile=profile,
        )

    def list_prices(
        self, *, active: bool | None = True, limit: int = 100, profile: Profile = "request"
    ) -> Listing[PriceFacts]:
        params: dict[str, Any] = {"limit": limit, "expand": ["data.product"]}
        if active is not None:
            params["active"] = active
        return calls.first_page(
            Endpoint(path="/v1/prices", label="GET /v1/prices"),
            lambda c: c.v1.prices.list(cast(Any, params)),
            shapes.price_facts,
            profile=profile,
        )

    def retrieve_subscription(
        self, subscription_id: str, *, profile: Profile = "request"
    ) -> Answer[SubscriptionFacts]:
        return calls.one(
            Endpoint(path=f"/v1/subscriptions/{subscription_id}", label="GET /v1/subscriptions/{id}"),
            lambda c: c.v1.subscriptions.retrieve(_id(subscription_id)),
            shapes.subscription_facts,
            profile=profile,
        )

    def list_subscriptions(
        self, *, customer: str, status: str = "all", profile: Profile = "request"
    ) -> Listing[SubscriptionFacts]:
        return calls.every(
            Endpoint(path="/v1/subscriptions", label="GET /v1/subscriptions"),
            lambda c, params: c.v1.subscriptions.list(cast(Any, params)),
            {"customer": _id(customer), "status": status},
            shapes.subscription_facts,
            profile=profile,
        )

    def cancel_subscription(
        self,
        subscription_id: str,
        *,
        idempotency_key: str,
        invoice_now: bool = False,
        prorate: bool = False,
        profile: Profile = "request",
    ) -> Answer[SubscriptionFacts]:
        options = _keyed(idempotency_key)
        return calls.one(
            Endpoint(path=f"/v1/subscriptions/{subscription_id}", label="DELETE /v1/subscriptions/{id}"),
            lambda c: c.v1.subscriptions.cancel(
                _id(subscription_id), {"invoice_now": invoice_now, "prorate": prorate}, options
            ),
            shapes.subscription_facts,
            profile=profile,
        )

    def retrieve_invoice(self, invoice_id: str, *, profile: Profile = "request") -> Answer[InvoiceFacts]:
        return calls.one(
            Endpoint(path=f"/v1/invoices/{invoice_id}", label="GET /v1/invoices/{id}"),
            lambda c: c.v1.invoices.retrieve(_id(invoice_id), {"expand": ["payments"]}),
            shapes.invoice_facts,
            profile=profile,
        )

    def list_invoices(
        self,
        *,
        customer: str | None = None,
        subscription: str | None = None,
        created_from: ProviderTime | None = None,
        profile: Profile = "request",
    ) -> Listing[InvoiceFacts]:
        params = _given(customer=customer, subscription=subscription) | _since(created_from)
        return calls.every(
            Endpoint(path="/v1/invoices", label="GET /v1/invoices"),
            lambda c, asked: c.v1.invoices.list(cast(Any, asked)),
            params | {"expand": ["data.payments"]},
            shapes.invoice_facts,
            profile=profile,
        )

    def retrieve_customer(self, customer_id: str, *, profile: Profile = "request") -> Answer[CustomerFacts]:
        return calls.one(
            Endpoint(path=f"/v1/customers/{customer_id}", label="GET /v1/customers/{id}"),
            lambda c: c.v1.customers.retrieve(_id(customer_id)),
            shapes.customer_facts,
            profile=profile,
        )

    def list_customer_payment_methods(
        self, customer_id: str, *, profile: Profile = "request"
    ) -> Listing[PaymentMethodFacts]:
        return calls.every(
            Endpoint(
                path=f"/v1/customers/{customer_id}/payment_methods",
                label="GET /v1/customers/{id}/payment_methods",
            ),
            lambda c, params: c.v1.customers.payment_methods.list(_id(customer_id), cast(Any, params)),
            {},
            shapes.payment_method_facts,
            profile=profile,
        )

    def retrieve_event(self, event_id: str, *, profile: Profile = "request") -> Answer[EventFacts]:
        return calls.one(
            Endpoint(path=f"/v1/events/{event_id}", label="GET /v1/events/{id}"),
            lambda c: c.v1.events.retrieve(_id(event_id)),
            shapes.event_facts,
            profile=profile,
        )


def _list_sessions(client: stripe.StripeClient, params: dict[str, Any]) -> Any:
    return client.v1.checkout.sessions.list(cast(Any, params))


def _sessions(manner: str) -> Endpoint:
    return Endpoint(path=SESSIONS, label=f"GET {SESSIONS} ({manner})")


def _plain(params: Params) -> Any:
    """Give the parameters as the SDK takes them; it copies nothing that it would change."""
    return dict(params)


def _keyed(idempotency_key: str) -> stripe.RequestOptions:
    """Give the options of a write; ValueError without a key, before anything is sent."""
    calls.require_key(idempotency_key)
    return {"idempotency_key": idempotency_key}


def _id(value: str) -> str:
    """Refuse an empty id: the request would go to the list instead."""
    if not value:
        raise ValueError("an id is needed")
    return value


def _given(**params: str | None) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value}


def _since(created_from: ProviderTime | None) -> dict[str, Any]:
    return {"created": {"gte": created_from.seconds}} if created_from is not None else {}
