"""The provider as workers and comparisons ask it, and the rows that they work on."""

import datetime as dt
from typing import Any

import pytest

from billing.models import (
    BillableEntity,
    BillingOutboxJob,
    CheckoutSession,
    Invoice,
    Payment,
    Remediation,
    Subscription,
)
from billing.provider_time import ProviderTime
from billing.providers import base, shapes
from billing.providers.errors import Category, ProviderProblem
from billing.providers.facts import Answer, Listing
from billing.services import outbox, remediation
from settld.core import clock, tenancy
from settld.core import transactions as core_transactions
from settld.stripe_gateway import metrics
from tests.billing import factories, payloads
from tests.billing.fake_provider import FakeProvider

NOW = factories.NOW


class WorkerProvider(FakeProvider):
    """Answers by id and by list; what is written is kept with its key; single calls can be made to fail."""

    sdk_name = "stripe-python"
    sdk_version = "16.1.0"

    def __init__(self) -> None:
        super().__init__()
        self.wrote: list[tuple[str, str, str]] = []
        self.problems: dict[str, list[ProviderProblem]] = {}
        self.before_write: list[Any] = []

    def fails(self, object_id: str, *problems: ProviderProblem) -> None:
        """Let the next calls about an object end like this."""
        self.problems[object_id] = list(problems)

    @property
    def api_version(self) -> str:
        return payloads.API_VERSION

    def create_checkout_session(
        self, params: Any, *, idempotency_key: str, profile: str = "request"
    ) -> Answer[Any]:
        """Nobody learns what became of it."""
        self._begin_write("create", "session", idempotency_key)
        raise trouble()

    def retrieve_checkout_session(self, session_id: str, *, profile: str = "request") -> Answer[Any]:
        return self._answer(session_id, shapes.session_facts)

    def list_checkout_sessions_by_operation_key(
        self,
        operation_key: str,
        *,
        client_reference_id: str,
        created_from: Any,
        created_to: Any,
        profile: str,
    ) -> tuple[Answer[Any], ...]:
        found = [
            thing
            for thing in self._kind("checkout.session")
            if thing["metadata"].get("operation_key") == operation_key
            and thing["client_reference_id"] == client_reference_id
            and created_from.seconds <= thing["created"] <= created_to.seconds
        ]
        self._ask("lookup")
        return tuple(self._as(thing, shapes.session_facts) for thing in found)

    def list_subscriptions(self, *, customer: str, status: str = "all", profile: str) -> Listing[Any]:
        return self._list("subscription", customer, shapes.subscription_facts)

    def list_invoices(self, *, customer: str, created_from: Any, profile: str) -> Listing[Any]:
        return self._list("invoice", customer, shapes.invoice_facts)

    def retrieve_customer(self, customer_id: str, *, profile: str = "request") -> Answer[Any]:
        return self._answer(customer_id, shapes.customer_facts)

    def list_customer_payment_methods(self, customer_id: str, *, profile: str = "request") -> Listing[Any]:
        return self._list("payment_method", customer_id, shapes.payment_method_facts)

    def expire_checkout_session(
        self, session_id: str, *, idempotency_key: str, profile: str = "request"
    ) -> Answer[Any]:
        self._begin_write("expire", session_id, idempotency_key)
        thing = self.things[session_id]
        if thing["status"] != "open":
            raise ProviderProblem("not open", category=Category.INVALID_REQUEST, http_status=400)
        thing["status"] = "expired"
        return self._answer(session_id, shapes.session_facts)

    def cancel_subscription(
        self,
        subscription_id: str,
        *,
        idempotency_key: str,
        invoice_now: bool = False,
        prorate: bool = False,
        profile: str = "request",
    ) -> Answer[Any]:
        assert (invoice_now, prorate) == (False, False)
        self._begin_write("cancel", subscription_id, idempotency_key)
        self.things[subscription_id] |= {
            "status": "canceled",
            "canceled_at": self.now,
            "ended_at": self.now,
        }
        return self._answer(subscription_id, shapes.subscription_facts)

    def _begin_write(self, verb: str, object_id: str, key: str) -> None:
        core_transactions.require_no_transaction()
        if self.before_write:
            self.before_write.pop(0)()
        self.wrote.append((verb, object_id, key))
        self._raise_for(f"{verb} {object_id}")

    def _raise_for(self, object_id: str) -> None:
        if waiting := self.problems.get(object_id):
            raise waiting.pop(0)

    def _answer(self, object_id: str, read: Any) -> Answer[Any]:
        self._raise_for(object_id)
        if object_id not in self.things and not self.is_down:
            core_transactions.require_no_transaction()
            self.asked.append(object_id)
            raise missing(self.now)
        return super()._answer(object_id, read)

    def _list(self, kind: str, customer: str, read: Any) -> Listing[Any]:
        self._ask(f"{kind}s of {customer}")
        self._raise_for(customer)
        found = [thing for thing in self._kind(kind) if thing["customer"] == customer]
        return Listing(
            items=tuple(self._as(thing, read) for thing in found), provider_time=ProviderTime(self.now)
        )

    def _ask(self, what: str) -> None:
        core_transactions.require_no_transaction()
        self.asked.append(what)
        if self.is_down:
            raise ProviderProblem("no answer", category=Category.TRANSIENT_NETWORK)

    def _kind(self, kind: str) -> list[dict[str, Any]]:
        return [thing for thing in self.things.values() if thing["object"] == kind]

    def _as(self, thing: dict[str, Any], read: Any) -> Answer[Any]:
        return Answer(facts=read(thing), raw=thing, provider_time=ProviderTime(self.now))


def missing(now: int) -> ProviderProblem:
    """What the provider says about an id that it does not know."""
    return ProviderProblem(
        "no such object",
        category=Category.NOT_FOUND,
        http_status=404,
        provider_code="resource_missing",
        provider_time=ProviderTime(now),
    )


def trouble(*, retry_after: int | None = None) -> ProviderProblem:
    """What a provider that has a bad day says."""
    return ProviderProblem(
        "try later",
        category=Category.TRANSIENT_PROVIDER,
        http_status=503,
        retry_after_seconds=retry_after,
    )


@pytest.fixture
def provider(monkeypatch) -> WorkerProvider:
    """The deployment's provider."""
    fake = WorkerProvider()
    monkeypatch.setattr(base, "active", lambda: fake)
    monkeypatch.setattr(base, "named", lambda name: fake)
    return fake


@pytest.fixture
def fired(monkeypatch) -> list[str]:
    """The codes of the guardrails that fired, in order, without their prefix."""
    codes: list[str] = []

    def note(code: str, **context: object) -> None:
        codes.append(code.removeprefix("BILLING_"))

    monkeypatch.setattr(metrics, "guardrail", note)
    return codes


def owe_expiry(entity: BillableEntity, session_id: str = "cs_1", **more: Any) -> BillingOutboxJob:
    """A job that ends a session at the provider."""
    with factories.locked(entity):
        outbox.enqueue_expire(
            entity=entity, provider_checkout_session_id=session_id, operation_key="o" * 64, now=NOW, **more
        )
    return jobs(entity)[-1]


def owe(entity: BillableEntity, job_type: str, dedupe_key: str = "d", **payload: Any) -> BillingOutboxJob:
    """A job of any type."""
    with factories.locked(entity):
        outbox.enqueue(entity=entity, job_type=job_type, dedupe_key=dedupe_key, payload=payload, now=NOW)
    return jobs(entity)[-1]


def owe_cancellation(entity: BillableEntity, survivor: Subscription, duplicate: Subscription) -> Remediation:
    """A duplicate's cancellation."""
    with factories.locked(entity):
        remediation.require(
            entity=entity,
            canonical=survivor,
            duplicate=duplicate,
            operation_key="o" * 64,
            provider_event_id="evt_1",
            now=NOW,
        )
    return owed(entity)


def jobs(entity: BillableEntity) -> list[BillingOutboxJob]:
    return _all(BillingOutboxJob, entity)


def job(entity: BillableEntity) -> BillingOutboxJob:
    (found,) = jobs(entity)
    return found


def owed(entity: BillableEntity) -> Remediation:
    (found,) = _all(Remediation, entity)
    return found


def session(entity: BillableEntity) -> CheckoutSession:
    (found,) = _all(CheckoutSession, entity)
    return found


def subscription(entity: BillableEntity, provider_subscription_id: str = "sub_1") -> Subscription:
    return {row.provider_subscription_id: row for row in _all(Subscription, entity)}[provider_subscription_id]


def invoices(entity: BillableEntity) -> list[Invoice]:
    return _all(Invoice, entity)


def payments(entity: BillableEntity) -> list[Payment]:
    with tenancy.tenant_scope(entity.tenant_id):
        return list(Payment.objects.filter(invoice__billable_entity=entity).order_by("id"))


def _all(model: Any, entity: BillableEntity) -> list[Any]:
    with tenancy.tenant_scope(entity.tenant_id):
        return list(model.objects.filter(billable_entity=entity).order_by("id"))


def two_subscriptions(provider: WorkerProvider, entity: BillableEntity) -> tuple[Subscription, Subscription]:
    """A current subscription and its duplicate, both active here and at the provider."""
    plan, payer = factories.plan(), factories.customer(entity)
    survivor = factories.subscription(
        entity, plan, payer, "sub_1", current_period_end=at(payloads.T0 + payloads.MONTH)
    )
    duplicate = factories.subscription(
        entity, plan, payer, "sub_2", is_current=False, provider_subscription_created_at=NOW
    )
    provider.hold(payloads.subscription("sub_1", items=[payloads.item("si_1")]))
    provider.hold(payloads.subscription("sub_2", items=[payloads.item("si_2")]))
    return survivor, duplicate


def at(seconds: int) -> dt.datetime:
    """An instant of the provider's clock."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def frozen(**later: float) -> Any:
    """Our clock, stopped at NOW or so much later."""
    return clock.freeze(NOW + dt.timedelta(**later))
