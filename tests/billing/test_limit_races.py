"""Quotas and first uses under real connections: T-017, T-170, INV-1, INV-42, INV-43."""

import threading

import pytest
from django.db import connection

from billing.models import BillableEntity, UsageCounter, UsageEvent
from billing.services import entities, limits
from billing.services.limit_refusals import LimitExceeded
from settld.core import tenancy
from settld.tenants.models import Tenant
from tests.billing import factories as make
from tests.billing import people
from tests.billing.factories import NOW
from tests.billing.test_limits import CODE, granting

THREADS = 8


def together(work, times=THREADS):
    """Run something in several threads that begin at once; gives what each gave or raised."""
    barrier, results = threading.Barrier(times), [None] * times

    def run(number):
        try:
            barrier.wait(timeout=10)
            results[number] = work(number)
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def test_t017_concurrent_first_uses_make_one_entity_and_one_tenant(live_db):
    ann = people.user("ann")
    make.tenant()
    guild = people.organization((ann, "owner"))

    for work in (
        lambda _: entities.of_workspace(tenant_id="tenant_a").pk,
        lambda _: entities.of_user(user_id=ann.pk).pk,
        lambda _: entities.of_organization(organization_id=guild.pk, user_id=ann.pk).pk,
        lambda _: entities.external(tenant_id="tenant_a", namespace="crm", external_id="1")[0].pk,
    ):
        found = together(work)
        assert len(set(found)) == 1, found
        assert isinstance(found[0], int)
    with tenancy.platform_scope(reason="tests"):
        assert BillableEntity.objects.count() == 4
    assert Tenant.objects.filter(tenant_id=f"user_{ann.pk}").count() == 1


def test_t017_the_loser_of_a_first_use_waits_for_the_winner(live_db):
    """By construction: the winner's insert is not committed while the loser's arrives."""
    make.tenant()
    inserted, answers = threading.Event(), []

    def lose():
        try:
            inserted.wait(timeout=10)
            answers.append(entities.of_workspace(tenant_id="tenant_a").pk)
        finally:
            connection.close()

    loser = threading.Thread(target=lose)
    loser.start()
    from settld.core import transactions

    with tenancy.tenant_scope("tenant_a"), transactions.atomic():
        winner = BillableEntity.objects.create(
            tenant_id="tenant_a", entity_type="workspace", workspace_id="tenant_a"
        )
        inserted.set()
        loser.join(timeout=0.5)
        assert loser.is_alive()
    loser.join(timeout=10)
    assert answers == [winner.pk]


@pytest.mark.parametrize("way", ["enforce", "reserve"])
def test_t170_a_hard_quota_is_exact_whoever_comes_together(live_db, way):
    entity = granting(limit=5)

    def use(number):
        if way == "enforce":
            return limits.enforce_limit_and_record_usage(
                entity=entity, limitation_code=CODE, action=lambda: "done", now=NOW
            )
        limits.confirm(
            limits.reserve(entity=entity, limitation_code=CODE, usage_event_key=f"k{number}", now=NOW),
            now=NOW,
        )
        return "done"

    outcomes = together(use)
    assert outcomes.count("done") == 5
    assert sum(isinstance(outcome, LimitExceeded) for outcome in outcomes) == 3
    with tenancy.tenant_scope(entity.tenant_id):
        assert list(UsageCounter.objects.values_list("usage_count", flat=True)) == [5]


def test_t170_one_key_sent_together_counts_once_and_every_caller_acts(live_db):
    entity = granting(limit=1)

    outcomes = together(
        lambda _: limits.enforce_limit_and_record_usage(
            entity=entity, limitation_code=CODE, action=lambda: "done", usage_event_key="k", now=NOW
        )
    )
    assert outcomes == ["done"] * THREADS
    with tenancy.tenant_scope(entity.tenant_id):
        assert UsageEvent.objects.count() == 1
        assert list(UsageCounter.objects.values_list("usage_count", flat=True)) == [1]


def test_t170_confirming_and_releasing_together_leave_counter_and_event_agreeing(live_db):
    entity = granting(limit=100)
    made = [
        limits.reserve(entity=entity, limitation_code=CODE, usage_event_key=f"k{number}", now=NOW)
        for number in range(4)
    ]

    def end(number):
        if number % 2:
            return limits.release(made[number // 2])
        return limits.confirm(made[number // 2], now=NOW)

    outcomes = together(end)
    assert outcomes == [None] * THREADS
    with tenancy.tenant_scope(entity.tenant_id):
        counted = UsageEvent.objects.filter(state="counted").count()
        assert counted == UsageEvent.objects.count() == 4  # whoever came first, what happened is counted
        assert list(UsageCounter.objects.values_list("usage_count", flat=True)) == [4]
