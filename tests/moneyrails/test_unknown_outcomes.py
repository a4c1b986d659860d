"""Asking and replaying (spec 3.4 steps 5 and 6): what a person may do while nobody knows."""

import dataclasses
import datetime as dt

import pytest

from tests.support.factories import RecordingRail


@pytest.fixture
def doubts(world, settings):
    from tests.moneyrails import doubts

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_unknown_outcomes")
    return doubts


@pytest.fixture
def rail():
    return RecordingRail()


def test_asking_adopts_the_one_transfer_that_is_ours(world, doubts, rail):
    attempt = doubts.in_doubt(world, rail, is_made=True)
    done = doubts.ask(attempt, rail)

    assert (done.outcome, done.is_resolved) == ("adopted", True)
    assert doubts.state_of(attempt) == ("succeeded", "submitted")
    assert len(rail.keys) == 1  # nothing was sent for it
    assert len(doubts.audits("MONEY_RAIL_OPERATION_SUBMITTED")) == 1
    (row,) = doubts.audits("MONEY_RAIL_DISPATCH_ASKED")
    assert (row["outcome"], row["transferIds"]) == ("adopted", [done.attempt.observed_ref])
    assert doubts.looks(attempt) == [("send", "no_answer"), ("ask", "adopted")]


def test_asking_when_the_provider_has_nothing_keeps_the_doubt_and_its_schedule(world, doubts, rail):
    attempt = doubts.in_doubt(world, rail)
    counted = attempt.check_count
    done = doubts.ask(attempt, rail)

    assert (done.outcome, done.is_resolved) == ("nothing_found", False)
    assert doubts.state_of(attempt) == ("in_doubt", "initiated")
    assert len(rail.keys) == 1
    kept = doubts.fresh(attempt)
    assert (kept.check_count, kept.lease_expires_at) == (counted, None)
    assert kept.next_check_at == doubts.LATER + dt.timedelta(seconds=60)


def test_asking_an_indeterminate_attempt_never_gives_it_back_to_the_loop(world, doubts, rail):
    from moneyrails.services import doubt

    attempt = doubts.indeterminate(world, rail)
    doubts.ask(attempt, rail, now=doubts.LATE)
    assert doubts.state_of(attempt) == ("indeterminate", "initiated")
    with pytest.raises(Exception, match="submit failed"):
        doubts.ask(attempt, doubts.DeadRail(), now=doubts.LATE)
    assert doubts.state_of(attempt) == ("indeterminate", "initiated")
    assert doubt.recover_due(now=doubts.LATE + dt.timedelta(days=2), rail=rail) == {}
    assert len(rail.keys) == 1


def test_asking_finds_a_transfer_of_another_amount_and_leaves_it_to_people(world, doubts, rail):
    attempt = doubts.in_doubt(world, rail)
    doubts.stranger(rail, attempt.operation, amount_cents=1)
    done = doubts.ask(attempt, rail)

    assert (done.outcome, done.is_resolved) == ("unclear", False)
    assert doubts.state_of(attempt) == ("indeterminate", "initiated")
    assert doubts.fresh(attempt).observed_ref == "tr_stranger"


def test_asking_a_provider_that_does_not_answer_is_a_502_and_the_doubt_stays(world, doubts, rail):
    from moneyrails.services.dispatch import SubmitFailed

    attempt = doubts.in_doubt(world, rail)
    with pytest.raises(SubmitFailed) as caught:
        doubts.ask(attempt, doubts.DeadRail())
    assert (caught.value.status, caught.value.details["providerRequestId"]) == (502, "req_stripe_1")
    assert doubts.state_of(attempt) == ("in_doubt", "initiated")
    assert [row["outcome"] for row in doubts.audits("MONEY_RAIL_DISPATCH_ASKED")] == ["no_answer"]
    assert doubts.ask(attempt, rail).outcome == "nothing_found"  # the lease was given back


def test_a_replay_sends_the_same_key_and_makes_the_one_transfer(world, doubts, rail):
    attempt = doubts.in_doubt(world, rail)
    done = doubts.replay(attempt, rail)

    assert (done.outcome, done.is_resolved) == ("sent", True)
    assert rail.keys == [attempt.idempotency_key] * 2
    assert doubts.state_of(attempt) == ("succeeded", "submitted")
    (row,) = doubts.audits("MONEY_RAIL_DISPATCH_REPLAYED")
    assert row["outcome"] == "sent"
    assert len(doubts.audits("MONEY_RAIL_OPERATION_SUBMITTED")) == 1


def test_a_replay_looks_first_and_adopts_without_sending(world, doubts, rail):
    attempt = doubts.in_doubt(world, rail, is_made=True)
    assert doubts.replay(attempt, rail).outcome == "adopted"
    assert len(rail.keys) == 1


def test_a_replay_whose_answer_is_lost_again_stays_in_doubt_and_is_audited(world, doubts, rail):
    from moneyrails.services.dispatch import SubmitFailed

    attempt = doubts.in_doubt(world, rail)
    rail.before.append(doubts.lost())
    with pytest.raises(SubmitFailed):
        doubts.replay(attempt, rail)
    assert doubts.state_of(attempt) == ("in_doubt", "initiated")
    assert [row["outcome"] for row in doubts.audits("MONEY_RAIL_DISPATCH_REPLAYED")] == ["no_answer"]


@pytest.mark.parametrize(("before_deadline_ms", "is_sent"), [(1, True), (0, False), (-1, False)])
def test_the_replay_deadline_is_23_hours_after_the_first_send_to_the_millisecond(
    world, doubts, rail, before_deadline_ms, is_sent
):
    from moneyrails.services.unknown_outcomes import ReplayWindowClosed

    attempt = doubts.in_doubt(world, rail)
    now = doubts.DEADLINE - dt.timedelta(milliseconds=before_deadline_ms)
    if is_sent:
        assert doubts.replay(attempt, rail, now=now).outcome == "sent"
        return
    with pytest.raises(ReplayWindowClosed) as caught:
        doubts.replay(attempt, rail, now=now)
    assert caught.value.details["replayDeadlineAt"] == "2026-03-11T11:00:00.000Z"
    assert (len(rail.keys), rail.searches) == (1, 0)
    assert doubts.fresh(attempt).lease_expires_at is None


@pytest.mark.parametrize(
    ("controls", "code"),
    [
        ({"realMoneyEnabled": True, "payoutKillSwitch": True}, "PAYOUT_KILL_SWITCH_ACTIVE"),
        ({"realMoneyEnabled": False}, "REAL_MONEY_DISABLED"),
        (
            {"realMoneyEnabled": True, "allowedProviderIds": ["stub_default"]},
            "MONEY_RAIL_PROVIDER_NOT_ALLOWED",
        ),
    ],
)
def test_a_stop_forbids_a_replay_and_not_a_question(world, doubts, rail, refused, controls, code):
    attempt = doubts.in_doubt(world, rail)
    world.set_controls(**controls)
    with refused(code):
        doubts.replay(attempt, rail)
    assert rail.searches == 0
    assert doubts.ask(attempt, rail).outcome == "nothing_found"


@pytest.mark.parametrize("act", ["ask", "replay"])
def test_while_somebody_holds_the_lease_nobody_else_acts(world, doubts, rail, refused, act):
    attempt = doubts.in_doubt(world, rail)

    class Rival(RecordingRail):
        def find_transfers(self, order):
            with refused("MONEY_RAIL_SUBMIT_IN_PROGRESS"):
                getattr(doubts, act)(attempt, rail)
            return super().find_transfers(order)

    doubts.ask(attempt, Rival())
    assert rail.searches == 0


@pytest.mark.parametrize("act", ["ask", "replay"])
def test_a_known_outcome_is_refused(world, doubts, rail, refused, act):
    attempt = doubts.in_doubt(world, rail, is_made=True)
    doubts.ask(attempt, rail)
    with refused("MONEY_RAIL_DISPATCH_ALREADY_RESOLVED"):
        getattr(doubts, act)(attempt, rail)


def test_another_tenants_attempt_is_not_found(world, doubts, rail):
    from moneyrails.queries.unknown_outcomes import AttemptNotFound
    from moneyrails.services import unknown_outcomes
    from settld.core import tenancy

    attempt = doubts.in_doubt(world, rail)
    with tenancy.tenant_scope("tenant_b"), pytest.raises(AttemptNotFound):
        unknown_outcomes.ask(
            tenant_id="tenant_b", attempt_id=attempt.pk, actor=doubts.SECOND, now=doubts.LATER, rail=rail
        )


# --- Races by construction ------------------------------------------------------------------------
@pytest.mark.parametrize("act", ["ask", "replay"])
def test_a_submitted_event_during_an_act_ends_the_doubt_and_the_act_changes_nothing_more(
    world, doubts, rail, act
):
    from moneyrails.models import Movement

    attempt = doubts.in_doubt(world, rail, is_made=True)
    (made,) = rail.made.values()

    class WithEvent(RecordingRail):
        def find_transfers(self, order):
            world.told(attempt.operation, "submitted", provider_ref=made.transfer_id, event_id="evt_1")
            return [made]

    done = getattr(doubts, act)(attempt, WithEvent())
    assert (done.outcome, done.is_resolved) == ("sent", True)
    assert doubts.state_of(attempt) == ("succeeded", "submitted")
    assert Movement.objects.count() == 1
    assert len(doubts.audits("MONEY_RAIL_OPERATION_SUBMITTED")) == 1


@pytest.mark.parametrize("event_type", ["failed", "cancelled"])
def test_failed_and_cancelled_events_wait_while_the_attempt_is_open(world, doubts, rail, event_type):
    from moneyrails.services.events import OpenAttempt

    attempt = doubts.in_doubt(world, rail)

    class WithEvent(RecordingRail):
        def find_transfers(self, order):
            with pytest.raises(OpenAttempt) as caught:
                world.told(attempt.operation, event_type)
            assert caught.value.code == "MONEY_RAIL_SUBMIT_IN_PROGRESS"
            return []

    doubts.ask(attempt, WithEvent())
    assert doubts.state_of(attempt) == ("in_doubt", "initiated")


def test_a_recovery_tick_beside_an_act_leaves_the_attempt_alone(world, doubts, rail):
    from moneyrails.services import doubt

    attempt = doubts.in_doubt(world, rail)
    tick = RecordingRail()

    class WithTick(RecordingRail):
        def find_transfers(self, order):
            assert doubt.recover_due(now=doubts.LATER + dt.timedelta(seconds=1), rail=tick) == {}
            return []

    doubts.ask(attempt, WithTick())
    assert (tick.searches, tick.keys) == (0, [])


def test_an_act_that_outlives_its_lease_writes_no_end(world, doubts, rail):
    from moneyrails.services import doubt

    attempt = doubts.in_doubt(world, rail, is_made=True)

    class Slow(RecordingRail):
        def find_transfers(self, order):
            ends = doubt.recover_due(now=doubts.LATER + dt.timedelta(minutes=3), rail=rail)
            assert ends == {"adopted": 1}
            return []

    done = doubts.ask(attempt, Slow())
    assert (done.outcome, done.is_resolved) == ("sent", True)
    assert doubts.state_of(attempt) == ("succeeded", "submitted")


def test_submit_and_cancel_are_refused_while_a_person_looks(world, doubts, rail):
    from moneyrails.services import cancellation, submission
    from moneyrails.services.cancellation import CancelInFlight
    from moneyrails.services.submit_conditions import SubmitInProgress
    from tests.support.factories import key_of

    attempt = doubts.in_doubt(world, rail)

    class WithRivals(RecordingRail):
        def find_transfers(self, order):
            with pytest.raises(SubmitInProgress):
                submission.submit(**key_of(attempt.operation), actor=world.ACTOR, now=doubts.LATER, rail=rail)
            with pytest.raises(CancelInFlight):
                cancellation.cancel(**key_of(attempt.operation), actor=world.ACTOR, now=doubts.LATER)
            return []

    doubts.ask(attempt, WithRivals())
    assert len(rail.keys) == 1


def test_the_list_is_oldest_first_and_counts_what_a_vanished_sender_left(world, doubts, rail):
    from moneyrails.models import DispatchAttempt
    from moneyrails.queries import unknown_outcomes

    first = doubts.in_doubt(world, rail)
    second = doubts.indeterminate(world, rail, party="party2")
    third = doubts.in_doubt(world, rail, party="party3")
    DispatchAttempt.objects.filter(pk=third.pk).update(
        status="dispatching", lease_expires_at=doubts.NOW + dt.timedelta(seconds=120)
    )
    at = {"tenant_id": world.TENANT, "now": doubts.NOW}
    assert [row.pk for row in unknown_outcomes.listing(**at)] == [first.pk, second.pk]
    at["now"] = doubts.NOW + dt.timedelta(seconds=120)
    assert [row.pk for row in unknown_outcomes.listing(**at)] == [first.pk, second.pk, third.pk]
    assert unknown_outcomes.count(**at) == unknown_outcomes.Counts(2, 1)
    assert [row.pk for row in unknown_outcomes.listing(**at, status="indeterminate")] == [second.pk]
