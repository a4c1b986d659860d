"""Submit: the conditions in order, the outcome classes, doubt and its resolution (spec 2.2, 3.4)."""

import datetime as dt

import pytest


def failure(kind, **error):
    from settld.stripe_gateway import outcomes

    full = {
        "message": "no", "provider": "stripe", "category": "network_error", "retryable": True,
        "httpStatus": None, "providerCode": None, "providerType": None, "providerRequestId": None,
        "endpoint": "/v1/transfers",
        "attempt": 1, "maxAttempts": 3, "circuitOpenUntil": None,
    }  # fmt: skip
    return getattr(outcomes, kind)(full | error)


def submit(operation, *, now=None, **more):
    from moneyrails.services import submission
    from tests.support.factories import ACTOR, NOW, key_of

    return submission.submit(**key_of(operation), actor=ACTOR, now=now or NOW, **more)


def attempts():
    from moneyrails.models import DispatchAttempt

    return [(row.attempt, row.status) for row in DispatchAttempt.objects.order_by("attempt")]


@pytest.fixture
def rail(settings):
    import dataclasses

    from tests.support.factories import RecordingRail

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_rails")
    return RecordingRail()


# --- without a call ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("given", "shown"), [("", None), ("ref_1", "ref_1")])
def test_the_sandbox_submits_without_a_call(world, rail, given, shown):
    from moneyrails.models import Movement
    from settld.audit.models import OpsAudit

    operation = world.enqueued()
    done = submit(operation, provider_ref=given, rail=rail)

    transfer_id = shown or f"sim_submit_{operation.operation_id}"
    assert (done.applied, done.operation.state, done.operation.provider_ref) == (
        True,
        "submitted",
        transfer_id,
    )
    assert done.provider_submission == {
        "providerId": "stub_default", "mode": "sandbox", "transferId": transfer_id, "simulated": True,
    }  # fmt: skip
    movement = Movement.objects.get()
    assert (movement.kind, movement.amount_cents, movement.reference_type) == (
        "transfer",
        10_000,
        "party_statement",
    )
    assert movement.reference_id == operation.payout_key
    audit = OpsAudit.objects.get(action="MONEY_RAIL_OPERATION_SUBMITTED")
    assert audit.details == {
        "providerId": "stub_default", "operationId": operation.operation_id, "providerRef": transfer_id,
        "mode": "sandbox", "applied": True,
    }  # fmt: skip
    assert rail.keys == []


def test_a_production_provider_without_an_api_needs_a_reference(world, refused):
    world.set_controls(realMoneyEnabled=True)
    operation = world.enqueued(provider_id="bank_wire")
    with refused("MONEY_RAIL_SUBMIT_UNSUPPORTED"):
        submit(operation)
    done = submit(operation, provider_ref="wire-77")

    assert done.provider_submission == {
        "providerId": "bank_wire", "mode": "production", "transferId": "wire-77", "manual": True,
    }  # fmt: skip
    assert done.operation.provider_ref == "wire-77"


def test_a_production_reference_serves_one_operation_only(world, refused):
    world.set_controls(realMoneyEnabled=True)
    submit(world.enqueued(provider_id="bank_wire"), provider_ref="wire-77")
    second = world.enqueued("party2", provider_id="bank_wire")
    with refused("MONEY_RAIL_PROVIDER_REF_CONFLICT"):
        submit(second, provider_ref="wire-77")


# --- the conditions -----------------------------------------------------------------------------------------
def test_an_operation_of_another_provider_or_tenant_is_not_found(world, refused):
    from moneyrails.services import submission
    from settld.core import tenancy

    operation = world.enqueued()
    with refused("NOT_FOUND") as caught:
        submission.submit(
            tenant_id="tenant_a", provider_id="stub_other", operation_id=operation.operation_id,
            actor=world.ACTOR, now=world.NOW,
        )  # fmt: skip
    assert caught.value.message == "money rail operation not found"
    with tenancy.tenant_scope("tenant_b"), pytest.raises(type(caught.value)):
        submission.submit(
            tenant_id="tenant_b", provider_id="stub_default", operation_id=operation.operation_id,
            actor=world.ACTOR, now=world.NOW,
        )  # fmt: skip


@pytest.mark.parametrize(
    "way", [("submitted",), ("submitted", "confirmed"), ("submitted", "confirmed", "reversed")]
)
def test_what_has_left_is_already_submitted(world, way):
    operation = world.walked(world.enqueued(), *way)
    done = submit(operation)
    assert (done.applied, done.reason, done.provider_submission) == (False, "already_submitted", None)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_what_was_called_off_cannot_be_submitted(world, refused, end):
    operation = world.walked(world.enqueued(), end)
    with refused("MONEY_RAIL_SUBMIT_INVALID_STATE") as caught:
        submit(operation)
    assert caught.value.details == {"operationId": operation.operation_id, "state": end}


@pytest.mark.parametrize(
    ("controls", "code"),
    [
        ({}, "REAL_MONEY_DISABLED"),
        ({"realMoneyEnabled": True, "payoutKillSwitch": True}, "PAYOUT_KILL_SWITCH_ACTIVE"),
        ({"realMoneyEnabled": True, "allowedProviderIds": ["x"]}, "MONEY_RAIL_PROVIDER_NOT_ALLOWED"),
    ],
)
def test_gates_8_to_10_are_asked_again_and_nothing_reaches_the_provider(world, refused, rail, controls, code):
    operation = world.real_payout()
    world.set_controls(**controls)
    with refused(code):
        submit(operation, rail=rail)
    assert rail.keys == []


@pytest.mark.parametrize("ref", ["bank:1", "acct_1", "stripe_connect:acct_", "stripe_connect:acct_1/x"])
def test_stripe_pays_connected_accounts_only(world, refused, rail, ref):
    world.set_controls(realMoneyEnabled=True)
    operation = world.enqueued(provider_id="stripe_sim", counterparty_ref=ref)
    with refused("STRIPE_CONNECT_COUNTERPARTY_REQUIRED") as caught:
        submit(operation, rail=rail)
    assert caught.value.details == {"operationId": operation.operation_id, "counterpartyRef": ref}
    assert rail.keys == []


def test_an_account_that_became_ineligible_is_not_paid(world, refused, rail):
    account = {"accountId": "acct_party1", "partyId": "party1"}
    world.set_controls(realMoneyEnabled=True, connect={"enabled": True, "accounts": [account]})
    operation = world.enqueued(provider_id="stripe_sim")
    world.set_controls(
        realMoneyEnabled=True, connect={"enabled": True, "accounts": [account | {"status": "disabled"}]}
    )
    with refused("STRIPE_CONNECT_ACCOUNT_REQUIRED"):
        submit(operation, rail=rail)
    assert rail.keys == []


def test_without_a_secret_key_nothing_is_tried(world, refused, settings):
    operation = world.real_payout()
    assert settings.STRIPE.secret_key == ""
    with refused("STRIPE_SECRET_KEY_REQUIRED"):
        submit(operation)


def test_a_provider_that_changed_its_mode_is_not_used(world, refused, settings, rail):
    operation = world.enqueued()
    settings.MONEY_RAILS = world.rails(world.provider("stub_default", "production"))
    world.set_controls(realMoneyEnabled=True)
    with refused("MONEY_RAIL_PROVIDER_MODE_CHANGED"):
        submit(operation, provider_ref="wire-1")


# --- with a call --------------------------------------------------------------------------------------------
def test_a_transfer_moves_the_operation_and_its_attempt(world, rail):
    from moneyrails.models import DispatchAttempt, Movement

    operation = world.real_payout()
    done = submit(operation, rail=rail)

    transfer_id = done.operation.provider_ref
    assert (done.applied, done.operation.state) == (True, "submitted")
    assert done.provider_submission == {
        "providerId": "stripe_sim", "mode": "production", "transferId": transfer_id,
        "destinationAccountId": "acct_party1", "amountCents": 10_000, "currency": "usd",
        "createdAt": "2026-03-10T12:00:00.000Z",
    }  # fmt: skip
    attempt = DispatchAttempt.objects.get()
    assert (attempt.status, attempt.observed_ref, attempt.first_sent_at) == (
        "succeeded",
        transfer_id,
        world.NOW,
    )
    assert attempt.idempotency_key.startswith("st_tr_")
    assert attempt.idempotency_key.endswith("_a1")
    assert Movement.objects.get().provider_ref == transfer_id


def test_a_second_submit_during_the_provider_call_sends_nothing(world, rail):
    from moneyrails.services.submit_conditions import SubmitInProgress

    operation = world.real_payout()
    plain = rail.create_transfer

    def with_rival(order):
        with pytest.raises(SubmitInProgress) as caught:
            submit(operation, rail=rail)
        assert caught.value.headers["retry-after"]
        return plain(order)

    rail.create_transfer = with_rival
    done = submit(operation, rail=rail)
    assert (done.applied, done.operation.state) == (True, "submitted")
    assert len(rail.keys) == 1


def test_a_clear_no_leaves_it_initiated_and_the_next_try_has_a_new_key(world, rail):
    from moneyrails.services.dispatch import SubmitFailed

    operation = world.real_payout()
    rail.before = [failure("ProviderRejected", category="upstream_rejected", httpStatus=400)]
    with pytest.raises(SubmitFailed) as caught:
        submit(operation, rail=rail)
    assert (caught.value.status, caught.value.details["category"]) == (502, "upstream_rejected")
    operation.refresh_from_db()
    assert operation.state == "initiated"

    submit(operation, rail=rail)
    assert attempts() == [(1, "rejected"), (2, "succeeded")]
    assert [key[-3:] for key in rail.keys] == ["_a1", "_a2"]


def test_what_was_never_executed_is_tried_again_with_its_key(world, rail):
    from moneyrails.services.dispatch import SubmitFailed

    operation = world.real_payout()
    rail.before = [failure("ProviderNotExecuted", category="circuit_open")]
    with pytest.raises(SubmitFailed) as caught:
        submit(operation, rail=rail)
    assert caught.value.status == 503

    submit(operation, rail=rail)
    assert attempts() == [(1, "succeeded")]
    assert len(set(rail.keys)) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lost_answer_is_found_out_before_anything_is_sent_again(world, rail, moment):
    from moneyrails.services.dispatch import SubmitFailed

    operation = world.real_payout()
    setattr(rail, moment, [failure("ProviderInDoubt")])
    with pytest.raises(SubmitFailed):
        submit(operation, rail=rail)
    assert attempts() == [(1, "in_doubt")]

    done = submit(operation, rail=rail)
    assert (done.applied, rail.searches, len(rail.made)) == (True, 1, 1)
    assert len(rail.keys) == (
        2 if moment == "before" else 1
    )  # a transfer that was found is not asked for again
    assert attempts() == [(1, "succeeded")]


def test_a_no_after_a_doubt_stays_a_doubt(world, rail):
    from moneyrails.services.dispatch import SubmitFailed

    operation = world.real_payout()
    rail.before = [failure("ProviderInDoubt"), failure("ProviderRejected"), failure("ProviderNotExecuted")]
    for _ in range(3):
        with pytest.raises(SubmitFailed):
            submit(operation, rail=rail)
        assert attempts() == [(1, "in_doubt")]


def test_no_key_is_sent_again_once_the_provider_may_have_forgotten_it(world, rail):
    from moneyrails.services.dispatch import SubmitFailed
    from moneyrails.services.submit_conditions import SubmitIndeterminate

    operation = world.real_payout()
    rail.before = [failure("ProviderInDoubt")]
    with pytest.raises(SubmitFailed):
        submit(operation, rail=rail)
    with pytest.raises(SubmitIndeterminate):
        submit(operation, rail=rail, now=world.NOW + dt.timedelta(hours=23))
    assert attempts() == [(1, "indeterminate")]
    assert len(rail.keys) == 1
    with pytest.raises(SubmitIndeterminate):
        submit(operation, rail=rail)


def test_a_transfer_other_than_the_ordered_one_is_never_adopted(world, rail):
    import dataclasses

    from moneyrails.services.dispatch import InvalidResponse
    from moneyrails.services.submit_conditions import SubmitIndeterminate

    operation = world.real_payout()
    made = rail.transfer_for
    rail.transfer_for = lambda order: dataclasses.replace(made(order), amount_cents=1)
    with pytest.raises(InvalidResponse) as caught:
        submit(operation, rail=rail)
    assert caught.value.details == {"operationId": operation.operation_id, "providerId": "stripe_sim"}
    with pytest.raises(SubmitIndeterminate):
        submit(operation, rail=rail)
    assert (attempts(), len(rail.keys)) == ([(1, "indeterminate")], 1)


def test_several_transfers_wait_for_a_person(world, rail):
    import dataclasses

    from moneyrails.services.submit_conditions import SubmitIndeterminate

    operation = world.real_payout()
    rail.after = [failure("ProviderInDoubt")]
    with pytest.raises(Exception, match="submit failed"):
        submit(operation, rail=rail)
    only = next(iter(rail.made.values()))
    rail.made["other"] = dataclasses.replace(only, transfer_id="tr_other")
    with pytest.raises(SubmitIndeterminate):
        submit(operation, rail=rail)


def test_a_lost_lease_keeps_the_transfers_id_and_changes_nothing_else(world, rail):
    from moneyrails.models import DispatchAttempt
    from moneyrails.services.submit_conditions import SubmitInProgress

    operation = world.real_payout()
    plain = rail.create_transfer

    def slow(order):
        DispatchAttempt.objects.update(lease_token="00000000-0000-0000-0000-000000000001")
        return plain(order)

    rail.create_transfer = slow
    with pytest.raises(SubmitInProgress):
        submit(operation, rail=rail)
    operation.refresh_from_db()
    attempt = DispatchAttempt.objects.get()
    assert (operation.state, operation.provider_ref) == ("initiated", attempt.observed_ref)
    assert attempt.status == "dispatching"


def test_an_event_during_the_call_wins_and_there_is_one_audit(world, rail):
    from settld.audit.models import OpsAudit

    operation = world.real_payout()
    plain = rail.create_transfer

    def told_first(order):
        transfer = plain(order)
        world.told(operation, "submitted", provider_ref=transfer.transfer_id)
        return transfer

    rail.create_transfer = told_first
    done = submit(operation, rail=rail)
    assert (done.applied, done.reason, done.operation.state) == (False, "already_submitted", "submitted")
    assert attempts() == [(1, "succeeded")]
    assert OpsAudit.objects.filter(action="MONEY_RAIL_OPERATION_SUBMITTED").count() == 1


def test_a_twin_that_answered_first_does_not_undo_what_we_saw(world, rail):
    """The event wins, our twin stores its reply under our key, and only then does our own T2 come."""
    from moneyrails.models import DispatchAttempt

    operation = world.real_payout()
    plain, kept = rail.create_transfer, []

    class OneReply:
        identity_hash = "same"

        def recall(self):
            """No reply yet."""

        def keep(self, result):
            assert not kept, "a key has one reply"
            kept.append(result.reason)

    def slow(order):
        transfer = plain(order)
        world.told(operation, "submitted", provider_ref=transfer.transfer_id)
        submit(operation, rail=rail, memory=OneReply())
        return transfer

    rail.create_transfer = slow
    done = submit(operation, rail=rail, memory=OneReply())
    assert (done.reason, kept) == ("already_submitted", ["already_submitted"])
    assert DispatchAttempt.objects.get().observed_ref == done.operation.provider_ref


# --- recovery by beat ---------------------------------------------------------------------------------------
def crashed(world, rail, *, after_effect):
    """T1 is committed and the process is gone, before or after the provider did its work."""
    operation = world.real_payout()

    class Killed(BaseException):
        pass

    plain = rail.create_transfer

    def die(order):
        if after_effect:
            plain(order)
        raise Killed

    rail.create_transfer = die
    with pytest.raises(Killed):
        submit(operation, rail=rail)
    rail.create_transfer = plain
    return operation


@pytest.mark.parametrize(("after_effect", "end"), [(True, "adopted"), (False, "sent")])
def test_recovery_finishes_what_a_dead_worker_began(world, rail, after_effect, end):
    from moneyrails.services import doubt

    operation = crashed(world, rail, after_effect=after_effect)
    assert doubt.recover_due(now=world.NOW + dt.timedelta(seconds=119), rail=rail) == {}
    assert doubt.recover_due(now=world.NOW + dt.timedelta(seconds=120), rail=rail) == {end: 1}
    operation.refresh_from_db()
    assert (operation.state, len(rail.made), attempts()) == ("submitted", 1, [(1, "succeeded")])
    assert doubt.recover_due(now=world.NOW + dt.timedelta(days=2), rail=rail) == {}


def test_recovery_looks_but_does_not_send_while_the_kill_switch_is_on(world, rail):
    from moneyrails.services import doubt

    operation = crashed(world, rail, after_effect=False)
    world.set_controls(realMoneyEnabled=True, payoutKillSwitch=True)
    assert doubt.recover_due(now=world.NOW + dt.timedelta(minutes=3), rail=rail) == {"blocked": 1}
    operation.refresh_from_db()
    assert (operation.state, rail.searches, rail.keys) == ("initiated", 1, [])


def test_recovery_waits_longer_after_each_fruitless_look(world, rail):
    from moneyrails.models import DispatchAttempt
    from moneyrails.services import doubt

    crashed(world, rail, after_effect=False)
    now, waits = world.NOW + dt.timedelta(minutes=3), []
    for _ in range(8):
        rail.before = [failure("ProviderInDoubt")]
        assert doubt.recover_due(now=now, rail=rail) == {"in_doubt": 1}
        due = DispatchAttempt.objects.get().next_check_at
        waits.append((due - now).total_seconds() / 60)
        now = due
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
