"""The outbox: leases, fencing, backoff, dead letters (style.md 5, ruling 16)."""

import datetime as dt
import threading

import pytest
from celery import current_app
from django.db import connections, transaction

from settld.core import tenancy
from settld.outbox import bell, kinds, queries, services
from settld.outbox.models import OutboxJob
from settld.outbox.services import leases
from tests.support.api import body

KIND = "tests.kind"
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)  # after every created job
LONG = dt.timedelta(minutes=10)


@pytest.fixture
def worked(monkeypatch):
    """Register a kind whose handler notes the jobs it got, and may be told to fail."""
    seen: list[str] = []
    faults: dict[str, Exception] = {}

    def handler(job):
        seen.append(job.dedupe_key)
        if job.dedupe_key in faults:
            raise faults[job.dedupe_key]

    monkeypatch.setattr(kinds, "_kinds", {})
    kinds.register_kind(KIND, handler, most_attempts=3)
    seen_faults = type("Worked", (list,), {})()
    seen_faults.faults = faults
    seen_faults.seen = seen
    return seen_faults


@pytest.fixture
def tenant(db, worked):
    with tenancy.tenant_scope("tenant_a"):
        yield worked


def owe(key="k1", tenant_id="tenant_a", **options):
    return services.enqueue(tenant_id=tenant_id, kind=KIND, dedupe_key=key, payload={"n": 1}, **options)


def claim(now=NOW, owner="w1"):
    return leases.claim_next(tenant_id="tenant_a", owner=owner, now=now)


class TestEnqueue:
    def test_a_job_exists_iff_its_transaction_commits(self, tenant):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            owe()
            raise ZeroDivisionError
        assert OutboxJob.objects.count() == 0

    def test_the_dedupe_key_is_the_jobs_identity_within_the_tenant(self, tenant):
        assert (owe(), owe(), owe("k2")) == (True, False, True)
        with tenancy.tenant_scope("tenant_b"):
            assert owe(tenant_id="tenant_b") is True

    def test_the_bell_rings_after_the_commit_and_a_dead_broker_changes_nothing(
        self, tenant, monkeypatch, django_capture_on_commit_callbacks
    ):
        rung = []

        def send_task(name, **options):
            rung.append((name, options["kwargs"]))
            raise ConnectionError("redis is away")

        monkeypatch.setattr(bell, "_quiet_until", 0.0)
        monkeypatch.setattr(current_app._get_current_object(), "send_task", send_task)
        with django_capture_on_commit_callbacks(execute=True):
            owe()
            assert rung == []
        assert rung == [("outbox.drain_due", {"tenant_id": "tenant_a"})]
        with django_capture_on_commit_callbacks(execute=True):
            owe("k2")
        assert len(rung) == 1  # quiet for a while after a failure
        assert services.drain(tenant_id="tenant_a", now=NOW) == 2


class TestLeases:
    def test_a_claimed_job_is_not_claimed_again_while_its_lease_holds(self, tenant):
        owe()
        job = claim()
        assert (job.status, job.lease_version, job.attempt_count, job.lease_owner) == ("leased", 1, 1, "w1")
        assert claim() is None

    def test_a_job_that_is_not_due_waits(self, tenant):
        owe(available_at=NOW + LONG)
        assert claim() is None
        assert claim(NOW + LONG).dedupe_key == "k1"

    def test_an_abandoned_job_goes_to_another_worker_and_the_first_cannot_finish_it(self, tenant):
        owe()
        first = claim()
        second = claim(NOW + LONG, owner="w2")
        assert (second.pk, second.lease_version) == (first.pk, 2)
        assert leases.finish(first, now=NOW) is False
        assert leases.fail(first, error="late", now=NOW) is False
        assert leases.renew(first, now=NOW) is False
        assert OutboxJob.objects.get().status == "leased"
        assert leases.finish(second, now=NOW + LONG) is True
        assert leases.finish(second, now=NOW + LONG) is False
        job = OutboxJob.objects.get()
        assert (job.status, job.finished_at, job.lease_expires_at) == ("succeeded", NOW + LONG, None)

    def test_renewing_lengthens_the_lease(self, tenant):
        owe()
        job = claim()
        assert leases.renew(job, now=NOW + dt.timedelta(seconds=100)) is True
        assert claim(NOW + dt.timedelta(seconds=130)) is None

    def test_a_kind_that_nobody_here_knows_is_left_for_a_worker_that_does(self, tenant):
        services.enqueue(tenant_id="tenant_a", kind="newer.kind", dedupe_key="x", payload={})
        assert claim() is None


class TestDrain:
    def test_each_job_is_worked_off_once(self, tenant):
        owe()
        owe("k2")
        assert services.drain(tenant_id="tenant_a", now=NOW) == 2
        assert services.drain(tenant_id="tenant_a", now=NOW) == 0
        assert tenant.seen == ["k1", "k2"]

    def test_due_tenants_are_found_and_served_in_turn(self, worked, db):
        for tenant_id in ("tenant_a", "tenant_b"):
            with tenancy.tenant_scope(tenant_id):
                owe(f"{tenant_id}-1", tenant_id=tenant_id)
                owe(f"{tenant_id}-2", tenant_id=tenant_id)
        assert services.drain(now=NOW, limit=3) == 3
        assert [key[-1] for key in worked.seen] == ["1", "1", "2"]
        assert services.drain(now=NOW) == 1

    def test_a_failure_waits_longer_each_time_then_becomes_a_dead_letter(self, tenant, monkeypatch):
        monkeypatch.setattr(leases.random, "uniform", lambda *_: 1.0)
        tenant.faults["k1"] = RuntimeError("no\x00pe")
        owe()
        waits, now = [], NOW
        for _ in range(3):
            assert services.drain(tenant_id="tenant_a", now=now) == 1
            job = OutboxJob.objects.get()
            waits.append((job.available_at - now).total_seconds() if job.status == "failed" else job.status)
            now += LONG
        assert waits == [2.0, 4.0, "dead_letter"]
        assert (job.last_error, job.attempt_count) == ("RuntimeError: nope", 3)
        assert services.drain(tenant_id="tenant_a", now=now) == 0

    def test_giving_up_is_a_dead_letter_at_once(self, tenant):
        tenant.faults["k1"] = kinds.GiveUp("never")
        owe()
        services.drain(tenant_id="tenant_a", now=NOW)
        assert OutboxJob.objects.get().status == "dead_letter"

    def test_a_dead_letter_comes_back_when_a_person_asks(self, tenant):
        tenant.faults["k1"] = kinds.GiveUp("never")
        owe()
        services.drain(tenant_id="tenant_a", now=NOW)
        assert services.requeue(tenant_id="tenant_a", dedupe_key="k1", now=NOW) is True
        tenant.faults.clear()
        assert services.drain(tenant_id="tenant_a", now=NOW) == 1
        assert services.requeue(tenant_id="tenant_a", dedupe_key="k1", now=NOW) is False

    def test_waits_stop_growing_at_an_hour(self):
        assert leases.delay_seconds(60) <= 3600 * 1.2

    def test_one_broken_job_does_not_stop_the_others(self, tenant):
        tenant.faults["k1"] = RuntimeError("x")
        owe()
        owe("k2")
        assert services.drain(tenant_id="tenant_a", now=NOW) == 2
        assert queries.open_by_kind(tenant_id="tenant_a") == {KIND: 1}


class TestRealConnections:
    def test_many_workers_do_each_job_once(self, live_db, worked):
        with tenancy.tenant_scope("tenant_a"):
            for number in range(40):
                owe(f"k{number}")

        def work():
            try:
                services.drain(now=NOW)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        services.drain(now=NOW)
        assert sorted(worked.seen) == sorted(f"k{number}" for number in range(40))

    def test_a_job_that_is_being_claimed_is_skipped_not_waited_for(self, live_db, worked):
        with tenancy.tenant_scope("tenant_a"):
            owe()
            owe("k2")
            claimed = []

            def rival():
                try:
                    with tenancy.tenant_scope("tenant_a"):
                        claimed.append(claim(owner="rival").dedupe_key)
                finally:
                    connections.close_all()

            with transaction.atomic():
                OutboxJob.objects.select_for_update().get(dedupe_key="k1")
                thread = threading.Thread(target=rival)
                thread.start()
                thread.join(30)
            assert claimed == ["k2"]


def test_another_tenants_jobs_are_invisible_and_uncounted(tenant, api):
    owe()
    assert body(api.get("/ops/status"))["backlog"]["outboxByKind"] == {KIND: 1}
    assert body(api.as_tenant("tenant_b").get("/ops/status"))["backlog"]["outboxByKind"] == {}
    with tenancy.tenant_scope("tenant_b"):
        assert leases.claim_next(tenant_id="tenant_a", owner="w", now=NOW) is None
        assert OutboxJob.objects.count() == 0


def test_healthz_counts_open_jobs_of_all_tenants(tenant, api, monkeypatch):
    owe()
    assert queries.health_detail() == {"outboxPending": 1}


def test_a_second_handler_for_a_kind_is_refused(worked):
    with pytest.raises(ValueError, match="handler already"):
        kinds.register_kind(KIND, lambda job: None)
