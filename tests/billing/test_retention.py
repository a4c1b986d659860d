"""T-168: what has outlived its time goes, nothing else, and a dry run takes nothing."""

import dataclasses
import datetime as dt

import pytest

from billing.models import BillingRequest, CheckoutSession, PaymentMethodSync, UsageCounter, UsageEvent
from billing.services import retention
from billing.services.retention import COUNTERS, EVENTS, PAYLOADS, REQUESTS, SYNCS
from settld.core import tenancy
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from tests.billing import factories, payloads
from tests.billing.workers import NOW, frozen, session

NOTHING = dict.fromkeys((REQUESTS, PAYLOADS, COUNTERS, EVENTS, SYNCS), 0)
DAY = dt.timedelta(days=1)
FAILED = {
    "status": "failed",
    "pending_lease_expires_at": None,
    "failure_code": "checkout_provider_error",
}


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def run(*, dry_run: bool = False, **later: float) -> dict[str, int]:
    with frozen(**later):
        return retention.run(dry_run=dry_run)


def only(**counts: int) -> dict[str, int]:
    return NOTHING | {globals()[name]: count for name, count in counts.items()}


def finished(entity, at: dt.datetime = NOW, **more):
    """A finished request that was last written at an instant."""
    return factories.request(entity, **FAILED | {"updated_at": at} | more)


def requests(entity) -> int:
    with tenancy.tenant_scope(entity.tenant_id):
        return BillingRequest.objects.count()


def test_t168_a_finished_request_goes_after_thirty_days(entity):
    """T-168: terminal, updated 30 days ago or longer; a dry run counts it and leaves it."""
    finished(entity)

    assert run(days=30, seconds=-1) == NOTHING
    assert run(days=30, dry_run=True) == only(REQUESTS=1)
    assert requests(entity) == 1
    assert run(days=30) == only(REQUESTS=1)
    assert requests(entity) == 0
    assert run(days=30) == NOTHING


def test_t168_a_pending_request_stays_for_ever(entity):
    """T-168: its outcome is not known."""
    factories.request(entity, updated_at=NOW)

    assert run(days=3_650) == NOTHING


@pytest.mark.parametrize("link", ["operation_key", "idempotency_row"])
@pytest.mark.parametrize(
    ("status", "goes"),
    [
        ("open", False),
        ("completed_pending_subscription", False),
        ("recovery_verification_pending", False),
        ("completed_reconciled", True),
        ("expired", True),
        ("abandoned", True),
    ],
)
def test_t168_a_request_whose_session_blocks_stays(entity, status, goes, link):
    """T-168: never one whose session row is blocking; any other session forgets it (SET NULL)."""
    row = finished(entity)
    known = {"operation_key": row.operation_key} if link == "operation_key" else {"idempotency_row": row}
    factories.session(entity, status=status, **known)

    assert run(days=31) == (only(REQUESTS=1) if goes else NOTHING)
    assert requests(entity) == (0 if goes else 1)
    left = session(entity)
    assert left.status == status
    if goes:
        assert left.idempotency_row_id is None


def test_t168_the_days_are_a_setting(entity, settings):
    """T-168: 1 to 3650."""
    settings.BILLING = dataclasses.replace(settings.BILLING, idempotency_retention_days=2)
    finished(entity)

    assert run(days=2) == only(REQUESTS=1)


def test_t168_requests_go_in_batches_over_all_tenants(db, monkeypatch):
    """T-168: batches; every tenant's rows under its own scope and its entity's lock."""
    monkeypatch.setattr(retention, "BATCH", 2)
    for name in ("tenant_a", "tenant_b"):
        entity = factories.workspace_entity(name)
        for _ in range(3):
            finished(entity)

    assert run(days=31) == only(REQUESTS=6)


def usage(entity, model, end: dt.datetime, **more) -> None:
    with factories.locked(entity):
        model.objects.create(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            entitlement_code="turns",
            window_start_at=end - DAY,
            window_end_at=end,
            **more,
        )


def test_t168_usage_goes_four_hundred_days_after_its_window(entity):
    """T-168: counters and events whose window ended more than 400 days ago."""
    usage(entity, UsageCounter, NOW, usage_count=1)
    usage(entity, UsageEvent, NOW, usage_event_key="k", amount=1)

    assert run(days=400) == NOTHING
    assert run(days=400, seconds=1, dry_run=True) == only(COUNTERS=1, EVENTS=1)
    assert run(days=400, seconds=1) == only(COUNTERS=1, EVENTS=1)
    assert run(days=401) == NOTHING


def test_t168_sync_events_go(entity):
    """T-168: a line about a look at the payment methods."""
    with factories.locked(entity):
        PaymentMethodSync.objects.create(
            tenant_id=entity.tenant_id, billable_entity=entity, status="succeeded", created_at=NOW
        )

    assert run(days=400) == NOTHING
    assert run(days=401, dry_run=True) == only(SYNCS=1)
    assert run(days=401) == only(SYNCS=1)


@pytest.mark.parametrize(("status", "days"), [("done", 0), ("failed", 30), ("dead", 30)])
def test_t168_a_payload_is_emptied_when_its_time_is_over(db, status, days):
    """T-168: {} and no date; failed ones keep theirs 30 days longer, the row itself stays."""
    event = payloads.stored(payloads.event("invoice.paid", payloads.invoice()))
    StripeEvent.objects.update(payload_retention_until=NOW)
    StripeEventConsumption.objects.create(
        event=event,
        consumer="checkout",
        status=status,
        outcome="applied" if status == "done" else "",
        finished_at=NOW if status == "done" else None,
        next_attempt_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )

    assert run(days=days, seconds=-1) == NOTHING
    assert run(days=days, dry_run=True) == only(PAYLOADS=1)
    assert not StripeEvent.objects.get().is_scrubbed
    assert run(days=days) == only(PAYLOADS=1)
    event = StripeEvent.objects.get()
    assert (event.payload, event.payload_retention_until, event.is_scrubbed) == ("{}", None, True)


def test_t168_a_payload_that_is_waiting_to_be_applied_is_kept(db):
    """T-168: processed rows only."""
    event = payloads.stored(payloads.event("invoice.paid", payloads.invoice()))
    StripeEvent.objects.update(payload_retention_until=NOW)
    StripeEventConsumption.objects.create(
        event=event,
        consumer="checkout",
        status="pending",
        next_attempt_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )

    assert run(days=365) == NOTHING


def test_t168_a_session_keeps_its_key_when_its_request_has_gone(entity):
    """T-168: the key of a purged request is still known by its session (T-027)."""
    row = finished(entity)
    factories.session(entity, status="completed_reconciled", operation_key=row.operation_key)

    run(days=31)

    with tenancy.tenant_scope(entity.tenant_id):
        assert CheckoutSession.objects.filter(operation_key=row.operation_key).exists()
