"""A process that dies at any commit boundary of an act: one transfer, one movement, one way forward."""

import dataclasses
import datetime as dt

import pytest

from tests.support.factories import RecordingRail

pytestmark = pytest.mark.slow
OPENING = ("unknown.before_t1", "unknown.before_t1_commit", "unknown.after_t1")
LOOKING = ("doubt.before_list", "doubt.after_list")
RECORDING = ("submit.before_t2", "submit.before_t2_commit", "submit.after_t2")
KEEPING = ("submit.before_t2_failure", "submit.after_t2_failure")
SENDING = ("submit.before_call", "submit.after_call")
SETTLING = (
    "settle.before_t1", "settle.before_t1_commit", "settle.after_t1", "settle.before_list",
    "settle.after_list", "settle.before_t2", "settle.before_t2_commit", "settle.after_t2",
)  # fmt: skip


class Killed(BaseException):
    """As a SIGKILL would: no code of ours catches it, and the open transaction is gone."""


@pytest.fixture
def doubts(live_world, settings):
    from tests.moneyrails import doubts

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_crashes")
    return doubts


@pytest.fixture
def rail():
    return RecordingRail()


@pytest.fixture
def dies_at():
    from contextlib import contextmanager

    from settld.core import failpoints

    @contextmanager
    def dying(point):
        def visit(name):
            if name == point:
                raise Killed

        with failpoints.watched(visit), pytest.raises(Killed):
            yield

    return dying


def whole(doubts, attempt, rail):
    """One transfer at the provider and in the books, whoever finished it."""
    from moneyrails.models import Movement
    from moneyrails.services import checks

    (made,) = rail.made.values()
    assert doubts.state_of(attempt) == ("succeeded", "submitted")
    assert [row.provider_ref for row in Movement.objects.all()] == [made.transfer_id]
    assert len(doubts.audits("MONEY_RAIL_OPERATION_SUBMITTED")) == 1
    assert checks.check_tenant(attempt.tenant_id) == []


@pytest.mark.parametrize("point", [*OPENING, *LOOKING, *RECORDING])
def test_a_crash_while_asking_is_finished_by_the_loop(live_world, doubts, rail, dies_at, point):
    from moneyrails.services import doubt

    attempt = doubts.in_doubt(live_world, rail, is_made=True)
    with dies_at(point):
        doubts.ask(attempt, rail)
    doubt.recover_due(now=doubts.LATER + dt.timedelta(minutes=5), rail=rail)
    whole(doubts, attempt, rail)
    assert len(rail.keys) == 1


@pytest.mark.parametrize("point", [*OPENING, *LOOKING, *SENDING, *RECORDING])
def test_a_crash_while_replaying_is_finished_by_the_loop(live_world, doubts, rail, dies_at, point):
    from moneyrails.services import doubt

    attempt = doubts.in_doubt(live_world, rail)
    with dies_at(point):
        doubts.replay(attempt, rail)
    doubt.recover_due(now=doubts.LATER + dt.timedelta(minutes=5), rail=rail)
    whole(doubts, attempt, rail)
    assert set(rail.keys) == {attempt.idempotency_key}


@pytest.mark.parametrize("point", [*OPENING, *LOOKING, *KEEPING])
def test_a_crash_while_asking_about_what_is_left_to_people_leaves_it_to_them(
    live_world, doubts, rail, dies_at, point
):
    from moneyrails.services import doubt

    attempt = doubts.indeterminate(live_world, rail)
    with dies_at(point):
        doubts.ask(attempt, rail, now=doubts.LATE)
    later = doubts.LATE + dt.timedelta(minutes=5)
    assert doubt.recover_due(now=later, rail=rail) == {}
    assert doubts.state_of(attempt) == ("indeterminate", "initiated")
    assert doubts.ask(attempt, rail, now=later).outcome == "nothing_found"


@pytest.mark.parametrize("point", SETTLING)
@pytest.mark.parametrize("outcome", ["sent", "not_sent"])
def test_a_crash_while_settling_has_settled_or_has_not(live_world, doubts, rail, dies_at, point, outcome):
    from moneyrails.models import Movement
    from moneyrails.services.unknown_outcomes import AlreadyResolved

    attempt = doubts.indeterminate(live_world, rail)
    named = {"now": doubts.LATE + dt.timedelta(minutes=5)}
    if outcome == "sent":
        doubts.stranger(rail, attempt.operation, transfer_id="tr_there")
        named["transfer_id"] = "tr_there"
    with dies_at(point):
        doubts.settle(attempt, rail, outcome, **{**named, "now": doubts.LATE})
    if point == "settle.after_t2":
        with pytest.raises(AlreadyResolved):
            doubts.settle(attempt, rail, outcome, **named)
    else:
        assert doubts.state_of(attempt) == ("indeterminate", "initiated")
        assert doubts.fresh(attempt).resolved_by == ""
        doubts.settle(attempt, rail, outcome, **named)
    sent = ("succeeded", "submitted") if outcome == "sent" else ("not_sent", "initiated")
    assert doubts.state_of(attempt) == sent
    assert Movement.objects.count() == (1 if outcome == "sent" else 0)
    assert len(doubts.audits("MONEY_RAIL_DISPATCH_RESOLVED")) == 1
