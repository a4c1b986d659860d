"""Events applied at the same moment by real connections, each committing for itself."""

import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from settld.core import clock, failpoints
from tests.billing import factories, fake_provider, payloads
from tests.billing.payloads import T0
from tests.billing.projections import World


@pytest.fixture
def live_world(live_db, monkeypatch) -> Iterator[World]:
    with clock.freeze(factories.NOW):
        yield World(fake_provider.install(monkeypatch))


def at_once(*bodies: dict) -> list[str]:
    """Deliver each event in a thread of its own; all have looked before any of them locks."""
    together = threading.Barrier(len(bodies))
    waited = threading.local()
    outcomes: list[str] = []

    def meet(point: str) -> None:
        if point == "billing.webhook.prefetched" and not hasattr(waited, "once"):
            waited.once = True
            together.wait(10)

    def deliver(body: dict) -> None:
        try:
            with clock.freeze(factories.NOW):
                outcomes.append(str(payloads.deliver(body).outcome))
        except BaseException as error:
            outcomes.append(repr(error))
        finally:
            connection.close()

    with failpoints.watched(meet):
        threads = [threading.Thread(target=deliver, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    return sorted(outcomes)


def test_t112_two_events_of_one_second_about_a_new_subscription(live_world):
    """T-112: neither saw the other's row; the second to lock finds it and asks the provider."""
    live_world.provider.hold(live_world.subscription(status="past_due"))
    outcomes = at_once(
        live_world.subscription_event(event_id="evt_a", status="incomplete"),
        live_world.subscription_event("updated", event_id="evt_b", status="active"),
    )

    assert outcomes == ["applied", "applied"]
    assert live_world.provider.asked == ["sub_1"]
    assert (live_world.row().status, live_world.current()) == ("past_due", "sub_1")
    assert live_world.row().last_provider_event_id == "evt_b"
    assert live_world.request().status == "succeeded"


def test_t119_two_subscriptions_at_once_have_one_winner(live_world):
    """T-119, INV-21: the first to commit stays, the other is owed its end."""
    outcomes = at_once(
        live_world.subscription_event(subscription_id="sub_1"),
        live_world.subscription_event(subscription_id="sub_2", items=[payloads.item("si_2")]),
    )

    assert outcomes == ["applied", "applied"]
    current = live_world.current()
    assert current in ("sub_1", "sub_2")
    assert live_world.duplicates() == [{"sub_1": "sub_2", "sub_2": "sub_1"}[current]]


def test_t115_an_invoice_and_its_subscription_at_once(live_world):
    """T-115: whichever commits first, the invoice is linked."""
    assert at_once(live_world.invoice_event(at=T0), live_world.subscription_event(at=T0)) == [
        "applied",
        "applied",
    ]

    assert live_world.invoice().subscription_id == live_world.row().pk


def test_t106_the_same_event_at_once_is_applied_once_over(live_world):
    """T-106: at the level of rows; what two workers do with one event is what one does."""
    told = live_world.subscription_event()
    live_world.provider.hold(live_world.subscription())
    assert at_once(told, told) == ["applied", "applied"]

    assert live_world.current() == "sub_1"
    assert len(live_world.items()) == 1
    assert live_world.duplicates() == []
