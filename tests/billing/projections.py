"""One entity whose checkout is under way, the provider's events about it, and what our rows have come to."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from billing.models import (
    BillableEntity,
    BillingOutboxJob,
    BillingRequest,
    CheckoutSession,
    Customer,
    Invoice,
    Payment,
    Remediation,
    Subscription,
    SubscriptionItem,
)
from settld.core import clock, tenancy
from settld.stripe_gateway import metrics
from settld.stripe_gateway.consumers import Consumed
from tests.billing import factories, fake_provider, payloads
from tests.billing.payloads import T0

SUBSCRIPTION = "customer.subscription."
KEY = "a" * 64
OTHER_KEY = "b" * 64


class World:
    """An entity with a plan to buy and a pending checkout request; everything else comes by events."""

    def __init__(self, provider: fake_provider.FakeProvider) -> None:
        self.provider = provider
        self.entity: BillableEntity = factories.workspace_entity()
        self.plan = factories.plan()
        factories.request(self.entity, operation_key=KEY, client_idempotency_key="key-1")

    def labels(self, key: str | None = KEY, **more: str) -> dict[str, str]:
        return payloads.labels(self.entity, key, **more)

    # --- Events ------------------------------------------------------------------------------------------
    def subscription(self, subscription_id: str = "sub_1", **more: Any) -> dict[str, Any]:
        return payloads.subscription(subscription_id, **({"metadata": self.labels()} | more))

    def subscription_event(
        self, kind: str = "created", *, at: int = T0, event_id: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """An event about sub_1, or the one named `subscription_id`; the rest is of the subscription."""
        thing = self.subscription(more.pop("subscription_id", "sub_1"), **more)
        return payloads.event(SUBSCRIPTION + kind, thing, created=at, event_id=event_id)

    def invoice_event(
        self, kind: str = "paid", *, at: int = T0, event_id: str | None = None, **more: Any
    ) -> dict[str, Any]:
        status = {"paid": "paid", "payment_failed": "open"}[kind]
        thing = payloads.invoice(**({"status": status, "metadata": self.labels()} | more))
        return payloads.event(f"invoice.{kind}", thing, created=at, event_id=event_id)

    def payment_event(self, payment_id: str = "pi_1", *, at: int = T0, **more: Any) -> dict[str, Any]:
        thing = payloads.invoice_payment(payment_id, **more)
        return payloads.event("invoice_payment.paid", thing, created=at)

    def session_event(self, kind: str = "completed", *, at: int = T0, **more: Any) -> dict[str, Any]:
        status = "expired" if kind == "expired" else "complete"
        session_id = more.pop("session_id", "cs_1")
        thing = payloads.session(session_id, **({"status": status, "metadata": self.labels()} | more))
        return payloads.event(f"checkout.session.{kind}", thing, created=at)

    def deliver(self, *bodies: dict[str, Any]) -> list[str]:
        """Apply events one after the other; gives their outcomes."""
        return [str(payloads.deliver(body).outcome) for body in bodies]

    def consume(self, body: dict[str, Any]) -> Consumed:
        return payloads.deliver(body)

    # --- Rows --------------------------------------------------------------------------------------------
    def _all(self, model: Any) -> list[Any]:
        with tenancy.tenant_scope(self.entity.tenant_id):
            return list(model.objects.filter(tenant_id=self.entity.tenant_id).order_by("id"))

    def subscriptions(self) -> list[Subscription]:
        return self._all(Subscription)

    def row(self) -> Subscription:
        (found,) = self.subscriptions()
        return found

    def items(self) -> list[SubscriptionItem]:
        return self._all(SubscriptionItem)

    def current(self) -> str | None:
        found = [row.provider_subscription_id for row in self.subscriptions() if row.is_current]
        assert len(found) <= 1, found
        return found[0] if found else None

    def sessions(self) -> list[CheckoutSession]:
        return self._all(CheckoutSession)

    def requests(self) -> list[BillingRequest]:
        return self._all(BillingRequest)

    def request(self) -> BillingRequest:
        (found,) = self.requests()
        return found

    def invoices(self) -> list[Invoice]:
        return self._all(Invoice)

    def invoice(self) -> Invoice:
        (found,) = self.invoices()
        return found

    def payments(self) -> list[tuple[str, str, int, bool]]:
        """Id, status, amount and whether the id is made up, of every payment."""
        return [
            (row.provider_payment_id, row.status, row.amount_minor, row.is_fallback_id)
            for row in self._all(Payment)
        ]

    def customers(self) -> dict[str, bool]:
        """Customers and which is primary."""
        return {row.provider_customer_id: row.is_primary for row in self._all(Customer)}

    def remediations(self) -> list[Remediation]:
        return self._all(Remediation)

    def duplicates(self) -> list[str]:
        return sorted(row.duplicate_provider_subscription_id for row in self.remediations())

    def jobs(self) -> list[str]:
        return sorted(row.dedupe_key for row in self._all(BillingOutboxJob))

    def state(self) -> dict[str, Any]:
        """All that INV-32 is about: no times of ours, no watermarks, no surrogate ids."""
        return {
            "requests": [
                (row.client_idempotency_key, row.status, row.failure_code, row.provider_session_id)
                for row in sorted(self.requests(), key=lambda row: row.client_idempotency_key)
            ],
            "sessions": sorted(
                (
                    row.operation_key,
                    row.status,
                    row.provider_checkout_session_id,
                    row.provider_subscription_id,
                )
                for row in self.sessions()
            ),
            "subscriptions": sorted(
                (
                    row.provider_subscription_id,
                    row.status,
                    row.is_current,
                    row.plan_id,
                    row.current_period_end,
                    row.cancel_at_period_end,
                    row.ended_at,
                )
                for row in self.subscriptions()
            ),
            "items": sorted(
                (row.provider_subscription_item_id, row.is_active, row.quantity) for row in self.items()
            ),
            "invoices": sorted(
                (row.provider_invoice_id, row.status, row.amount_paid_minor, row.subscription_id is not None)
                for row in self.invoices()
            ),
            "payments": sorted(self.payments()),
            "customers": self.customers(),
            "remediations": [
                (row.duplicate_provider_subscription_id, row.status) for row in self.remediations()
            ],
            "jobs": self.jobs(),
        }


@contextlib.contextmanager
def nothing_written(world: World) -> Iterator[None]:
    """What happens inside must leave every row as it was."""
    before = world.state()
    yield
    assert world.state() == before


def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a world at factories.NOW by our clock, and at T0 and after by the provider's."""
    with clock.freeze(factories.NOW):
        yield World(fake_provider.install(monkeypatch))


def listen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the list into which the codes of guardrails go as they fire, without their prefix."""
    fired: list[str] = []
    monkeypatch.setattr(
        metrics, "guardrail", lambda code, **context: fired.append(code.removeprefix("BILLING_"))
    )
    return fired
