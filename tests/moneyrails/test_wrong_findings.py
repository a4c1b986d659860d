"""A wrong finding of "not sent" is a critical case, and two transfers of one payout are never silent."""

import dataclasses
import datetime as dt

import pytest

from tests.support.factories import RecordingRail


@pytest.fixture
def doubts(world, settings):
    from tests.moneyrails import doubts

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_settling")
    return doubts


@pytest.fixture
def rail():
    return RecordingRail()


@pytest.fixture
def settled(world, doubts, rail):
    """An attempt that a person found not sent, while the provider did not show its transfer yet."""
    attempt = doubts.indeterminate(world, rail)
    doubts.settle(attempt, rail, "not_sent")
    return doubts.fresh(attempt)


def cases():
    from reconciliation.models import Mismatch

    rows = Mismatch.objects.order_by("mismatch_type")
    return [(row.mismatch_type, row.severity, row.mismatch_key) for row in rows]


def submit(doubts, world, attempt, rail, *, now=None):
    from moneyrails.services import submission
    from tests.support.factories import key_of

    return submission.submit(
        **key_of(attempt.operation), actor=world.ACTOR, now=now or doubts.LATE, rail=rail
    )


WRONG = ("transfer_after_not_sent", "critical", "tr_stranger")


def test_the_next_submit_finds_the_transfer_pays_nothing_more_and_files_the_case(
    world, doubts, rail, settled
):
    doubts.stranger(rail, settled.operation)
    sent = len(rail.keys)
    done = submit(doubts, world, settled, rail)

    assert (done.operation.state, done.operation.provider_ref) == ("submitted", "tr_stranger")
    assert len(rail.keys) == sent
    assert cases() == [WRONG]
    assert doubts.fresh(settled).observed_ref == "tr_stranger"


def test_an_event_for_it_moves_the_payout_and_files_the_case(world, doubts, rail, settled):
    told = world.told(settled.operation, "submitted", provider_ref="tr_stranger")
    assert (told.applied, told.operation.state) == (True, "submitted")
    assert cases() == [WRONG]


def test_an_event_for_a_payout_cancelled_meanwhile_is_refused_and_files_the_case(
    world, doubts, rail, settled
):
    from moneyrails.services import cancellation
    from moneyrails.services.events import InvalidTransition
    from tests.support.factories import key_of

    cancellation.cancel(**key_of(settled.operation), actor=world.ACTOR, now=doubts.LATE)
    with pytest.raises(InvalidTransition):
        world.told(settled.operation, "submitted", provider_ref="tr_stranger")
    assert cases() == [WRONG]


def test_when_the_next_attempt_has_paid_too_both_transfers_are_seen(world, doubts, rail, settled):
    from moneyrails.services.movements import ProviderRefConflict
    from reconciliation.models import Mismatch

    done = submit(doubts, world, settled, rail)
    paid = done.operation.provider_ref
    with pytest.raises(ProviderRefConflict):
        world.told(settled.operation, "confirmed", provider_ref="tr_stranger")
    assert cases() == [("second_provider_transfer", "critical", "tr_stranger")]
    assert Mismatch.objects.get().details["transferIds"] == sorted([paid, "tr_stranger"])


def test_an_event_of_the_first_transfer_while_the_second_is_being_sent_shows_both(
    world, doubts, rail, settled
):
    class WithEvent(RecordingRail):
        def create_transfer(self, order):
            at = settled.created_at
            world.told(settled.operation, "submitted", provider_ref="tr_stranger", at=at, now=doubts.LATE)
            return super().create_transfer(order)

    second = WithEvent()
    done = submit(doubts, world, settled, second)
    assert (done.applied, done.operation.provider_ref) == (False, "tr_stranger")
    (made,) = second.made.values()
    assert cases() == [("second_provider_transfer", "critical", made.transfer_id), WRONG]
    attempts = settled.operation.attempts.order_by("attempt")
    assert [row.observed_ref for row in attempts] == ["tr_stranger", made.transfer_id]


def test_a_sender_that_wakes_up_after_the_settlement_files_the_case(world, doubts, rail):
    """A process stood still between T1 and its call; meanwhile people settled and cancelled."""
    from moneyrails.services import cancellation
    from moneyrails.services.submit_conditions import SubmitInProgress
    from tests.support.factories import key_of

    attempt = doubts.indeterminate(world, rail)

    class Sleeper(RecordingRail):
        def create_transfer(self, order):
            later = doubts.LATER + dt.timedelta(days=2)
            doubts.settle(attempt, rail, "not_sent", now=later)
            cancellation.cancel(**key_of(attempt.operation), actor=world.ACTOR, now=later)
            return super().create_transfer(order)

    sleeper = Sleeper()
    with pytest.raises(SubmitInProgress):
        doubts.replay(attempt, sleeper, now=doubts.LATER)
    (made,) = sleeper.made.values()
    assert doubts.state_of(attempt) == ("not_sent", "cancelled")
    assert cases() == [("transfer_after_not_sent", "critical", made.transfer_id)]


def test_what_a_late_sender_is_known_to_have_paid_is_not_cancelled_but_adopted_10_8(world, doubts, rail):
    """After "not sent" a cancellation is possible; not any more once the transfer's id is on the payout."""
    from moneyrails.services import cancellation
    from moneyrails.services.cancellation import CancelInFlight
    from moneyrails.services.submit_conditions import SubmitInProgress
    from tests.support.factories import key_of

    attempt = doubts.indeterminate(world, rail)

    class Sleeper(RecordingRail):
        def create_transfer(self, order):
            doubts.settle(attempt, rail, "not_sent", now=doubts.LATE)
            return super().create_transfer(order)

    sleeper = Sleeper()
    with pytest.raises(SubmitInProgress):
        doubts.replay(attempt, sleeper, now=doubts.LATER)
    with pytest.raises(CancelInFlight):
        cancellation.cancel(**key_of(attempt.operation), actor=world.ACTOR, now=doubts.LATE)
    (made,) = sleeper.made.values()
    done = submit(doubts, world, attempt, sleeper)
    assert (done.operation.state, done.operation.provider_ref) == ("submitted", made.transfer_id)
    assert list(sleeper.made.values()) == [made]


def test_settling_as_sent_beside_another_transfer_of_the_payout_files_the_other(world, doubts, rail):
    attempt = doubts.in_doubt(world, rail)
    doubts.stranger(rail, attempt.operation, transfer_id="tr_one")
    doubts.stranger(rail, attempt.operation, transfer_id="tr_two")
    doubts.ask(attempt, rail)
    doubts.settle(attempt, rail, "sent", transfer_id="tr_one", now=doubts.LATER)
    assert doubts.state_of(attempt) == ("succeeded", "submitted")
    assert cases() == [("second_provider_transfer", "critical", "tr_two")]


def test_a_payout_without_any_finding_files_nothing(world, doubts, rail):
    attempt = doubts.in_doubt(world, rail, is_made=True)
    doubts.ask(attempt, rail)
    assert cases() == []
