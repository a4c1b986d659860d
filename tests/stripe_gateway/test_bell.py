"""The bell: rung after the commit, and missed by nobody when the broker is gone."""

import time

import pytest
from celery import current_app
from kombu.pools import ProducerPool

from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.services import bell, inbox
from settld.stripe_gateway.services.consumption import consume_due
from tests.stripe_gateway.conftest import event_body


@pytest.fixture
def broker_gone(monkeypatch):
    """Celery as it is when nothing listens where the broker should be."""
    pool = current_app.connection_for_write("redis://127.0.0.1:1/0").Pool(limit=1)
    monkeypatch.setattr(current_app.amqp, "_producer_pool", ProducerPool(pool))
    monkeypatch.setattr(bell, "_quiet_until", 0.0)
    yield
    pool.force_close_all()


@pytest.mark.usefixtures("live_db")
def test_the_bell_rings_once_the_event_is_committed(register, deliver, monkeypatch):
    seen = []
    monkeypatch.setattr(inbox.bell, "ring", lambda: seen.append(StripeEventConsumption.objects.count()))
    register()
    deliver(event_body())
    assert seen == [1]


@pytest.mark.usefixtures("live_db")
def test_with_the_broker_gone_the_event_is_stored_answered_soon_and_consumed_later(
    register, deliver, broker_gone
):
    rails = register()
    lost = bell.BELLS_LOST._value.get()
    started = time.monotonic()

    response = deliver(event_body())

    assert response.status_code == 200
    assert time.monotonic() - started < 3
    assert bell.BELLS_LOST._value.get() == lost + 1
    assert StripeEventConsumption.objects.get().status == "pending"
    consume_due(owner="beat", limit=10, budget_seconds=10)
    assert rails.seen == ["evt_1"]


def test_after_a_lost_ring_nobody_tries_for_a_while(broker_gone):
    lost = bell.BELLS_LOST._value.get()
    bell.ring()
    bell.ring()
    assert bell.BELLS_LOST._value.get() == lost + 1


def test_a_ring_reaches_the_task_by_its_name(monkeypatch):
    from settld.stripe_gateway import tasks

    monkeypatch.setattr(bell, "_quiet_until", 0.0)
    assert tasks.consume_due.name == bell.TASK
    calls = []
    monkeypatch.setattr(tasks.consume_due, "apply_async", lambda *a, **options: calls.append(options))
    bell.ring()
    assert calls[0]["retry"] is False
