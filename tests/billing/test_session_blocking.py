"""What keeps an entity from another checkout, and what ends that (6.1, 6.3, 5.4; T-080 to T-085, T-061)."""

import datetime as dt
import threading

import pytest
from django.db import connections

from billing.models import CheckoutSession
from billing.services import checkout_session, displacement, holds, locks, transactions
from billing.states import Flow, SessionStatus
from settld.core import clock, tenancy
from tests.billing import checkouts, factories, payloads, session_facts
from tests.billing.checkout_provider import provider
from tests.billing.checkouts import guardrails
from tests.billing.factories import NOW
from tests.billing.session_facts import KEY, OTHER_KEY, facts, jobs, merge, rows, session

__all__ = ["guardrails", "provider"]
GRACE = dt.timedelta(seconds=90)
SECOND = dt.timedelta(seconds=1)
OPEN, PENDING, HOLD, DONE, EXPIRED, ABANDONED = (
    "open",
    "completed_pending_subscription",
    "recovery_verification_pending",
    "completed_reconciled",
    "expired",
    "abandoned",
)
RANKS = {PENDING: 3, HOLD: 2, OPEN: 1}
CODES = {
    OPEN: "checkout_session_open",
    PENDING: "checkout_completion_pending",
    HOLD: "checkout_recovery_verification_pending",
}


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def expire_overdue(entity, *, now=NOW):
    """Step 3 of Tx A: what is left in a state that can still change."""
    with factories.locked(entity):
        return checkout_session.expire_overdue(entity, locks.lock_sessions(entity), now=now)


def status_of(row):
    with tenancy.tenant_scope(row.tenant_id):
        return CheckoutSession.objects.get(pk=row.pk).status


# --- By the time ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "expires_in", "after"),
    [
        (OPEN, -GRACE + SECOND, OPEN),
        (OPEN, -GRACE, EXPIRED),
        (OPEN, -GRACE - SECOND, EXPIRED),
        (OPEN, None, OPEN),
        (HOLD, SECOND, HOLD),
        (HOLD, dt.timedelta(0), ABANDONED),
        (HOLD, -SECOND, ABANDONED),
        (HOLD, None, HOLD),
        (PENDING, -dt.timedelta(days=400), PENDING),
        (PENDING, None, PENDING),
    ],
)
def test_t080_t081_t082_a_session_blocks_until_its_time_is_over(entity, status, expires_in, after):
    """open: its expiry and the grace; a hold: its expiry; what is completed: always."""
    row = session(entity, status, expires_at=None if expires_in is None else NOW + expires_in)
    is_blocking = after == status
    assert checkout_session.blocks(row, now=NOW) == is_blocking
    assert checkout_session.blocking_session([row], now=NOW) == (row if is_blocking else None)
    left = expire_overdue(entity)
    assert [kept.pk for kept in left] == ([row.pk] if is_blocking else [])
    assert status_of(row) == after
    if is_blocking:
        assert checkout_session.blocking_failure(row)[0] == CODES[status]


def test_t080_the_answer_for_an_open_session_leads_to_it(entity):
    row = session(entity, OPEN, provider_checkout_session_id="cs_1", checkout_url="https://pay.example/cs_1")
    assert checkout_session.blocking_failure(row) == (
        CODES[OPEN],
        {"providerCheckoutSessionId": "cs_1", "checkoutUrl": "https://pay.example/cs_1"},
    )


def test_t082_a_hold_whose_time_is_over_makes_room_for_the_next_session(entity):
    hold = session(entity, HOLD, operation_key=OTHER_KEY, expires_at=NOW)
    session_facts.request(entity)
    assert merge(entity, facts(entity)).status == OPEN
    assert status_of(hold) == ABANDONED
    assert jobs(entity) == []


def test_t080_an_open_session_whose_time_is_over_makes_room_and_counts_as_expired(entity):
    old = session(
        entity,
        OPEN,
        operation_key=OTHER_KEY,
        expires_at=NOW - GRACE,
        provider_checkout_session_id="cs_0",
    )
    session_facts.request(entity)
    assert merge(entity, facts(entity)).status == OPEN
    assert (status_of(old), jobs(entity)) == (EXPIRED, [])


@pytest.mark.parametrize("flow", ["one_off", "payment_link"])
@pytest.mark.parametrize("status", SessionStatus.values)
def test_t083_other_flows_never_block(entity, flow, status):
    row = session(entity, status, flow=flow, operation_key=OTHER_KEY, expires_at=NOW - dt.timedelta(days=9))
    assert not checkout_session.blocks(row, now=NOW)
    assert [left.pk for left in expire_overdue(entity)] == ([row.pk] if status in RANKS else [])
    assert status_of(row) == status
    session_facts.request(entity)
    assert merge(entity, facts(entity)).status == OPEN
    assert status_of(row) == status


@pytest.mark.parametrize(
    ("status", "expires_in", "told"),
    [
        (OPEN, -GRACE + SECOND, (409, "checkout_session_open")),
        (OPEN, -GRACE, (200, "")),
        (PENDING, -GRACE, (409, "checkout_completion_pending")),
        (HOLD, SECOND, (409, "checkout_recovery_verification_pending")),
        (HOLD, dt.timedelta(0), (200, "")),
    ],
)
def test_t080_t081_t082_what_a_client_is_told(entity, provider, status, expires_in, told):
    factories.plan()
    session(entity, status, operation_key=OTHER_KEY, expires_at=NOW + expires_in)
    with clock.freeze(NOW):
        assert checkouts.told(entity) == told
    after = {OPEN: EXPIRED, HOLD: ABANDONED}[status] if told[0] == 200 else status
    assert rows(entity)[0].status == after


@pytest.mark.parametrize("flow", ["one_off", "payment_link"])
def test_t083_a_client_is_not_held_up_by_other_flows(entity, provider, flow):
    factories.plan()
    session(entity, OPEN, flow=flow, operation_key=OTHER_KEY)
    with clock.freeze(NOW):
        assert checkouts.told(entity) == (200, "")


# --- Displacement ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("has_id", [True, False])
@pytest.mark.parametrize("holder", [OPEN, HOLD, PENDING])
@pytest.mark.parametrize(("told", "newcomer"), [("open", OPEN), ("complete", PENDING)])
def test_t084_the_higher_rank_keeps_the_block_and_a_tie_keeps_who_has_it(
    entity, holder, told, newcomer, has_id
):
    ids = {"provider_checkout_session_id": "cs_0"} if has_id else {}
    held = session(entity, holder, operation_key=OTHER_KEY, **ids)
    session_facts.request(entity)
    row = merge(entity, facts(entity, told))
    wins = RANKS[newcomer] > RANKS[holder]
    assert row.status == (newcomer if wins else ABANDONED)
    assert status_of(held) == (ABANDONED if wins else holder)
    loser = rows(entity)[0] if wins else row
    assert loser.status_reason == "displaced"
    assert jobs(entity) == (["cs_0"] if wins and has_id else [] if wins else ["cs_1"])
    assert sum(checkout_session.blocks(one, now=NOW) for one in rows(entity)) == 1


@pytest.mark.parametrize("status", ["expired", "complete"])
def test_t084_what_does_not_block_displaces_nobody(entity, status):
    held = session(entity, OPEN, operation_key=OTHER_KEY)
    flow = "one_off" if status == "complete" else "subscription"
    session_facts.request(entity, flow=flow)
    merge(entity, facts(entity, status, flow=flow), flow=flow)
    assert status_of(held) == OPEN


@pytest.mark.parametrize("holder", [OPEN, HOLD, PENDING])
@pytest.mark.parametrize("is_ours", [True, False])
def test_t085_a_current_subscription_displaces_every_other_blocking_session(entity, holder, is_ours):
    key = KEY if is_ours else OTHER_KEY
    held = session(entity, holder, operation_key=key, provider_checkout_session_id="cs_0")
    others = [
        session(entity, OPEN, flow="one_off", operation_key="c" * 64),
        session(entity, DONE, operation_key="d" * 64),
    ]
    with factories.locked(entity):
        losers = checkout_session.displace_others(entity=entity, keep_operation_key=KEY, now=NOW)
    assert [loser.pk for loser in losers] == ([] if is_ours else [held.pk])
    assert status_of(held) == (holder if is_ours else ABANDONED)
    assert jobs(entity) == ([] if is_ours else ["cs_0"])
    assert [status_of(other) for other in others] == [OPEN, DONE]


def test_t085_a_subscription_event_displaces_the_session_of_another_operation(entity):
    factories.plan()
    session_facts.request(entity)
    session(entity, OPEN, operation_key=OTHER_KEY, provider_checkout_session_id="cs_0")
    bought = payloads.subscription(metadata=payloads.labels(entity, KEY))
    payloads.deliver(payloads.event("customer.subscription.created", bought))
    other, own = rows(entity)
    assert (other.status, other.status_reason, own.status) == (ABANDONED, "displaced", DONE)
    assert jobs(entity) == ["cs_0"]


def test_t085_without_an_operation_every_blocking_session_goes_and_its_end_is_owed_once(entity):
    session(entity, OPEN, provider_checkout_session_id="cs_0")
    for _ in range(2):
        with factories.locked(entity):
            displacement.displace_others(entity=entity, keep_operation_key=None, now=NOW, reason="why")
    (row,) = rows(entity)
    assert (row.status, row.status_reason, jobs(entity)) == (ABANDONED, "why", ["cs_0"])


def test_t084_two_sessions_that_open_at_once_leave_one_blocking(live_db):
    """The entity's lock is the mutex: whoever comes second finds the first and loses to it (INV-16)."""
    entity = factories.workspace_entity()
    keys = [letter * 64 for letter in "abcdef"]
    for key in keys:  # the unique index lets one be pending at a time, so the others have ended
        factories.request(
            entity,
            operation_key=key,
            status="failed",
            failure_code="checkout_provider_error",
            pending_lease_expires_at=None,
        )
    start, ends = threading.Barrier(len(keys)), []

    def open_one(number: int, key: str) -> None:
        told = facts(entity, key=key, session_id=f"cs_{number}")

        def work() -> str:
            locked = locks.lock_entity(entity_id=entity.pk)
            locks.lock_sessions(locked)
            return checkout_session.merge(
                entity=locked,
                operation_key=key,
                flow=Flow.SUBSCRIPTION,
                facts=told,
                request=locks.lock_request(locked, ids[key]),
                now=NOW,
            ).status

        start.wait(10)
        ends.append(transactions.retried(tenant_id=entity.tenant_id, work=work))
        connections.close_all()

    with tenancy.tenant_scope(entity.tenant_id):
        from billing.models import BillingRequest

        ids = dict(BillingRequest.objects.values_list("operation_key", "id"))
    threads = [threading.Thread(target=open_one, args=(n, key)) for n, key in enumerate(keys)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(ends) == [ABANDONED] * 5 + [OPEN]
    assert len(jobs(entity)) == 5


# --- Holds -----------------------------------------------------------------------------------------------
UNTIL = NOW + dt.timedelta(hours=3)


def place(entity, request, *, until=UNTIL):
    with factories.locked(entity):
        locks.lock_sessions(entity)
        return holds.place(entity=entity, request=request, until=until, now=NOW)


@pytest.mark.parametrize("flow", ["subscription", "one_off"])
def test_t061_a_hold_is_inserted_where_nothing_is_known(entity, flow):
    request = session_facts.request(entity, flow=flow)
    row = place(entity, request)
    assert (row.status, row.flow, row.expires_at, row.idempotency_row_id) == (HOLD, flow, UNTIL, request.pk)
    assert checkout_session.blocks(row, now=NOW) == (flow == "subscription")


@pytest.mark.parametrize(
    ("old", "after"),
    [
        (UNTIL - SECOND, UNTIL),
        (UNTIL, UNTIL),
        (UNTIL + SECOND, UNTIL + SECOND),
        (None, None),
    ],
)
def test_t061_a_hold_is_never_shortened(entity, old, after):
    session(entity, HOLD, expires_at=old)
    assert place(entity, session_facts.request(entity)).expires_at == after


@pytest.mark.parametrize("status", [OPEN, PENDING, DONE, EXPIRED, ABANDONED])
def test_t061_a_session_that_is_known_is_left_as_it_is(entity, status):
    known = session(entity, status, expires_at=NOW)
    row = place(entity, session_facts.request(entity))
    assert (row.pk, row.status, row.expires_at) == (known.pk, status, NOW)
    assert len(rows(entity)) == 1


@pytest.mark.parametrize("holder", [OPEN, HOLD, PENDING])
def test_t061_while_another_blocks_the_hold_comes_abandoned_and_is_said(entity, guardrails, holder):
    held = session(entity, holder, operation_key=OTHER_KEY)
    row = place(entity, session_facts.request(entity))
    assert (row.status, row.status_reason, status_of(held)) == (ABANDONED, "displaced", holder)
    assert guardrails == ["BILLING_CHECKOUT_RECOVERY_VERIFICATION_PENDING"]


def test_t061_another_whose_time_is_over_does_not_stand_in_the_way(entity, guardrails):
    session(entity, HOLD, operation_key=OTHER_KEY, expires_at=NOW)
    assert place(entity, session_facts.request(entity)).status == HOLD
    assert guardrails == []


@pytest.mark.parametrize(
    ("bound", "deadline", "ends"),
    [
        (NOW + dt.timedelta(hours=24), NOW + dt.timedelta(hours=23), NOW + dt.timedelta(hours=24) + GRACE),
        (NOW + dt.timedelta(hours=1), NOW + dt.timedelta(hours=23), NOW + dt.timedelta(hours=23) + GRACE),
        (None, None, NOW + dt.timedelta(hours=24) + GRACE),
    ],
)
def test_t061_the_horizon_is_the_later_of_bound_and_deadline_or_a_day(entity, bound, deadline, ends):
    request = session_facts.request(
        entity,
        provider_checkout_session_expires_at_upper_bound=bound,
        provider_idempotency_replay_deadline_at=deadline,
    )
    assert place(entity, request, until=None).expires_at == ends
