"""A provider that keeps keys as the real one does and says what a test scripts.

It refuses to be called inside a transaction, as the adapter does, and keeps what it was asked.
"""

import dataclasses
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from billing.provider_time import ProviderTime
from billing.providers import base
from billing.providers.errors import Category, ProviderProblem
from billing.providers.facts import Answer, SessionFacts
from settld.core.transactions import require_no_transaction
from settld.stripe_gateway.replies import Attempt
from tests.billing import factories

NOW_SECONDS = int(factories.NOW.timestamp())
Outcome = Exception | Callable[[], Any]


def facts(**more: Any) -> SessionFacts:
    """An open subscription session, as a provider would tell it."""
    values: dict[str, Any] = {
        "id": "cs_1",
        "status": "open",
        "mode": "subscription",
        "created": ProviderTime(NOW_SECONDS),
        "expires_at": ProviderTime(NOW_SECONDS + 86_400),
        "url": "https://pay.example.com/cs_1",
        "payment_status": "unpaid",
        "customer_id": None,
        "customer_email": None,
        "subscription_id": None,
        "invoice_id": None,
        "payment_intent_id": None,
        "payment_link_id": None,
        "client_reference_id": None,
        "amount_total": 4_900,
        "currency": "USD",
        "metadata": {},
    }
    return SessionFacts(**(values | more))


def problem(
    category: Category, status: int | None = None, *, chain: tuple[int | None, ...] = (), **more: Any
) -> ProviderProblem:
    """What the adapter raises; `chain` are the statuses of the requests before the last one."""
    is_sent = not more.get("is_local") and more.get("provider_code") != "circuit_open"
    tried = (*chain, status) if is_sent else ()
    attempts = tuple(Attempt(status=each, category="upstream") for each in tried)
    return ProviderProblem("No.", category=category, http_status=status, attempts=attempts, **more)


class FakeProvider:
    """Sessions by id and by idempotency key; `script` is what the next creating calls end in instead."""

    name = "stripe"
    sdk_name = "stripe-python"
    sdk_version = "15.0.1"
    api_version = "2026-10-28.endive"

    def __init__(self) -> None:
        self.script: deque[Outcome] = deque()
        self.look_up_script: deque[Exception] = deque()
        self.retrieve_script: deque[Exception] = deque()
        self.made: dict[str, str] = {}  # session id by key
        self.sessions: dict[str, SessionFacts] = {}
        self.saved: dict[str, SessionFacts] = {}  # what was first answered under a key
        self.creates: list[tuple[dict[str, Any], str]] = []
        self.retrieved: list[str] = []
        self.looked_up: list[tuple[str, str, int, int]] = []
        self.before_answer: Callable[[SessionFacts], None] | None = None
        self.clock = NOW_SECONDS
        self._lock = threading.Lock()

    def will(self, *outcomes: Outcome) -> None:
        self.script = deque(outcomes)

    def make(self, params: Any, key: str) -> SessionFacts:
        """Make the session as if the request had arrived, whatever its caller hears of it."""
        with self._lock:
            if key not in self.made:
                session_id = f"cs_{len(self.made) + 1}"
                self.made[key] = session_id
                made = facts(
                    id=session_id,
                    mode=params["mode"],
                    url=f"https://pay.example.com/{session_id}",
                    created=ProviderTime(self.clock),
                    expires_at=ProviderTime(params["expires_at"]),
                    client_reference_id=params["client_reference_id"],
                    customer_id=params.get("customer"),
                    metadata=dict(params["metadata"]),
                )
                self.sessions[session_id] = self.saved[key] = made
            return self.sessions[self.made[key]]

    def change(self, session_id: str, **more: Any) -> SessionFacts:
        """A payer or the time moves a session on."""
        self.sessions[session_id] = dataclasses.replace(self.sessions[session_id], **more)
        return self.sessions[session_id]

    def answer(self, told: SessionFacts, *, is_replayed: bool = False) -> Answer[SessionFacts]:
        return Answer(facts=told, raw={}, provider_time=ProviderTime(self.clock), is_replayed=is_replayed)

    # The contract, as far as a checkout needs it.
    def create_checkout_session(self, params: Any, *, idempotency_key: str, profile: str = "request") -> Any:
        require_no_transaction()
        with self._lock:
            self.creates.append((dict(params), idempotency_key))
            outcome = self.script.popleft() if self.script else None
            is_replayed = idempotency_key in self.made
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            return outcome()
        told = self.make(params, idempotency_key)
        if self.before_answer is not None:
            self.before_answer(told)
        return self.answer(self.saved[idempotency_key], is_replayed=is_replayed)

    def retrieve_checkout_session(self, session_id: str, *, profile: str = "request") -> Any:
        require_no_transaction()
        self.retrieved.append(session_id)
        if self.retrieve_script:
            raise self.retrieve_script.popleft()
        if session_id not in self.sessions:
            raise problem(Category.NOT_FOUND, 404, provider_code="resource_missing")
        return self.answer(self.sessions[session_id])

    def list_checkout_sessions_by_operation_key(
        self,
        operation_key: str,
        *,
        client_reference_id: str,
        created_from: ProviderTime,
        created_to: ProviderTime,
        profile: str = "request",
    ) -> Any:
        require_no_transaction()
        span = (created_from.seconds, created_to.seconds)
        self.looked_up.append((operation_key, client_reference_id, *span))
        if self.look_up_script:
            raise self.look_up_script.popleft()
        return tuple(
            self.answer(session)
            for session in list(self.sessions.values())
            if session.operation_key == operation_key
            and session.client_reference_id == client_reference_id
            and session.created is not None
            and span[0] <= session.created.seconds <= span[1]
        )


@pytest.fixture
def provider(monkeypatch) -> FakeProvider:
    """The deployment's provider is a fake."""
    fake = FakeProvider()
    monkeypatch.setattr(base, "named", lambda name: fake)
    return fake
