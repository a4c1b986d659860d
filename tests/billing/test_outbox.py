"""Effects owed to the provider: leases, retries, dead letters, the end of a checkout session (9.1)."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connections

from billing.models import BillingOutboxJob
from billing.services import leasing, outbox
from billing.services.leasing import Fenced
from settld.core import clock, tenancy
from tests.billing import factories, payloads
from tests.billing.checkouts import dying_at
from tests.billing.workers import (
    NOW,
    WorkerProvider,
    fired,
    frozen,
    job,
    jobs,
    owe,
    owe_expiry,
    provider,
    trouble,
)

__all__ = ["fired", "provider"]
AFTER_LEASE = {"seconds": 61}


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def open_session(provider: WorkerProvider, session_id: str = "cs_1") -> None:
    provider.hold(payloads.session(session_id, status="open"))


def test_an_open_session_is_expired_once_under_a_key_of_the_row(entity, provider, fired):
    open_session(provider)
    owe_expiry(entity)

    with frozen():
        tried = (outbox.tick(), outbox.tick())

    row = job(entity)
    assert tried == (1, 0)
    assert [(verb, what) for verb, what, _ in provider.wrote] == [("expire", "cs_1")]
    assert len(provider.wrote[0][2]) == 64
    assert (row.status, row.attempt_count, row.finished_at, row.lease_expires_at) == (
        "succeeded",
        1,
        NOW,
        None,
    )
    assert fired == ["ORPHAN_CHECKOUT_SESSION_CLEANUP_ATTEMPT"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("expired", ["ORPHAN_CHECKOUT_SESSION_CLEANUP_ATTEMPT"]),
        ("complete", ["ORPHAN_CHECKOUT_SESSION_CLEANUP_ATTEMPT", "ORPHAN_CHECKOUT_SESSION_COMPLETED"]),
    ],
)
def test_t073_a_session_that_has_ended_is_left_alone(entity, provider, fired, status, said):
    """T-073: the expire job finds the session complete; that is as good, and said."""
    provider.hold(payloads.session(status=status))
    owe_expiry(entity)

    with frozen():
        outbox.tick()

    assert job(entity).status == "succeeded"
    assert provider.wrote == []
    assert fired == said


def test_t073_a_session_completed_between_our_look_and_our_call_ends_the_job_well(entity, provider, fired):
    """T-073: the race itself: the provider refuses to expire it, and says that it is complete."""
    open_session(provider)
    provider.before_write.append(lambda: provider.things["cs_1"].update(status="complete"))
    owe_expiry(entity)

    with frozen():
        outbox.tick()

    assert job(entity).status == "succeeded"
    assert fired[-1] == "ORPHAN_CHECKOUT_SESSION_COMPLETED"


def test_a_refusal_of_a_session_that_is_still_open_is_a_failure(entity, provider, fired):
    open_session(provider)
    refusal = trouble()
    refusal.category, refusal.http_status = "invalid_request", 400
    provider.fails("expire cs_1", refusal)
    owe_expiry(entity)

    with frozen():
        outbox.tick()

    assert job(entity).status == "failed"
    assert fired == ["ORPHAN_CHECKOUT_SESSION_CLEANUP_ATTEMPT", "ORPHAN_CHECKOUT_SESSION_CLEANUP_FAILURE"]


def test_t125_a_retry_after_a_death_before_the_row_was_closed_sends_nothing_twice(entity, provider):
    """T-125: the provider did it, the process died; whoever comes next finds it done."""
    open_session(provider)
    owe_expiry(entity)
    with frozen(), dying_at("billing.outbox.dispatched"):
        outbox.tick()

    with frozen(**AFTER_LEASE):
        outbox.tick()

    row = job(entity)
    assert (row.status, row.attempt_count) == ("succeeded", 2)
    assert len(provider.wrote) == 1


def test_t125_each_attempt_has_a_key_of_its_own_and_keeps_it(entity, provider):
    """T-125: a failure that the provider saved under one key must not be the answer for ever."""
    open_session(provider)
    provider.fails("expire cs_1", trouble(), trouble())
    owe_expiry(entity)

    for seconds in (0, 61, 200):
        with frozen(seconds=seconds):
            outbox.tick()

    keys = [key for _, _, key in provider.wrote]
    assert job(entity).status == "succeeded"
    assert len(keys) == len(set(keys)) == 3


def test_t126_a_worker_that_lost_its_lease_asks_the_provider_for_nothing(entity, provider, fired):
    """T-126: the lease is asserted before the call; the one who lost it writes no retry either."""
    open_session(provider)
    owe_expiry(entity)
    queue = outbox.queue()
    with frozen():
        stale = leasing.claim_next(queue, tenant_id=entity.tenant_id, owner="slow")
    with frozen(**AFTER_LEASE):
        fresh = leasing.claim_next(queue, tenant_id=entity.tenant_id, owner="quick")
        before = job(entity)
        outbox.execute(queue, stale)

    after = job(entity)
    assert provider.wrote == []
    assert "OUTBOX_LEASE_FENCED" in fired
    assert (after.lease_owner, after.lease_version, after.status) == ("quick", fresh.lease_version, "leased")
    assert after.updated_at == before.updated_at


@pytest.mark.parametrize("end", [leasing.finish, lambda *row: leasing.fail(*row, error="late")])
def test_t126_a_stale_worker_closes_nothing(entity, fired, end):
    """T-126: finish and fail are compare-and-set on the lease version (INV-39)."""
    owe_expiry(entity)
    queue = outbox.queue()
    with frozen():
        stale = leasing.claim_next(queue, tenant_id=entity.tenant_id)
    with frozen(**AFTER_LEASE):
        fresh = leasing.claim_next(queue, tenant_id=entity.tenant_id)
        leasing.finish(queue, fresh)
        with pytest.raises(Fenced):
            end(queue, stale)

    row = job(entity)
    assert (row.status, row.last_error_text, row.lease_version) == (
        "succeeded",
        None,
        fresh.lease_version + 1,
    )
    assert fired == ["OUTBOX_LEASE_FENCED"]


def test_t126_a_lease_that_ran_out_is_no_right_to_call_even_if_nobody_took_it(entity, provider, fired):
    """T-126: another worker may take the row at any moment then."""
    open_session(provider)
    owe_expiry(entity)
    queue = outbox.queue()
    with frozen():
        late = leasing.claim_next(queue, tenant_id=entity.tenant_id)
    with frozen(**AFTER_LEASE):
        outbox.execute(queue, late)

    assert provider.wrote == []
    assert fired[-1] == "OUTBOX_LEASE_FENCED"


def test_t127_a_row_whose_worker_died_is_taken_again_when_its_lease_is_over(entity, provider):
    """T-127, INV-41: no lease strands a row; taking it again counts as an attempt and moves the version."""
    open_session(provider)
    owe_expiry(entity)
    with frozen(), dying_at("billing.outbox.claimed"):
        outbox.tick()
    held = job(entity)

    with frozen(seconds=59):
        assert outbox.tick() == 0
    with frozen(seconds=60):
        assert outbox.tick() == 1

    row = job(entity)
    assert (held.status, held.attempt_count) == ("leased", 1)
    assert (row.status, row.attempt_count) == ("succeeded", 2)
    assert row.lease_version > held.lease_version


def test_t127_a_job_that_kills_its_worker_each_time_is_given_up(entity, provider, fired, settings):
    """T-127: a lease that ran out is an attempt, so the attempts end."""
    owe_expiry(entity)
    most = settings.BILLING.outbox_max_attempts
    for attempt in range(most):
        with frozen(seconds=61 * attempt), dying_at("billing.outbox.claimed"):
            outbox.tick()

    with frozen(seconds=61 * most):
        assert outbox.tick() == 0

    row = job(entity)
    assert (row.status, row.attempt_count, row.last_error_text) == ("dead_letter", most, leasing.ABANDONED)
    assert fired == ["OUTBOX_DEAD_LETTER"]


@pytest.mark.parametrize(
    ("attempt", "retry_after", "seconds"),
    [(1, None, 60), (2, None, 120), (7, None, 420), (1, 30, 60), (1, 600, 600), (3, 181, 181)],
)
def test_t128_a_failed_job_waits_the_base_times_its_attempt_or_as_long_as_told(
    entity, provider, attempt, retry_after, seconds
):
    """T-128: 60 s times the number of the attempt, or the provider's Retry-After if that is longer."""
    open_session(provider)
    row = owe_expiry(entity)
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.filter(pk=row.pk).update(attempt_count=attempt - 1)
    provider.fails("cs_1", trouble(retry_after=retry_after))

    with frozen():
        outbox.tick()

    row = job(entity)
    assert (row.status, row.attempt_count) == ("failed", attempt)
    assert row.available_at == NOW + dt.timedelta(seconds=seconds)
    assert "try later" in row.last_error_text
    with frozen(seconds=seconds - 1):
        assert outbox.tick() == 0
    with frozen(seconds=seconds):
        assert outbox.tick() == 1


def test_t129_the_last_failure_makes_a_dead_letter_that_nobody_tries_again(entity, provider, fired, settings):
    """T-129: the eighth failure."""
    open_session(provider)
    row = owe_expiry(entity)
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.filter(pk=row.pk).update(
            attempt_count=settings.BILLING.outbox_max_attempts - 1, status="failed"
        )
    provider.fails("cs_1", trouble())

    with frozen():
        outbox.tick()
    with frozen(days=365):
        assert outbox.tick() == 0

    row = job(entity)
    assert (row.status, row.finished_at, row.lease_expires_at) == ("dead_letter", NOW, None)
    assert fired[-1] == "OUTBOX_DEAD_LETTER"


def test_t130_one_job_per_type_and_key(entity):
    """T-130, INV-40: owing it again owes nothing more, whatever became of the first."""
    first = owe_expiry(entity, "cs_1")
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.filter(pk=first.pk).update(status="succeeded")
    owe_expiry(entity, "cs_1")
    owe_expiry(entity, "cs_2")
    owe(entity, "something_else", "expire_checkout_session:cs_1")

    assert [(row.job_type, row.dedupe_key, row.status) for row in jobs(entity)] == [
        ("expire_checkout_session", "expire_checkout_session:cs_1", "succeeded"),
        ("expire_checkout_session", "expire_checkout_session:cs_2", "pending"),
        ("something_else", "expire_checkout_session:cs_1", "pending"),
    ]


def test_t131_a_type_that_nobody_knows_is_given_up_at_once(entity, provider, fired):
    """T-131: never called done, never tried again."""
    owe(entity, "send_flowers")

    with frozen():
        outbox.tick()

    row = job(entity)
    assert (row.status, row.attempt_count) == ("dead_letter", 1)
    assert "send_flowers" in row.last_error_text
    assert fired == ["OUTBOX_DEAD_LETTER"]


def test_t132_a_job_for_another_provider_fails_and_asks_nobody(entity, provider, fired):
    """T-132: BILLING_PROVIDER_MISMATCH, and a retry like any failure."""
    owe_expiry(entity, provider="paypal")

    with frozen():
        outbox.tick()

    row = job(entity)
    assert provider.asked == provider.wrote == []
    assert (row.status, row.attempt_count) == ("failed", 1)
    assert "BILLING_PROVIDER_MISMATCH" in row.last_error_text
    assert "PROVIDER_MISMATCH" in fired


def test_a_payload_without_a_session_is_a_failure_not_a_crash(entity, provider):
    owe(entity, outbox.EXPIRE_CHECKOUT_SESSION, provider="stripe")

    with frozen():
        outbox.tick()

    assert job(entity).status == "failed"


def test_tenants_take_turns_whatever_one_of_them_owes(db, provider):
    busy, other = factories.workspace_entity("tenant_a"), factories.workspace_entity("tenant_b")
    for number in range(5):
        open_session(provider, f"cs_a{number}")
        owe_expiry(busy, f"cs_a{number}")
    open_session(provider, "cs_b")
    owe_expiry(other, "cs_b")

    with frozen():
        assert outbox.tick(limit=2) == 2

    assert job(other).status == "succeeded"
    assert [row.status for row in jobs(busy)].count("succeeded") == 1


def test_a_tenant_whose_rows_cannot_be_locked_keeps_nobody_else(db, provider, monkeypatch):
    stuck, other = factories.workspace_entity("tenant_a"), factories.workspace_entity("tenant_b")
    for entity in (stuck, other):
        open_session(provider, f"cs_{entity.tenant_id}")
        owe_expiry(entity, f"cs_{entity.tenant_id}")
    claim = leasing.claim_next

    def claim_or_wait(queue, *, tenant_id: str, owner: str | None = None):
        if tenant_id == stuck.tenant_id:
            raise OperationalError("canceling statement due to lock timeout")
        return claim(queue, tenant_id=tenant_id, owner=owner)

    monkeypatch.setattr(leasing, "claim_next", claim_or_wait)
    with frozen():
        assert outbox.tick() == 1

    assert (job(stuck).status, job(other).status) == ("pending", "succeeded")


def test_a_slow_provider_does_not_make_a_tick_endless(entity, provider):
    """What is left is the next tick's, a few seconds later."""
    for number in range(3):
        open_session(provider, f"cs_{number}")
        owe_expiry(entity, f"cs_{number}")
    with frozen() as move:
        for minutes in (1, 2):
            provider.before_write.append(lambda at=NOW + dt.timedelta(seconds=31 * minutes): move(at))

        assert outbox.tick() == 2


def test_t125_workers_beside_each_other_do_each_job_once(live_db, provider):
    """T-125: eight workers, real connections; SKIP LOCKED gives each row to one of them."""
    entity = factories.workspace_entity()
    for number in range(16):
        open_session(provider, f"cs_{number}")
        owe_expiry(entity, f"cs_{number}")

    def work(_: int) -> int:
        try:
            return outbox.tick(limit=25)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        tried = sum(pool.map(work, range(8)))

    assert tried == 16
    assert len(provider.wrote) == len({what for _, what, _ in provider.wrote}) == 16
    assert {(row.status, row.attempt_count) for row in jobs(entity)} == {("succeeded", 1)}


def test_a_due_row_that_another_worker_has_locked_is_skipped(live_db):
    entity = factories.workspace_entity()
    owe_expiry(entity, "cs_1")
    owe_expiry(entity, "cs_2")
    queue = outbox.queue()

    def rival(_: int) -> str | None:
        try:
            row = leasing.claim_next(queue, tenant_id=entity.tenant_id)
            return None if row is None else row.dedupe_key
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, factories.locked(entity):
        BillingOutboxJob.objects.select_for_update().get(dedupe_key__endswith="cs_1")
        taken = pool.submit(rival, 0).result(timeout=20)

    assert taken == "expire_checkout_session:cs_2"


def test_our_clock_is_the_databases_when_nobody_stops_it(live_db):
    """Leases of all processes are judged by one clock."""
    entity = factories.workspace_entity()
    owe_expiry(entity)

    leasing.claim_next(outbox.queue(), tenant_id=entity.tenant_id)

    left = (job(entity).lease_expires_at - clock.db_now()).total_seconds()
    assert 50 < left <= 60
