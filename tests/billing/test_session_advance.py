"""The session that a subscription came from, brought to its end (8.5, last part)."""

import pytest

from billing.services import checkout_session
from billing.states import SessionStatus, SubscriptionStatus
from tests.billing import factories, session_facts
from tests.billing.factories import NOW
from tests.billing.session_facts import KEY, OTHER_KEY, rows, session

OPEN, PENDING, HOLD, DONE = (
    "open",
    "completed_pending_subscription",
    "recovery_verification_pending",
    "completed_reconciled",
)
OTHERS = [status for status in SubscriptionStatus.values if status != "incomplete"]


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def advance(entity, status="active", *, key=KEY, request=None):
    with factories.locked(entity):
        return checkout_session.advance_by_subscription(
            entity=entity,
            operation_key=key,
            provider_subscription_id="sub_1",
            subscription_status=status,
            request=request,
            now=NOW,
        )


def test_every_state_but_a_finished_one_is_reconciled_by_any_status_but_incomplete(entity):
    for status in OTHERS:
        for local in SessionStatus.values:
            with session_facts.undone():
                session(entity, local)
                row = advance(entity, status)
            is_finished = local in ("expired", "abandoned")
            assert row.status == (local if is_finished else DONE), (status, local)
            assert row.provider_subscription_id == "sub_1"
            assert (row.completed_at == NOW) == (local in (OPEN, HOLD, PENDING))


@pytest.mark.parametrize("local", SessionStatus.values)
def test_an_incomplete_subscription_moves_only_what_was_completed(entity, local):
    session(entity, local)
    row = advance(entity, "incomplete")
    assert row.status == (DONE if local == PENDING else local)
    assert row.provider_subscription_id == "sub_1"


def test_without_a_session_a_pending_request_gets_a_reconciled_one(entity):
    request = session_facts.request(entity)
    row = advance(entity, request=request)
    assert (row.status, row.provider_subscription_id, row.provider_checkout_session_id) == (
        DONE,
        "sub_1",
        None,
    )
    assert (row.idempotency_row_id, row.operation_key, row.completed_at) == (request.pk, KEY, NOW)
    again = advance(entity, request=request)
    assert (again.pk, len(rows(entity))) == (row.pk, 1)


@pytest.mark.parametrize("why", ["no request", "incomplete", "finished", "one-off", "a link", "another key"])
def test_otherwise_nothing_is_inserted(entity, why):
    request = None
    if why != "no request":
        ended = {
            "status": "failed",
            "failure_code": "checkout_provider_error",
            "pending_lease_expires_at": None,
        }
        request = session_facts.request(
            entity,
            flow="one_off" if why == "one-off" else "subscription",
            **(ended if why == "finished" else {}),
            **({"action": "payment_link"} if why == "a link" else {}),
        )
    status = "incomplete" if why == "incomplete" else "active"
    key = OTHER_KEY if why == "another key" else KEY
    assert advance(entity, status, key=key, request=request) is None
    assert rows(entity) == []


def test_the_session_of_the_subscription_comes_before_that_of_the_key(entity):
    by_key = session(entity, DONE, operation_key=KEY)
    by_id = session(entity, PENDING, operation_key=OTHER_KEY, provider_subscription_id="sub_1")
    row = advance(entity)
    assert (row.pk, row.status) == (by_id.pk, DONE)
    assert rows(entity)[0].pk == by_key.pk
    assert rows(entity)[0].provider_subscription_id is None


def test_a_second_subscription_with_the_label_of_an_operation_is_not_its(entity):
    session(entity, DONE, provider_subscription_id="sub_0")
    assert advance(entity) is None


def test_a_session_of_another_flow_is_left_alone(entity):
    session(entity, OPEN, flow="one_off")
    assert advance(entity) is None
    assert [row.status for row in rows(entity)] == [OPEN]
