"""The sync by beat: stalest first, tenants in turn, one round at a time (2.5)."""

import dataclasses
import datetime as dt

import pytest

from tests.moneyrails import connect
from tests.moneyrails.connect import audits, put, shown, stripe

__all__ = ["stripe"]


@pytest.fixture(autouse=True)
def _interval(settings):
    settings.CONNECT_SYNC_INTERVAL_SECONDS = 900


def run(limit=100, budget_seconds=30.0):
    from moneyrails.services import connect_rounds

    return connect_rounds.sync_stale(limit=limit, budget_seconds=budget_seconds)


def last_synced(ago, *account_ids, tenant_id="tenant_a"):
    from moneyrails.models import ConnectAccount
    from settld.core import clock, tenancy

    with tenancy.tenant_scope(tenant_id):
        ConnectAccount.objects.filter(account_id__in=account_ids).update(
            kyb_last_sync_at=clock.db_now() - dt.timedelta(seconds=ago)
        )


def test_stale_accounts_of_every_tenant_are_synced_once(stripe, api):
    put(api, "acct_a")
    put(api, "acct_b")
    put(api.as_tenant("tenant_b"), "acct_c")
    last_synced(60, "acct_b")

    assert run() == {"synced": 2}
    assert run() == {}

    assert sorted(stripe.asked) == ["acct_a", "acct_c"]
    assert shown(api.as_tenant("tenant_b"), "acct_c")["kybStatus"] == "verified"


def test_never_synced_come_first_then_the_oldest_and_the_tenants_take_turns(stripe, api):
    from moneyrails.queries.connect import stalest
    from settld.core import clock

    for number in range(4):
        put(api, f"acct_a{number}")
        last_synced(5_000 - number, f"acct_a{number}")
    put(api, "acct_new")
    put(api.as_tenant("tenant_b"), "acct_b0")
    last_synced(1_000, "acct_b0", tenant_id="tenant_b")

    due = stalest(before=clock.db_now() - dt.timedelta(seconds=900), limit=4)

    assert due == [
        ("tenant_a", "acct_new"),
        ("tenant_b", "acct_b0"),
        ("tenant_a", "acct_a0"),
        ("tenant_a", "acct_a1"),
    ]


def test_a_round_is_bounded_and_the_next_goes_on(stripe, api):
    for number in range(5):
        put(api, f"acct_{number}")
    assert run(limit=3) == {"synced": 3}
    assert run(limit=3) == {"synced": 2}
    assert sorted(stripe.asked) == [f"acct_{number}" for number in range(5)]


def test_without_time_left_nobody_is_asked(stripe, api):
    put(api)
    assert run(budget_seconds=0) == {}
    assert stripe.asked == []


def test_an_account_that_fails_goes_to_the_end_of_the_queue(stripe, api):
    put(api, "acct_a")
    put(api, "acct_b")
    stripe.answers["acct_a"] = connect.failure()

    assert run(limit=2) == {"failed": 1, "synced": 1}
    assert run(limit=2) == {}

    assert shown(api, "acct_a")["kybLastSyncError"]["message"] == "no answer from Stripe"


def test_only_changes_are_audited(stripe, api):
    put(api)
    run()
    last_synced(5_000, "acct_a")
    run()
    assert [details["source"] for _, details in audits("STRIPE_CONNECT_ACCOUNT_CHANGED")] == ["beat"]
    assert audits("STRIPE_CONNECT_ACCOUNTS_SYNC") == []


def test_one_account_in_two_tenants_is_asked_for_once(stripe, api):
    put(api)
    put(api.as_tenant("tenant_b"))
    assert run() == {"synced": 2}
    assert stripe.asked == ["acct_a"]


def test_a_second_round_beside_the_first_does_nothing(stripe, api):
    put(api)
    ends = []
    stripe.meanwhile = lambda: ends.append(run())
    assert run() == {"synced": 1}
    assert ends == [{"busy": 1}]


def test_a_required_age_halves_the_interval(settings):
    from moneyrails.services import connect_rounds

    settings.CONNECT_SYNC_INTERVAL_SECONDS = 900
    settings.CONNECT_MAX_SYNC_AGE_SECONDS = 0
    assert connect_rounds.interval() == dt.timedelta(seconds=900)
    settings.CONNECT_MAX_SYNC_AGE_SECONDS = 600
    assert connect_rounds.interval() == dt.timedelta(seconds=300)


def test_without_a_key_there_is_no_round(stripe, api, settings):
    put(api)
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="")
    assert run() == {}


def test_one_account_s_trouble_does_not_keep_the_others(stripe, api, monkeypatch):
    from moneyrails.services import connect_writing

    put(api, "acct_a")
    put(api, "acct_b")
    plain = connect_writing.connect_facts.apply

    def apply(row, look, **more):
        if row.account_id == "acct_a":
            raise RuntimeError("boom")
        return plain(row, look, **more)

    monkeypatch.setattr(connect_writing.connect_facts, "apply", apply)
    assert run() == {"error": 1, "synced": 1}
    assert shown(api, "acct_b")["kybStatus"] == "verified"


def test_beat_wakes_the_task_and_the_task_runs_a_round(stripe, api, settings):
    from moneyrails import tasks

    put(api)
    assert settings.CELERY_BEAT_SCHEDULE["connect-sync"]["task"] == "moneyrails.sync_connect_accounts"
    tasks.sync_connect_accounts()
    assert shown(api)["kybStatus"] == "verified"
