"""Cancel: what may still be called off, and what that takes along (spec 2.2)."""

import pytest


def cancel(operation, reason_code=""):
    from moneyrails.services import cancellation
    from tests.support.factories import ACTOR, NOW, key_of

    return cancellation.cancel(**key_of(operation), reason_code=reason_code, actor=ACTOR, now=NOW)


@pytest.mark.parametrize(("given", "kept"), [("", "cancelled_by_ops"), ("duplicate", "duplicate")])
def test_an_initiated_operation_is_cancelled_and_leaves_the_exposure(world, given, kept):
    from moneyrails.models import ExposureCounter, Movement
    from settld.audit.models import OpsAudit

    done = cancel(world.enqueued(), given)

    assert (done.applied, done.operation.state, done.operation.reason_code) == (True, "cancelled", kept)
    assert done.operation.cancelled_at == world.NOW
    assert list(ExposureCounter.objects.values_list("amount_cents", "operation_count")) == [(0, 0)]
    assert OpsAudit.objects.filter(action="MONEY_RAIL_OPERATION_CANCELLED").count() == 1
    assert not Movement.objects.exists()


@pytest.mark.parametrize(
    "way", [("submitted", "confirmed"), ("failed",), ("cancelled",), ("submitted", "confirmed", "reversed")]
)
def test_what_is_over_stays_as_it_is(world, way):
    operation = world.walked(world.enqueued(), *way)
    done = cancel(operation)
    assert (done.applied, done.operation.state) == (False, way[-1])


def test_a_submitted_sandbox_operation_comes_back(world):
    from moneyrails.models import Movement

    done = cancel(world.submitted(world.enqueued()))
    assert (done.applied, done.operation.state) == (True, "cancelled")
    assert sorted(Movement.objects.values_list("kind", flat=True)) == ["return", "transfer"]


def test_real_money_that_has_left_is_not_cancelled(world, refused):
    world.set_controls(realMoneyEnabled=True)
    operation = world.submitted(world.enqueued(provider_id="bank_wire"), provider_ref="wire-1")
    with refused("MONEY_RAIL_CANCEL_NOT_SUPPORTED") as caught:
        cancel(operation)
    assert caught.value.message == "money rail cancellation rejected"


@pytest.mark.parametrize("status", ["dispatching", "in_doubt", "indeterminate"])
def test_what_may_be_on_its_way_is_not_cancelled(world, refused, status):
    from moneyrails.services import attempts

    operation = world.real_payout()
    attempt = attempts.open_attempt(
        operation, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW
    )
    attempt.status = status
    attempt.save()
    with refused("MONEY_RAIL_CANCEL_IN_FLIGHT"):
        cancel(operation)


@pytest.mark.parametrize("status", ["rejected", "retryable"])
def test_what_certainly_did_not_leave_is_cancelled(world, status):
    from moneyrails.services import attempts

    operation = world.real_payout()
    attempt = attempts.open_attempt(
        operation, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW
    )
    attempts.close(attempt, attempts.AttemptStatus(status), now=world.NOW)
    assert cancel(operation).applied


@pytest.mark.parametrize("amount_cents", [2**31, 2**32 - 1, 2**53 - 1])
def test_a_great_amount_leaves_the_exposure_to_the_cent(world, amount_cents):
    """Ruling 18: the counter equals its sum; P1: amounts go up to 2^53-1, past what four bytes hold."""
    from moneyrails.models import ExposureCounter
    from moneyrails.services import exposure

    cancel(world.enqueued(payout_cents=amount_cents))
    assert list(ExposureCounter.objects.values_list("amount_cents", "operation_count")) == [(0, 0)]
    assert exposure.check(tenant_id=world.TENANT) == []


def test_a_great_reversal_is_owed_to_the_cent(world):
    """Spec 9: a balance equals its entries."""
    from moneyrails.models import PartyBalance

    world.walked(world.enqueued(payout_cents=2**53 - 1), "submitted", "confirmed", "reversed")
    assert PartyBalance.objects.get().outstanding_cents == 2**53 - 1
