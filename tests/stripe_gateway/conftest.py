"""A scripted Stripe, a Stripe configuration pointed at it, and a registry of consumers of one's own."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from settld.core import clock
from settld.settings_parsing import Stripe
from settld.stripe_gateway import calls, circuit, consumers
from settld.stripe_gateway.states import Outcome
from tests.stripe_gateway.scripted_stripe import ScriptedStripe
from tests.stripe_gateway.signing import SECRET, signed

KEY = "sk_test_51NotARealKey0123456789"
PATH = "/api/billing/webhooks/stripe"


@pytest.fixture
def stripe_config(settings) -> Callable[..., Stripe]:
    """Change the Stripe settings for one test."""

    def configure(**changes: Any) -> Stripe:
        settings.STRIPE = dataclasses.replace(settings.STRIPE, **changes)
        return settings.STRIPE

    configure(secret_key=KEY, webhook_secrets=(SECRET,), pinned_api_version="", webhook_tolerance_seconds=300)
    return configure


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """Take the waiting out of retries, and see how long it would have been."""
    taken: list[float] = []
    monkeypatch.setattr(calls, "pause", taken.append)
    return taken


@pytest.fixture
def provider(stripe_config, pauses) -> Iterator[ScriptedStripe]:
    """A scripted Stripe that the client calls, its circuit closed."""
    server = ScriptedStripe()
    stripe_config(api_base_url=server.url)
    circuit.for_address(server.url).record_answer()
    yield server
    server.stop()


class RecordingConsumer:
    """Remembers what it was given; `misbehave` is raised instead of an answer."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.given: list[dict[str, Any]] = []
        self.answer: tuple[Outcome, str] = (Outcome.APPLIED, "noted")
        self.misbehave: Exception | None = None

    def __call__(self, event: Any) -> tuple[Outcome, str]:
        self.seen.append(event.provider_event_id)
        self.given.append(event.data_object)
        if self.misbehave is not None:
            raise self.misbehave
        return self.answer


@pytest.fixture
def register(monkeypatch) -> Callable[..., RecordingConsumer]:
    """Register consumers in an otherwise empty registry."""
    monkeypatch.setattr(consumers, "_consumers", {})

    def add(
        name: str = "rails",
        *event_types: str,
        inline: bool = False,
        is_on: Callable[[], bool] = consumers.always,
    ) -> RecordingConsumer:
        consumer = RecordingConsumer()
        wanted = event_types or ("transfer.created",)
        consumers.register(name=name, event_types=wanted, handler=consumer, inline=inline, is_on=is_on)
        return consumer

    return add


def event_body(event_id: str = "evt_1", **changes: Any) -> bytes:
    """The bytes of an event as Stripe sends it."""
    event = {
        "id": event_id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_790_000_000,
        "data": {"object": {"id": "tr_1", "object": "transfer", "amount": 100}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "transfer.created",
    } | changes
    return json.dumps(event, indent=2).encode()


@pytest.fixture
def deliver(client, stripe_config) -> Callable[..., Any]:
    """Post bytes to the intake, signed now unless a header is given."""

    def post(payload: bytes, *, header: str | None = None, **extra: Any) -> Any:
        signature = signed(payload, at=clock.now()) if header is None else header
        return client.post(
            PATH,
            data=payload,
            content_type="application/json",
            headers={"stripe-signature": signature} if signature else {},
            **extra,
        )

    return post
