"""Payloads that are emptied, and what is done when one is needed again (checkout-billing 8.8, 12)."""

import dataclasses
import datetime as dt
import json

import pytest

from settld.core import clock
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services import consumption
from settld.stripe_gateway.services.consumption import consume_due
from settld.stripe_gateway.services.retention import scrub_payloads
from tests.stripe_gateway.conftest import event_body
from tests.stripe_gateway.scripted_stripe import Say, refusal

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def frozen():
    with clock.freeze(NOW):
        yield


@pytest.fixture
def stored(register, deliver, frozen):
    """One event whose only consumption is in the given state."""
    register()

    def store(status: str, event_id: str = "evt_1") -> StripeEvent:
        deliver(event_body(event_id))
        is_done = status == "done"
        StripeEventConsumption.objects.filter(event__provider_event_id=event_id).update(
            status=status,
            outcome="applied" if is_done else "",
            finished_at=NOW if is_done else None,
            lease_expires_at=NOW if status == "leased" else None,
        )
        return StripeEvent.objects.get(provider_event_id=event_id)

    return store


def is_scrubbed(event: StripeEvent) -> bool:
    event.refresh_from_db()
    assert event.is_scrubbed == (event.payload == "{}")
    return event.is_scrubbed


def test_t168_a_payload_stays_for_the_days_that_the_settings_say(stored, settings):
    settings.BILLING = dataclasses.replace(settings.BILLING, webhook_payload_retention_days=3)
    event = stored("done")
    digest = event.payload_sha256
    assert event.payload_retention_until == NOW + 3 * DAY
    assert scrub_payloads(now=NOW + 3 * DAY - dt.timedelta(milliseconds=1)) == 0
    assert not is_scrubbed(event)
    assert scrub_payloads(now=NOW + 3 * DAY) == 1
    assert is_scrubbed(event)
    assert (event.payload_retention_until, event.payload_sha256, event.data_object) == (None, digest, {})
    assert scrub_payloads(now=NOW + 400 * DAY) == 0


@pytest.mark.parametrize("status", ["failed", "dead"])
def test_t168_what_failed_keeps_its_payload_thirty_days_longer(stored, status):
    event = stored(status)
    assert scrub_payloads(now=NOW + 60 * DAY - dt.timedelta(milliseconds=1)) == 0
    assert scrub_payloads(now=NOW + 60 * DAY) == 1
    assert is_scrubbed(event)


@pytest.mark.parametrize("status", ["pending", "leased"])
def test_t168_what_is_being_worked_on_keeps_its_payload(stored, status):
    event = stored(status)
    assert scrub_payloads(now=NOW + 400 * DAY) == 0
    assert not is_scrubbed(event)


def test_t168_batches_reach_every_row_and_a_dry_run_writes_nothing(stored):
    events = [stored("done", f"evt_{number}") for number in range(5)]
    assert scrub_payloads(now=NOW + 30 * DAY, batch=2, dry_run=True) == 5
    assert not any(is_scrubbed(event) for event in events)
    assert scrub_payloads(now=NOW + 30 * DAY, batch=2) == 5
    assert all(is_scrubbed(event) for event in events)


def try_again(at: dt.datetime) -> StripeEventConsumption:
    (pk,) = StripeEventConsumption.objects.values_list("pk", flat=True)
    with clock.freeze(at):
        assert consumption.consume_again(consumption_ids=[pk], now=at) == [pk]
        assert consume_due(owner="w", limit=1, budget_seconds=10) == 1
    return StripeEventConsumption.objects.get()


def test_t139_a_scrubbed_payload_is_fetched_from_stripe_and_not_kept(register, deliver, frozen, provider):
    rails = register()
    rails.misbehave = KeyError("once")
    deliver(event_body())
    consume_due(owner="w", limit=1, budget_seconds=10)
    scrub_payloads(now=NOW + 60 * DAY)
    rails.misbehave = None
    provider.will(Say(200, json.loads(event_body())))

    done = try_again(NOW + 61 * DAY)

    assert (done.status, done.error_code) == ("done", "")
    assert rails.given[-1] == {"id": "tr_1", "object": "transfer", "amount": 100}
    assert [(request.method, request.path) for request in provider.heard] == [("GET", "/v1/events/evt_1")]
    assert StripeEvent.objects.get().is_scrubbed


@pytest.mark.parametrize(
    "answer", [refusal(404, code="resource_missing"), Say(200, {"object": "event", "id": "evt_other"})]
)
def test_t139_a_payload_that_stripe_has_no_more_leaves_the_row_failed(
    register, deliver, frozen, provider, answer
):
    rails = register()
    rails.misbehave = KeyError("once")
    deliver(event_body())
    consume_due(owner="w", limit=1, budget_seconds=10)
    scrub_payloads(now=NOW + 60 * DAY)
    provider.will(answer)

    failed = try_again(NOW + 61 * DAY)

    assert (failed.status, failed.error_code) == ("failed", "payload_expired")
    assert rails.seen == ["evt_1"]


def test_t139_trouble_at_stripe_is_no_proof_that_a_payload_is_gone(register, deliver, frozen, provider):
    rails = register()
    rails.misbehave = KeyError("once")
    deliver(event_body())
    consume_due(owner="w", limit=1, budget_seconds=10)
    scrub_payloads(now=NOW + 60 * DAY)
    provider.will(refusal(401))
    assert try_again(NOW + 61 * DAY).error_code == "BILLING_PROVIDER_UNAVAILABLE"
