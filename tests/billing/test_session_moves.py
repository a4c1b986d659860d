"""The state machine of checkout sessions (6.1), in our code and in the database; T-074."""

import itertools

import pytest
from django.db import IntegrityError, transaction

from billing.models import CheckoutSession
from billing.services import session_rows
from billing.services.session_rows import IllegalSessionMove
from billing.states import Flow, SessionStatus
from tests.billing import factories, session_facts
from tests.billing.factories import NOW

pytestmark = pytest.mark.django_db
OPEN, PENDING, HOLD, DONE, EXPIRED, ABANDONED = (
    "open",
    "completed_pending_subscription",
    "recovery_verification_pending",
    "completed_reconciled",
    "expired",
    "abandoned",
)
# The table of 6.1, written out a second time.
LEGAL = {
    OPEN: {PENDING, EXPIRED, ABANDONED},
    PENDING: {DONE, ABANDONED},
    HOLD: {OPEN, PENDING, DONE, EXPIRED, ABANDONED},
    DONE: set(),
    EXPIRED: set(),
    ABANDONED: set(),
}


def is_legal(flow: str, source: str, target: str) -> bool:
    extra = {DONE} if source == OPEN and flow != "subscription" else set()
    return target == source or target in LEGAL[source] | extra


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


@pytest.mark.parametrize(("flow", "source"), list(itertools.product(Flow.values, SessionStatus.values)))
def test_t074_the_model_and_the_database_allow_the_same_moves(entity, flow, source):
    stored = factories.session(entity, flow=flow, status=source)
    for target in SessionStatus.values:
        row = CheckoutSession(flow=flow, status=source)
        try:
            session_rows.enter(row, target, now=NOW)
            is_moved = True
        except IllegalSessionMove:
            is_moved = False
        assert is_moved == is_legal(flow, source, target), target
        assert row.status == (target if is_moved else source)
        assert refusal(entity, stored, target) == ("" if is_moved else "session_moves"), target


def refusal(entity, row, target) -> str:
    """The rule by which the database refuses a move, whoever makes it; nothing is kept."""
    with factories.locked(entity):
        try:
            with transaction.atomic():
                CheckoutSession.objects.filter(pk=row.pk).update(status=target)
                transaction.set_rollback(True)
        except IntegrityError as error:
            return error.__cause__.diag.constraint_name
    return ""


@pytest.mark.parametrize("flow", Flow.values)
def test_t074_a_session_may_begin_in_any_state(entity, flow):
    for status in SessionStatus.values:
        with session_facts.undone():
            assert factories.session(entity, flow=flow, status=status).status == status


def test_t074_completing_is_stamped_once_and_a_move_carries_its_reason(entity):
    row = factories.session(entity, status=OPEN)
    session_rows.enter(row, PENDING, now=NOW)
    later = NOW.replace(hour=23)
    session_rows.enter(row, DONE, now=later)
    assert (row.completed_at, row.status_reason) == (NOW, None)
    other = factories.session(entity, status=HOLD, flow="one_off")
    session_rows.enter(other, ABANDONED, now=later, reason="hold_elapsed")
    assert (other.completed_at, other.status_reason) == (None, "hold_elapsed")
