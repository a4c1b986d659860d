"""Counting and refusing by what a plan grants: spec 7.8, T-170."""

import dataclasses
import datetime as dt

import pytest

from billing.models import UsageCounter, UsageEvent
from billing.services import limits, windows
from billing.services.limit_refusals import (
    AmountInvalid,
    EntitlementNotQuota,
    EntitlementUnknown,
    LimitExceeded,
    LimitNotConfigured,
    SubscriptionRequired,
)
from settld.core import clock, tenancy
from tests.billing import factories as make
from tests.billing.factories import NOW

CODE = "calls"
MONTH = (dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.datetime(2026, 4, 1, tzinfo=dt.UTC))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text + "+00:00")


@pytest.mark.parametrize(
    ("interval", "now", "start", "end"),
    [
        ("day", "2026-03-10T23:59:59.999", "2026-03-10", "2026-03-11"),
        ("day", "2026-03-11T00:00:00", "2026-03-11", "2026-03-12"),
        ("week", "2026-03-08T23:59:59", "2026-03-02", "2026-03-09"),
        ("week", "2026-03-09T00:00:00", "2026-03-09", "2026-03-16"),
        ("week", "2027-01-01T12:00:00", "2026-12-28", "2027-01-04"),
        ("month", "2024-02-29T23:59:59", "2024-02-01", "2024-03-01"),
        ("month", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("year", "2024-12-31T23:59:59", "2024-01-01", "2025-01-01"),
        ("lifetime", "2026-03-10T12:00:00", "1970-01-01", "9999-12-31T23:59:59.999"),
    ],
)
def test_t170_windows_are_utc_and_half_open(interval, now, start, end):
    assert windows.of(interval, now=at(now)) == (
        dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC),
        dt.datetime.fromisoformat(end).replace(tzinfo=dt.UTC),
    )


def test_t170_a_window_is_of_utc_wherever_the_clock_hangs():
    east = dt.timezone(dt.timedelta(hours=14))
    assert windows.of("day", now=dt.datetime(2026, 3, 11, 1, tzinfo=east)).start_at == at(
        "2026-03-10T00:00:00"
    )


def granting(limit=3, enforcement="hard", interval="month", schema="entitlement.quota.v1", value=None):
    """An entity whose current plan grants the code."""
    entity = make.workspace_entity()
    plan = make.plan()
    quota = {"limit": limit, "interval": interval, "enforcement": enforcement}
    make.entitlement(plan, CODE, schema, quota if value is None else value)
    make.subscription(entity, plan, make.customer(entity))
    return entity


def used(entity, window=MONTH):
    with tenancy.tenant_scope(entity.tenant_id):
        counters = UsageCounter.objects.filter(window_start_at=window[0], window_end_at=window[1])
        return sum(counters.values_list("usage_count", flat=True))


def events(entity):
    with tenancy.tenant_scope(entity.tenant_id):
        return dict(UsageEvent.objects.values_list("usage_event_key", "state"))


def enforce(entity, *, now=NOW, action=lambda: "done", **more):
    return limits.enforce_limit_and_record_usage(
        entity=entity, limitation_code=CODE, action=action, now=now, **more
    )


# --- Enforcing ------------------------------------------------------------------------------------
def test_t170_a_hard_quota_allows_its_limit_and_refuses_one_more(db):
    entity, ran = granting(limit=2), []

    for _ in range(2):
        assert enforce(entity, action=lambda: ran.append(1) or "done") == "done"
    with pytest.raises(LimitExceeded) as refused:
        enforce(entity, action=lambda: ran.append(1))

    assert (len(ran), used(entity)) == (2, 2)
    seconds = int((MONTH[1] - NOW).total_seconds())
    assert (refused.value.status, refused.value.code) == (429, "BILLING_LIMIT_EXCEEDED")
    assert refused.value.details == {
        "limitationCode": CODE,
        "billableEntityId": entity.pk,
        "reason": "quota_exceeded",
        "requestedAmount": 1,
        "limit": 2,
        "used": 2,
        "remaining": 0,
        "interval": "month",
        "enforcement": "hard",
        "windowEndAt": "2026-04-01T00:00:00.000Z",
        "retryAfterSeconds": seconds,
    }
    assert refused.value.headers == {"Retry-After": str(seconds)}


def test_t170_an_amount_above_what_is_left_or_above_the_limit_counts_nothing(db):
    entity = granting(limit=3)

    with pytest.raises(LimitExceeded) as first:
        enforce(entity, amount=4)
    assert (first.value.details["used"], first.value.details["remaining"]) == (0, 3)
    enforce(entity, amount=2)
    with pytest.raises(LimitExceeded):
        enforce(entity, amount=2)
    assert used(entity) == 2
    enforce(entity, amount=1)
    assert used(entity) == 3


def test_t170_a_limit_of_zero_refuses_everything(db):
    with pytest.raises(LimitExceeded):
        enforce(granting(limit=0))


def test_t170_a_soft_quota_counts_and_never_refuses(db):
    entity = granting(limit=1, enforcement="soft")
    for _ in range(3):
        enforce(entity, amount=2)
    assert used(entity) == 6


def test_t170_a_new_window_begins_from_nothing(db):
    entity = granting(limit=1)
    enforce(entity)
    with pytest.raises(LimitExceeded):
        enforce(entity, now=at("2026-03-31T23:59:59.999"))
    enforce(entity, now=at("2026-04-01T00:00:00"))
    assert used(entity) == 1


def test_t170_an_action_that_fails_is_not_counted(db):
    entity = granting(limit=1)

    def failing():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        enforce(entity, action=failing, usage_event_key="k")
    assert (used(entity), events(entity)) == (0, {})
    enforce(entity, usage_event_key="k")
    assert (used(entity), events(entity)) == (1, {"k": "counted"})


def test_t170_a_key_counts_once_also_after_midnight_and_past_the_limit(db):
    entity, ran = granting(limit=1, interval="day"), []

    for now in ("2026-03-10T23:59:59", "2026-03-10T23:59:59", "2026-03-11T00:00:01"):
        enforce(entity, now=at(now), action=lambda: ran.append(1), usage_event_key="turn-1")
    assert len(ran) == 3
    assert used(entity, (at("2026-03-10T00:00:00"), at("2026-03-11T00:00:00"))) == 1
    assert used(entity, (at("2026-03-11T00:00:00"), at("2026-03-12T00:00:00"))) == 0
    with pytest.raises(LimitExceeded):
        enforce(entity, now=at("2026-03-10T23:59:59"), usage_event_key="turn-2")


@pytest.mark.parametrize("is_denied", [False, True])
def test_t170_without_a_subscription_the_deployment_decides(db, settings, is_denied):
    settings.BILLING = dataclasses.replace(settings.BILLING, deny_without_subscription=is_denied)
    entity = make.workspace_entity()

    if not is_denied:
        assert enforce(entity) == "done"
        return
    with pytest.raises(LimitExceeded) as refused:
        enforce(entity, action=pytest.fail)
    assert refused.value.details["reason"] == "subscription_required"
    assert refused.value.details["retryAfterSeconds"] is None
    assert refused.value.headers == {}


@pytest.mark.parametrize("is_required", [False, True])
def test_t170_a_limit_that_the_plan_does_not_name_is_allowed_or_409(db, settings, is_required):
    settings.BILLING = dataclasses.replace(settings.BILLING, require_configured_limit=is_required)
    entity = granting()

    def other():
        return limits.enforce_limit_and_record_usage(
            entity=entity, limitation_code="other", action=lambda: "done", now=NOW
        )

    if not is_required:
        assert other() == "done"
    else:
        with pytest.raises(LimitNotConfigured) as refused:
            other()
        assert (refused.value.status, refused.value.code) == (409, "BILLING_LIMIT_NOT_CONFIGURED")


def test_t170_a_boolean_switches_and_a_list_is_no_limit(db):
    entity = granting(schema="entitlement.boolean.v1", value={"enabled": False})
    with pytest.raises(LimitExceeded) as refused:
        enforce(entity, action=pytest.fail)
    assert refused.value.details["reason"] == "feature_disabled"

    from billing.models import Entitlement

    Entitlement.objects.update(value_json={"enabled": True})
    assert enforce(entity) == "done"
    Entitlement.objects.update(schema_version="entitlement.string_list.v1", value_json={"values": ["a"]})
    with pytest.raises(LimitNotConfigured):
        enforce(entity, action=pytest.fail)
    assert used(entity) == 0


def test_t170_a_capability_without_a_code_runs_and_one_with_a_code_is_counted(db, settings):
    settings.BILLING = dataclasses.replace(settings.BILLING, capabilities={"ai.chat.turn": CODE})
    entity = granting(limit=1)

    def by(capability):
        return limits.enforce_limit_and_record_usage(
            entity=entity, capability=capability, action=lambda: "done", now=NOW
        )

    assert [by("unknown"), by("ai.chat.turn"), by("unknown")] == ["done"] * 3
    with pytest.raises(LimitExceeded):
        by("ai.chat.turn")


@pytest.mark.parametrize("amount", [0, -1, True, 1.0, "1", None, 10**9 + 1, 10**30])
def test_t170_an_amount_is_a_positive_integer(db, amount):
    entity = granting()
    with pytest.raises(AmountInvalid) as refused:
        enforce(entity, amount=amount)
    assert refused.value.status == 400
    with pytest.raises(AmountInvalid):
        limits.record_usage(entity=entity, code=CODE, amount=amount, now=NOW)
    with pytest.raises(AmountInvalid):
        limits.reserve(entity=entity, limitation_code=CODE, amount=amount, now=NOW)


# --- Recording ------------------------------------------------------------------------------------
def test_t170_recording_counts_beyond_a_hard_limit_and_a_key_once(db):
    entity = granting(limit=1)
    for key in ("a", "a", "b", ""):
        limits.record_usage(entity=entity, code=CODE, amount=2, usage_event_key=key, now=NOW)
    assert used(entity) == 6


def test_t170_what_cannot_be_recorded_says_why(db):
    bare = make.workspace_entity("tenant_b")
    with pytest.raises(SubscriptionRequired) as refused:
        limits.record_usage(entity=bare, code=CODE, amount=1, now=NOW)
    assert refused.value.status == 409
    entity = granting(schema="entitlement.boolean.v1", value={"enabled": True})
    with pytest.raises(EntitlementUnknown) as refused:
        limits.record_usage(entity=entity, code="other", amount=1, now=NOW)
    assert refused.value.status == 404
    with pytest.raises(EntitlementNotQuota) as refused:
        limits.record_usage(entity=entity, code=CODE, amount=1, now=NOW)
    assert refused.value.status == 409


# --- Reserving ------------------------------------------------------------------------------------
def reserve(entity, key="k", now=NOW):
    return limits.reserve(entity=entity, limitation_code=CODE, usage_event_key=key, now=now)


def test_t170_a_reservation_counts_at_once_and_confirming_it_twice_counts_once(db):
    entity = granting(limit=1)
    made = reserve(entity)
    assert (used(entity), events(entity)) == (1, {"k": "reserved"})
    with pytest.raises(LimitExceeded):
        reserve(entity, "other")
    limits.confirm(made, now=NOW)
    limits.confirm(made, now=NOW)
    limits.release(made)
    assert (used(entity), events(entity)) == (1, {"k": "counted"})
    assert reserve(entity) is None  # the same act again: counted already, and allowed
    limits.confirm(None, now=NOW)
    limits.release(None)


def test_t170_a_released_reservation_is_given_back_once(db):
    entity = granting(limit=2)
    keep, back = reserve(entity, "keep"), reserve(entity, "back")
    limits.release(back)
    limits.release(back)
    assert (used(entity), events(entity)) == (1, {"keep": "reserved"})
    limits.confirm(keep, now=NOW)
    assert used(entity) == 1


def test_t170_a_second_try_of_an_act_leaves_the_first_ones_reservation_alone(db):
    entity = granting(limit=1)
    reserve(entity)
    again = reserve(entity)
    limits.release(again)
    assert events(entity) == {"k": "reserved"}
    limits.confirm(again, now=NOW)
    assert (used(entity), events(entity)) == (1, {"k": "counted"})


def test_t170_reservations_that_nobody_confirms_are_released_after_fifteen_minutes(db):
    entity = granting(limit=5)
    with clock.freeze(NOW):
        reserve(entity, "old")
    with clock.freeze(NOW + dt.timedelta(minutes=10)):
        reserve(entity, "young", NOW + dt.timedelta(minutes=10))
        limits.confirm(reserve(entity, "sure", NOW), now=NOW)

    almost, due = NOW + dt.timedelta(seconds=899), NOW + dt.timedelta(seconds=900)
    assert limits.release_stale(now=almost) == 0
    assert used(entity) == 3
    assert limits.release_stale(now=due) == 1
    assert limits.release_stale(now=due) == 0
    assert (used(entity), events(entity)) == (2, {"young": "reserved", "sure": "counted"})


def test_t170_what_happened_after_its_reservation_was_released_is_counted_all_the_same(db):
    entity = granting(limit=1)
    with clock.freeze(NOW):
        made = reserve(entity)
        later = NOW + dt.timedelta(hours=1)
        limits.release_stale(now=later)
        enforce(entity, usage_event_key="another", now=later)
        limits.confirm(made, now=later)
    assert (used(entity), events(entity)) == (2, {"k": "counted", "another": "counted"})
