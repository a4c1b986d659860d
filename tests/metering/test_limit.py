"""The hard limit of verified runs (settld-billing-and-finance 2.2)."""

import datetime as dt
import threading

import pytest
from django.db import connection

from settld.core import tenancy, transactions
from settld.metering import limit as limits
from settld.metering.limit import HardLimit
from settld.metering.models import UsageCounter, UsageEvent
from settld.metering.services import usage
from settld.metering.services.usage import BillingPlanLimitExceeded

NOW = dt.datetime(2026, 3, 31, 23, 59, tzinfo=dt.UTC)
PLAN = "/ops/finance/billing/plan"


def run(number, *, now=NOW, quantity=1):
    with tenancy.tenant_scope("tenant_a"), transactions.atomic():
        return usage.record_verified_run(
            tenant_id="tenant_a", run_id=f"run_{number}", run_event_id="ev", settlement_id=None,
            quantity=quantity, now=now,
        )  # fmt: skip


def used(period="2026-03"):
    with tenancy.tenant_scope("tenant_a"):
        events = UsageEvent.objects.filter(period=period).count()
        counted = UsageCounter.objects.filter(period=period, event_type="verified_run").first()
    assert (counted.event_count if counted else 0) == events
    return counted.quantity if counted else 0


def limit_to(api, most, *, is_enforced=True, plan="builder"):
    sent = {"plan": plan, "planOverrides": {"hardLimitVerifiedRunsPerMonth": most}}
    assert api.put(PLAN, sent | {"hardLimitEnforced": is_enforced}).status_code == 200


def test_the_run_beyond_the_limit_is_refused_with_what_it_ran_into_and_writes_nothing(db, api):
    limit_to(api, 2)
    run(1)
    run(2)

    with pytest.raises(BillingPlanLimitExceeded) as refused:
        run(3)

    assert (refused.value.status, refused.value.code) == (402, "BILLING_PLAN_LIMIT_EXCEEDED")
    assert refused.value.message == "billing plan verified-run limit exceeded"
    assert refused.value.details == {
        "period": "2026-03", "plan": "builder", "hardLimitVerifiedRunsPerMonth": 2, "usedVerifiedRuns": 2,
        "attemptedQuantity": 1, "projectedVerifiedRuns": 3,
    }  # fmt: skip
    assert used() == 2


def test_a_refusal_in_an_empty_month_leaves_not_even_a_counter(db, api):
    limit_to(api, 1)

    with pytest.raises(BillingPlanLimitExceeded):
        run(1, quantity=2)

    with tenancy.tenant_scope("tenant_a"):
        assert not UsageCounter.objects.exists()


def test_a_replayed_completion_is_neither_charged_nor_refused(db, api):
    limit_to(api, 1)
    run(1)

    assert run(1).is_new is False
    assert used() == 1


def test_lowering_the_limit_below_use_blocks_at_once_and_lifting_it_lets_runs_pass(db, api):
    run(1)
    run(2)

    limit_to(api, 1)
    with pytest.raises(BillingPlanLimitExceeded):
        run(3)
    limit_to(api, 1, is_enforced=False)
    run(3)
    limit_to(api, 0)
    run(4)

    assert used() == 4


def test_a_new_calendar_month_starts_at_zero(db, api):
    limit_to(api, 1)
    run(1)

    run(2, now=NOW + dt.timedelta(minutes=1))

    assert (used(), used("2026-04")) == (1, 1)


def test_the_free_plan_limits_by_itself_and_a_subscription_that_does_not_entitle_changes_nothing(db, api):
    run(1, quantity=1000)
    api.put("/ops/finance/billing/subscription", {"subscription": {"plan": "growth", "status": "incomplete"}})

    with pytest.raises(BillingPlanLimitExceeded) as refused:
        run(2)
    assert refused.value.details["plan"] == "free"

    api.put("/ops/finance/billing/subscription", {"subscription": {"plan": "growth", "status": "active"}})
    assert run(2).is_new


def test_the_limit_is_asked_again_under_the_lock(db, monkeypatch):
    """Whoever lowered it while we waited is obeyed."""
    answers = iter([HardLimit("free", 10), HardLimit("free", 1), HardLimit("free", 10), None])
    monkeypatch.setattr(limits, "_registered", lambda *, tenant_id: next(answers))

    with pytest.raises(BillingPlanLimitExceeded):
        run(1, quantity=2)
    assert run(1, quantity=20).is_new


@pytest.mark.parametrize(("most", "statements"), [(0, 2), (9, 4)])
def test_a_run_costs_few_statements(db, api, django_assert_num_queries, most, statements):
    limit_to(api, most)
    run(1)

    with tenancy.tenant_scope("tenant_a"), transactions.atomic(), django_assert_num_queries(statements):
        usage.record_verified_run(
            tenant_id="tenant_a", run_id="run_2", run_event_id="ev", settlement_id=None, now=NOW
        )


# --- Real connections -----------------------------------------------------------------------------
RIVALS = 8


def together(count):
    """Complete runs on connections of their own, all at the gate before the first goes through."""
    gate, outcomes = threading.Barrier(count), []

    def complete(number):
        try:
            gate.wait()
            run(f"rival_{number}")
            outcomes.append("done")
        except BillingPlanLimitExceeded as refusal:
            outcomes.append(f"refused at {refusal.details['usedVerifiedRuns']}")
        finally:
            connection.close()

    threads = [threading.Thread(target=complete, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize("before", [0, 4])
def test_of_many_completions_with_one_unit_left_exactly_one_succeeds(live_db, api, before):
    limit_to(api, before + 1)
    if before:
        run("before", quantity=before)

    outcomes = together(RIVALS)

    assert sorted(outcomes) == ["done", *[f"refused at {before + 1}"] * (RIVALS - 1)]
    with tenancy.tenant_scope("tenant_a"):
        assert UsageCounter.objects.get(event_type="verified_run").quantity == before + 1


def test_completions_without_a_limit_all_count(live_db, api):
    limit_to(api, 0)

    assert together(RIVALS) == ["done"] * RIVALS
    assert used() == RIVALS


def test_who_waits_for_the_last_unit_gets_it_when_the_holder_fails(live_db, api):
    limit_to(api, 1)
    outcomes = []

    def complete():
        try:
            outcomes.append(run("waiting").is_new)
        finally:
            connection.close()

    waiting = threading.Thread(target=complete)
    with pytest.raises(RuntimeError, match="failed later"), tenancy.tenant_scope("tenant_a"):
        with transactions.atomic():
            usage.record_verified_run(
                tenant_id="tenant_a", run_id="holder", run_event_id="ev", settlement_id=None, now=NOW
            )
            waiting.start()
            waiting.join(timeout=0.3)
            assert outcomes == []
            raise RuntimeError("failed later")
    waiting.join()

    assert outcomes == [True]
    assert used() == 1
