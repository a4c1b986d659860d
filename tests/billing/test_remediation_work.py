"""Cancelling duplicates, and never the one that survives (8.6, 9.1)."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from billing.models import Remediation, Subscription
from billing.services import leasing, remediation, remediation_work
from billing.services.remediation_work import REFUND_NOTE
from settld.core import failpoints, tenancy
from tests.billing import factories, payloads
from tests.billing.checkouts import dying_at
from tests.billing.workers import (
    NOW,
    fired,
    frozen,
    missing,
    owe_cancellation,
    owed,
    provider,
    subscription,
    trouble,
    two_subscriptions,
)

__all__ = ["fired", "provider"]


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


@pytest.fixture
def pair(entity, provider):
    survivor, duplicate = two_subscriptions(provider, entity)
    owe_cancellation(entity, survivor, duplicate)
    return survivor, duplicate


def change(entity, row: Subscription, **values: object) -> None:
    """Write a subscription as its projection would have."""
    with factories.locked(entity):
        Subscription.objects.filter(pk=row.pk).update(**values)


def test_a_duplicate_is_cancelled_once_and_its_charges_are_to_be_reviewed(entity, provider, pair):
    with frozen():
        tried = (remediation_work.tick(), remediation_work.tick())

    row = owed(entity)
    assert tried == (1, 0)
    assert [(verb, what) for verb, what, _ in provider.wrote] == [("cancel", "sub_2")]
    assert len(provider.wrote[0][2]) == 64
    assert (row.status, row.attempt_count, row.resolved_at) == ("succeeded", 1, NOW)
    assert row.metadata_json == {"outcome": "canceled", "note": REFUND_NOTE}


def test_what_we_cancelled_is_written_down_at_once(entity, provider, pair):
    with frozen():
        remediation_work.tick()

    ended, survivor = subscription(entity, "sub_2"), subscription(entity, "sub_1")
    assert (ended.status, ended.is_current, ended.last_provider_event_created_at) == ("canceled", False, None)
    assert ended.last_provider_snapshot_at is not None
    assert (survivor.status, survivor.is_current) == ("active", True)


def test_t123_a_duplicate_that_has_become_the_choice_is_spared(entity, provider, pair):
    """T-123: it is active, the other is unpaid by now: the look at both says so under the lock."""
    provider.things["sub_1"]["status"] = "unpaid"

    with frozen():
        remediation_work.tick(limit=1)

    row = owed_of(entity, "sub_2")
    assert provider.wrote == []
    assert (row.status, row.metadata_json["outcome"]) == ("succeeded", "not_needed")
    assert subscription(entity, "sub_2").is_current
    assert owed_of(entity, "sub_1").status == "pending"  # now that one is too many


@pytest.mark.parametrize("how", ["canceled", "gone"])
def test_t123_the_only_live_subscription_is_never_cancelled(entity, provider, pair, how):
    """T-123: the canonical one ended, or is unknown to the provider; then the duplicate is all there is."""
    if how == "gone":
        del provider.things["sub_1"]
    else:
        provider.things["sub_1"] |= {"status": "canceled", "ended_at": provider.now}

    with frozen():
        remediation_work.tick()

    row = owed_of(entity, "sub_2")
    assert provider.wrote == []
    assert (row.status, row.metadata_json["outcome"]) == ("succeeded", "not_needed")


def test_t123_the_survivor_ends_between_the_look_and_the_lock(entity, provider, pair):
    """T-123: the stored rows are judged under the lock; what was written meanwhile is looked at again."""
    survivor, _ = pair

    def ends() -> None:
        provider.things["sub_1"] |= {"status": "canceled", "ended_at": provider.now}
        change(entity, survivor, status="canceled", is_current=False, ended_at=NOW)

    provider.meanwhile.append(ends)
    with frozen():
        remediation_work.tick()

    assert provider.wrote == []
    assert owed_of(entity, "sub_2").metadata_json["outcome"] == "not_needed"


def test_t123_a_third_subscription_that_survives_is_looked_at_before_anything_is_cancelled(
    entity, provider, pair
):
    """T-123: the stored choice may be dead at the provider, and then the duplicate is needed."""
    survivor, _ = pair
    third = factories.subscription(
        entity, survivor.plan, survivor.billing_customer, "sub_0", is_current=False, status="active"
    )
    change(entity, survivor, is_current=False)
    change(entity, third, is_current=True)
    provider.things["sub_1"] |= {"status": "canceled", "ended_at": provider.now}
    provider.hold(
        payloads.subscription(
            "sub_0", status="canceled", items=[payloads.item("si_0")], ended_at=provider.now
        )
    )

    with frozen():
        remediation_work.tick(limit=1)

    assert provider.wrote == []
    assert "sub_0" in provider.asked
    assert subscription(entity, "sub_2").is_current


@pytest.mark.parametrize("how", ["canceled", "gone"])
def test_t123_a_duplicate_that_has_ended_needs_nothing(entity, provider, pair, how):
    """T-123: terminal or unknown at the provider: done, no call."""
    if how == "gone":
        del provider.things["sub_2"]
    else:
        provider.things["sub_2"] |= {"status": "canceled", "ended_at": provider.now}

    with frozen():
        remediation_work.tick()

    row = owed(entity)
    assert provider.wrote == []
    assert row.status == "succeeded"
    assert row.metadata_json["outcome"] == ("already_ended" if how == "gone" else "not_needed")


def test_t123_a_provider_that_knows_neither_is_the_wrong_one(entity, provider, pair):
    """T-123: a wrong key must not close the row as done."""
    provider.things.clear()

    with frozen():
        remediation_work.tick()

    assert owed(entity).status == "failed"
    assert subscription(entity, "sub_1").is_current


def test_a_duplicate_that_ends_while_we_cancel_it_is_done(entity, provider, pair):
    provider.fails("cancel sub_2", missing(provider.now))

    with frozen():
        remediation_work.tick()

    row = owed(entity)
    assert (row.status, row.metadata_json["outcome"]) == ("succeeded", "already_ended")


def test_t123_a_provider_that_does_not_answer_cancels_nothing(entity, provider, pair):
    """T-123: without a look there is no choice."""
    provider.is_down = True

    with frozen():
        remediation_work.tick()

    assert provider.wrote == []
    assert owed(entity).status == "failed"


@pytest.mark.parametrize(
    ("attempt", "retry_after", "seconds"), [(1, None, 120), (5, None, 600), (1, 900, 900)]
)
def test_t128_a_failed_remediation_waits_the_base_times_its_attempt(
    entity, provider, pair, attempt, retry_after, seconds
):
    """T-128: 120 s times the number of the attempt, or Retry-After."""
    with factories.locked(entity):
        Remediation.objects.update(attempt_count=attempt - 1)
    provider.fails("cancel sub_2", trouble(retry_after=retry_after))

    with frozen():
        remediation_work.tick()

    row = owed(entity)
    assert (row.status, row.next_attempt_at) == ("failed", NOW + dt.timedelta(seconds=seconds))


def test_t129_the_sixth_failure_makes_a_dead_letter(entity, provider, pair, fired):
    """T-129: and it is not opened again by another sight of the duplicate (T-124)."""
    with factories.locked(entity):
        Remediation.objects.update(attempt_count=5, status="failed")
    provider.fails("cancel sub_2", trouble())

    with frozen():
        remediation_work.tick()
    owe_cancellation(entity, *pair)

    assert owed(entity).status == "dead_letter"
    assert "REMEDIATION_DEAD_LETTER" in fired


def test_t126_a_worker_that_lost_its_lease_cancels_nothing(entity, provider, pair, fired):
    """T-126: version and time are asserted right before the call, after the choice."""
    owed_rows = remediation_work.queue()
    with frozen():
        stale = leasing.claim_next(owed_rows, tenant_id=entity.tenant_id)
    with frozen(seconds=91):
        fresh = leasing.claim_next(owed_rows, tenant_id=entity.tenant_id, owner="quick")
        remediation_work.execute(owed_rows, stale)

    row = owed(entity)
    assert provider.wrote == []
    assert fired == ["REMEDIATION_LEASE_FENCED"]
    assert (row.status, row.lease_owner, row.lease_version) == ("in_progress", "quick", fresh.lease_version)


def test_t126_a_lease_lost_between_the_choice_and_the_call_stops_the_call(entity, provider, pair, fired):
    """T-126: another worker takes the row while this one is on its way to the provider."""

    def rival(name: str) -> None:
        if name == "billing.remediation.decided":
            with factories.locked(entity):
                Remediation.objects.update(lease_version=99)

    with frozen(), failpoints.watched(rival):
        remediation_work.tick()

    assert provider.wrote == []
    assert fired[-1] == "REMEDIATION_LEASE_FENCED"


@pytest.mark.parametrize("point", ["claimed", "decided", "dispatched"])
def test_t127_a_remediation_whose_worker_died_is_finished_by_the_next(entity, provider, pair, point):
    """T-127: wherever it died, the duplicate ends and the survivor lives."""
    with frozen(), dying_at(f"billing.remediation.{point}"):
        remediation_work.tick()

    with frozen(seconds=300):
        assert remediation_work.tick() == 1

    row = owed(entity)
    assert (row.status, row.attempt_count) == ("succeeded", 2)
    assert provider.things["sub_2"]["status"] == "canceled"
    assert provider.things["sub_1"]["status"] == "active"
    assert len(provider.wrote) == 1


@pytest.mark.parametrize(
    ("status", "outcome", "reopened"),
    [
        ("succeeded", "not_needed", True),
        ("succeeded", "canceled", False),
        ("succeeded", "already_ended", False),
        ("dead_letter", None, False),
        ("failed", None, False),
        ("pending", None, False),
    ],
)
def test_t124_only_one_that_was_not_needed_is_owed_again(entity, provider, pair, status, outcome, reopened):
    """T-124: a remediation is reopened from succeeded/not_needed and from nothing else."""
    with factories.locked(entity):
        Remediation.objects.update(
            status=status, metadata_json={"outcome": outcome} if outcome else {}, attempt_count=3
        )

    with factories.locked(entity):
        is_owed = remediation.require(
            entity=entity,
            canonical=pair[0],
            duplicate=pair[1],
            operation_key=None,
            provider_event_id=None,
            now=NOW,
        )

    row = owed(entity)
    assert is_owed is reopened
    assert (row.status, row.attempt_count) == (("pending", 0) if reopened else (status, 3))


def test_t124_one_in_progress_is_not_reopened(entity, provider, pair):
    """T-124: somebody is at it."""
    with frozen():
        held = leasing.claim_next(remediation_work.queue(), tenant_id=entity.tenant_id)
    owe_cancellation(entity, *pair)

    row = owed(entity)
    assert (row.status, row.lease_version) == ("in_progress", held.lease_version)


def test_the_survivor_itself_is_never_owed_a_cancellation(entity, provider, pair):
    with factories.locked(entity), pytest.raises(ValueError, match="survivor"):
        remediation.require(
            entity=entity,
            canonical=pair[0],
            duplicate=pair[0],
            operation_key=None,
            provider_event_id=None,
            now=NOW,
        )


def test_t132_a_remediation_for_another_provider_asks_nobody(entity, provider, pair, settings, fired):
    """T-132: fails with BILLING_PROVIDER_MISMATCH."""
    import dataclasses

    settings.BILLING = dataclasses.replace(settings.BILLING, provider="other")

    with frozen():
        remediation_work.tick()

    row = owed(entity)
    assert provider.asked == []
    assert row.status == "failed"
    assert "PROVIDER_MISMATCH" in fired


def test_t125_workers_beside_each_other_cancel_once(live_db, provider):
    """T-125: six workers on real connections, one duplicate."""
    entity = factories.workspace_entity()
    survivor, duplicate = two_subscriptions(provider, entity)
    owe_cancellation(entity, survivor, duplicate)

    def work(_: int) -> int:
        try:
            return remediation_work.tick()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        tried = sum(pool.map(work, range(6)))

    assert tried == 1
    assert len(provider.wrote) == 1
    assert owed(entity).attempt_count == 1


def owed_of(entity, duplicate_id: str) -> Remediation:
    with tenancy.tenant_scope(entity.tenant_id):
        return Remediation.objects.get(duplicate_provider_subscription_id=duplicate_id)
