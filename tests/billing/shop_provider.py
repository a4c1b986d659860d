"""A provider of portals, payment links, prices and payment methods, scripted where a test wants it.

It keeps keys as the real one does, refuses to be called inside a transaction or without a key, and keeps
what it was asked.
"""

from collections import defaultdict, deque
from typing import Any

import pytest

from billing.provider_time import ProviderTime
from billing.providers import base, shapes
from billing.providers.errors import Category
from billing.providers.facts import Answer, Listing, PaymentLinkFacts, PortalFacts, PriceFacts
from settld.core.transactions import require_no_transaction
from tests.billing import factories, payloads
from tests.billing.checkout_provider import problem

NOW_SECONDS = int(factories.NOW.timestamp())


def price(price_id: str = "price_once", **more: Any) -> PriceFacts:
    """A one-time price of 15 dollars."""
    values: dict[str, Any] = {
        "id": price_id,
        "active": True,
        "type": "one_time",
        "currency": "USD",
        "unit_amount": 1_500,
        "interval": None,
        "interval_count": None,
        "usage_type": None,
        "product_id": "prod_1",
        "product_name": None,
        "nickname": None,
        "metadata": {},
    }
    return PriceFacts(**(values | more))


class ShopProvider:
    """What it made by key; `script[verb]` is what the next calls of a verb end in instead."""

    name = "stripe"
    sdk_name = "stripe-python"
    sdk_version = "16.1.0"
    api_version = "2026-10-28.endive"

    def __init__(self) -> None:
        self.script: dict[str, deque[Exception]] = defaultdict(deque)
        self.calls: list[tuple[str, Any, str]] = []
        self.saved: dict[str, Any] = {}
        self.prices: dict[str, PriceFacts] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.customers: dict[str, dict[str, Any]] = {}
        self.methods: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.clock = NOW_SECONDS
        self.before_answer: Any = None

    def will(self, verb: str, *outcomes: Exception) -> None:
        self.script[verb] = deque(outcomes)

    def made(self, verb: str) -> list[Any]:
        """The parameters of every call of a verb, replays included."""
        return [params for called, params, _ in self.calls if called == verb]

    def keys(self, verb: str) -> list[str]:
        return [key for called, _, key in self.calls if called == verb]

    def _answer(self, facts: Any, *, is_replayed: bool = False) -> Answer[Any]:
        return Answer(facts=facts, raw={}, provider_time=ProviderTime(self.clock), is_replayed=is_replayed)

    def _asked(self, verb: str, params: Any = None, key: str = "") -> None:
        require_no_transaction()
        self.calls.append((verb, params, key))
        if self.script[verb]:
            raise self.script[verb].popleft()

    def _create(self, verb: str, params: Any, key: str, make: Any) -> Answer[Any]:
        assert key, "a write needs a key"
        self._asked(verb, params, key)
        is_replayed = key in self.saved
        if is_replayed and self.saved[key][0] != params:
            raise problem(Category.INVALID_REQUEST, 400, provider_type="idempotency_error")
        if not is_replayed:
            self.saved[key] = (params, make(len(self.saved) + 1))
        if self.before_answer is not None:
            self.before_answer(verb)
        return self._answer(self.saved[key][1], is_replayed=is_replayed)

    def create_portal_session(self, params: Any, *, idempotency_key: str, profile: str = "request") -> Any:
        def make(number: int) -> PortalFacts:
            return PortalFacts(f"bps_{number}", f"https://portal.example.com/bps_{number}")

        return self._create("portal", dict(params), idempotency_key, make)

    def create_price(self, params: Any, *, idempotency_key: str, profile: str = "request") -> Any:
        def make(number: int) -> PriceFacts:
            made = price(f"price_made_{number}", unit_amount=params["unit_amount"])
            self.prices[made.id] = made
            return made

        return self._create("price", dict(params), idempotency_key, make)

    def create_payment_link(self, params: Any, *, idempotency_key: str, profile: str = "request") -> Any:
        def make(number: int) -> PaymentLinkFacts:
            url = f"https://buy.example.com/plink_{number}"
            return PaymentLinkFacts(f"plink_{number}", url, True, dict(params["metadata"]))

        return self._create("link", dict(params), idempotency_key, make)

    def update_payment_link(
        self, payment_link_id: str, *, active: bool, idempotency_key: str, profile: str = "request"
    ) -> Any:
        def make(number: int) -> PaymentLinkFacts:
            return PaymentLinkFacts(payment_link_id, "https://buy.example.com/x", active, {})

        return self._create("switch", (payment_link_id, active), idempotency_key, make)

    def retrieve_price(self, price_id: str, *, profile: str = "request") -> Any:
        self._asked("read price", price_id)
        if price_id not in self.prices:
            raise problem(Category.NOT_FOUND, 404, provider_code="resource_missing")
        return self._answer(self.prices[price_id])

    def retrieve_checkout_session(self, session_id: str, *, profile: str = "request") -> Any:
        self._asked("read session", session_id)
        return self._answer(shapes.session_facts(self.sessions[session_id]))

    def hold_customer(self, customer_id: str = "cus_1", *methods: dict[str, Any], **more: Any) -> None:
        self.customers[customer_id] = payloads.customer(customer_id, **more)
        self.methods[customer_id] = list(methods)

    def retrieve_customer(self, customer_id: str, *, profile: str = "request") -> Any:
        self._asked("read customer", customer_id)
        return self._answer(shapes.customer_facts(self.customers[customer_id]))

    def list_customer_payment_methods(self, customer_id: str, *, profile: str = "request") -> Any:
        self._asked("list methods", customer_id)
        items = tuple(self._answer(shapes.payment_method_facts(row)) for row in self.methods[customer_id])
        return Listing(items=items, provider_time=ProviderTime(self.clock))


@pytest.fixture
def shop(monkeypatch) -> ShopProvider:
    """The deployment's provider is a fake."""
    fake = ShopProvider()
    monkeypatch.setattr(base, "named", lambda name: fake)
    return fake
