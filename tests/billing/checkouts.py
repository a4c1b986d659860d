"""Starting and recovering checkouts in tests, and reading what became of them."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from billing.models import BillableEntity, BillingOutboxJob, BillingRequest, CheckoutSession
from billing.services import checkout, recovery
from billing.services.checkout_order import CheckoutOrder, OneOff
from billing.services.idempotency import Answer
from billing.states import Flow
from settld.core import failpoints, tenancy
from settld.core.errors import Refusal
from settld.stripe_gateway import metrics
from tests.billing import factories

LEASE = dt.timedelta(seconds=120)
PATH = "/api/billing/checkout"
BODY = {"planCode": "pro", "successPath": "/done", "cancelPath": "/back"}


@pytest.fixture
def guardrails(monkeypatch) -> list[str]:
    """The codes of the guardrails that fired, in order."""
    fired: list[str] = []
    monkeypatch.setattr(metrics, "guardrail", lambda code, **context: fired.append(code))
    return fired


class Died(BaseException):
    """The process is gone; no code of ours catches this."""


@contextlib.contextmanager
def dying_at(point: str) -> Iterator[None]:
    """What runs inside ends at a failpoint, as a killed process would, and the point must be passed."""

    def visit(name: str) -> None:
        if name == point:
            raise Died(point)

    died = False
    with failpoints.watched(visit):
        try:
            yield
        except Died:
            died = True
    assert died, f"nobody passed {point}"


def order(**more: Any) -> CheckoutOrder:
    """An order of the plan pro."""
    values: dict[str, Any] = {
        "flow": Flow.SUBSCRIPTION,
        "plan_code": "pro",
        "success_path": "/done",
        "cancel_path": "/back",
    }
    return CheckoutOrder(**(values | more))


def one_off(**more: Any) -> CheckoutOrder:
    """An order of one thing."""
    thing = OneOff(name="Setup", amount_minor=1_500, quantity=2, currency="USD")
    return order(flow=Flow.ONE_OFF, plan_code=None, one_off=thing, **more)


def start(entity: BillableEntity, key: str = "key-1", what: CheckoutOrder | None = None) -> Answer:
    return checkout.start(
        tenant_id=entity.tenant_id, entity_id=entity.pk, client_key=key, order=what or order()
    )


def told(entity: BillableEntity, key: str = "key-1", what: CheckoutOrder | None = None) -> tuple[int, str]:
    """Start, and give the status and the code of whatever came of it; a success has no code."""
    try:
        answer = start(entity, key, what)
    except Refusal as refusal:
        return refusal.status, refusal.code
    return answer.status, answer.body.get("code", "")


def again(entity: BillableEntity, request: BillingRequest | None = None) -> str:
    """Let a worker look at the entity's due requests; gives how the one looked at ended."""
    ends = recovery.recover_pending(limit=10)
    assert sum(ends.values()) <= 1, ends
    return next(iter(ends), "nothing")


def requests(entity: BillableEntity) -> list[BillingRequest]:
    with tenancy.tenant_scope(entity.tenant_id):
        return list(BillingRequest.objects.filter(billable_entity=entity).order_by("id"))


def request(entity: BillableEntity) -> BillingRequest:
    (found,) = requests(entity)
    return found


def sessions(entity: BillableEntity) -> list[CheckoutSession]:
    with tenancy.tenant_scope(entity.tenant_id):
        return list(CheckoutSession.objects.filter(billable_entity=entity).order_by("id"))


def session(entity: BillableEntity) -> CheckoutSession:
    (found,) = sessions(entity)
    return found


def jobs(entity: BillableEntity) -> list[str]:
    """The dedupe keys of what is owed to the provider."""
    with tenancy.tenant_scope(entity.tenant_id):
        rows = BillingOutboxJob.objects.filter(billable_entity=entity).order_by("id")
        return list(rows.values_list("dedupe_key", flat=True))


def change(row: BillingRequest, **values: Any) -> None:
    """Change a request as time or a fault would have, around the triggers that guard it only by its life."""
    with tenancy.tenant_scope(row.tenant_id):
        entity = BillableEntity.objects.get(pk=row.billable_entity_id)
    with factories.locked(entity):
        BillingRequest.objects.filter(pk=row.pk).update(**values)
