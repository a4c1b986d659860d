"""How many statements the everyday calls send; what is added here is paid on every call.

Counted are the statements themselves: not BEGIN and COMMIT, which travel along, nor what a test's own
transaction adds. A bound that a change lowers is lowered with it.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from settld.core import clock
from settld.stripe_gateway.services import inbox
from settld.stripe_gateway.services.inbox import Delivery
from tests.billing import checkouts, factories, payloads
from tests.billing.checkout_provider import provider  # noqa: F401
from tests.billing.payloads import T0
from tests.stripe_gateway import signing

FRAME = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SELECT set_config('settld.tenant_id'")
SUBSCRIPTION = "customer.subscription."

pytestmark = pytest.mark.usefixtures("db", "provider")


@pytest.fixture
def shop() -> "Shop":
    return Shop()


class Shop:
    """An entity that starts checkouts, and the door to which the provider tells what came of them."""

    def __init__(self) -> None:
        self.entity = factories.workspace_entity()
        factories.plan()
        self.labels: dict[str, str] = {}

    def start(self, key: str = "key-1") -> None:
        assert checkouts.start(self.entity, key).status == 200
        self.labels = payloads.labels(self.entity, checkouts.requests(self.entity)[-1].operation_key)

    def session(self, **more: Any) -> dict[str, Any]:
        return payloads.session("cs_1", metadata=self.labels, **more)

    def subscription(self, **more: Any) -> dict[str, Any]:
        return payloads.subscription("sub_1", metadata=self.labels, **more)

    def paid(self) -> None:
        """Everything that a payment tells of has been told."""
        self.start()
        tell("checkout.session.completed", self.session())
        tell(SUBSCRIPTION + "created", self.subscription(), at=1)
        tell("invoice.paid", payloads.invoice(metadata=self.labels), at=1)


def tell(
    event_type: str, thing: dict[str, Any], *, at: int = 0, expected: Delivery = Delivery.STORED, **more: Any
) -> None:
    """Deliver an event through the door, signed, applied before it answers."""
    now = clock.now()
    payload = json.dumps(payloads.event(event_type, thing, created=T0 + at, **more)).encode()
    secret = settings.STRIPE.webhook_secrets[0]
    signature = signing.signed(payload, at=now, secret=secret)
    trust = inbox.Trust(secrets=(secret,), is_live=False)
    assert inbox.receive(payload=payload, signature=signature, trust=trust, now=now) is expected


def statements(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    return sum(not query["sql"].startswith(FRAME) for query in captured.captured_queries)


def test_a_checkout_start(shop):
    assert statements(lambda: checkouts.start(shop.entity, "key-1")) <= 23


def test_a_checkout_of_an_entity_that_pays_already_as_somebody(shop):
    factories.customer(shop.entity)

    assert statements(lambda: checkouts.start(shop.entity, "key-1")) <= 24


def test_a_replayed_checkout(shop):
    shop.start()

    assert statements(shop.start) - statements(lambda: checkouts.requests(shop.entity)) <= 4


def test_the_first_event_of_a_subscription(shop):
    shop.start()

    assert statements(lambda: tell(SUBSCRIPTION + "created", shop.subscription())) <= 24


def test_the_events_of_a_payment_in_their_usual_order(shop):
    shop.start()

    assert statements(lambda: tell("checkout.session.completed", shop.session())) <= 21
    assert statements(lambda: tell(SUBSCRIPTION + "created", shop.subscription(), at=1)) <= 20
    assert statements(lambda: tell("invoice.paid", payloads.invoice(metadata=shop.labels), at=1)) <= 14
    paid = payloads.invoice_payment("pi_1")
    assert statements(lambda: tell("invoice_payment.paid", paid, at=1)) <= 9


@pytest.mark.parametrize(
    ("kind", "change"),
    [("updated", {}), ("updated", {"status": "past_due"}), ("deleted", {"status": "canceled"})],
)
def test_a_later_event_of_a_subscription(shop, kind, change):
    shop.paid()

    assert statements(lambda: tell(SUBSCRIPTION + kind, shop.subscription(**change), at=5)) <= 16


def test_an_event_that_is_older_than_what_we_know(shop):
    shop.paid()

    assert statements(lambda: tell(SUBSCRIPTION + "updated", shop.subscription(), at=0)) <= 7


@pytest.mark.parametrize(
    ("event_type", "thing"),
    [("customer.updated", payloads.customer()), ("payment_method.attached", payloads.payment_method())],
)
def test_an_event_about_how_a_customer_pays(shop, event_type, thing):
    shop.paid()

    assert statements(lambda: tell(event_type, thing, at=5)) <= 14


def test_an_event_that_is_told_twice(shop):
    """It is counted, and one look says that there is nothing to do."""
    shop.start()
    told = {"event_type": "checkout.session.completed", "thing": shop.session(), "event_id": "evt_twice"}
    tell(**told)

    assert statements(lambda: tell(**told, expected=Delivery.DUPLICATE)) == 2
