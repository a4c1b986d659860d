"""Provider events: mapping, duplicates, legality, conflicts, and what each move writes (spec 2.3)."""

import datetime as dt

import pytest


def outcomes():
    from moneyrails.models import ProviderEvent

    return list(ProviderEvent.objects.order_by("id").values_list("event_type", "outcome", "refusal_code"))


@pytest.mark.parametrize(
    ("event_type", "status", "found"),
    [
        ("confirmed", "", "confirmed"),
        ("", "paid", "confirmed"),
        ("", "reversed", "reversed"),
        ("confirmed", "paid", "confirmed"),
        ("failed", "nonsense", "failed"),
    ],
)
def test_type_and_status_name_one_event(world, event_type, status, found):
    from moneyrails.rails import providers
    from moneyrails.services.facts import event_type_of

    chosen = providers.by_path("stub_other")
    assert event_type_of(chosen, event_type=event_type, provider_status=status) == found


@pytest.mark.parametrize(
    ("event_type", "status", "problem"),
    [
        ("", "", "eventType or providerStatus is required"),
        ("", "nonsense", "unmapped providerStatus: nonsense"),
        ("failed", "paid", "eventType does not match providerStatus mapping"),
    ],
)
def test_faults_in_type_and_status_are_named(world, event_type, status, problem):
    from moneyrails.rails import providers
    from moneyrails.services.facts import InvalidEvent, event_type_of

    with pytest.raises(InvalidEvent) as caught:
        event_type_of(providers.by_path("stub_other"), event_type=event_type, provider_status=status)
    assert caught.value.message == "invalid provider event"
    assert caught.value.details == {"message": problem}


def test_an_event_moves_the_operation_and_everything_with_it(world):
    from moneyrails.models import Movement
    from settld.audit.models import OpsAudit

    at = world.NOW - dt.timedelta(days=3)
    operation = world.enqueued()
    done = world.told(operation, "submitted", at=at, event_id="evt_1", provider_ref="tr_1", reason_code="ok")

    assert done.applied
    assert (done.operation.state, done.operation.submitted_at) == ("submitted", at)  # may precede initiatedAt
    assert (done.operation.provider_ref, done.operation.reason_code) == ("tr_1", "ok")
    assert (done.event.dedupe_key, done.event.outcome) == ("submitted\nevt_1", "applied")
    assert Movement.objects.get().kind == "transfer"
    assert OpsAudit.objects.filter(action="MONEY_RAIL_PROVIDER_EVENT_APPLIED").count() == 1


def test_a_replayed_event_changes_nothing_and_shows_the_stored_one(world):
    from settld.audit.models import OpsAudit

    operation = world.enqueued()
    first = world.told(operation, "submitted", event_id="evt_1")
    audits = OpsAudit.objects.count()
    again = world.told(operation, "submitted", event_id="evt_1", provider_ref="tr_other")

    assert (again.applied, again.event) == (False, first.event)
    assert OpsAudit.objects.count() == audits


def test_without_an_id_the_time_names_the_event(world):
    operation = world.enqueued()
    assert world.told(operation, "submitted").event.dedupe_key == "submitted\n2026-03-10T12:00:00.000Z"
    assert not world.told(operation, "submitted").applied


def test_a_new_event_of_the_same_state_is_stored_and_touches_nothing(world):
    from settld.audit.models import OpsAudit

    operation = world.walked(world.enqueued(), "submitted")
    audits = OpsAudit.objects.count()
    done = world.told(
        operation, "submitted", event_id="evt_new", provider_ref="tr_2", now=world.NOW + dt.timedelta(days=1)
    )

    assert (done.applied, done.event.outcome) == (False, "noop")
    assert (done.operation.submitted_at, done.operation.provider_ref) == (world.NOW, "")
    assert OpsAudit.objects.count() == audits


def test_reordered_events_are_applied_when_their_turn_has_come(world):
    from moneyrails.services.events import InvalidTransition

    operation = world.enqueued()
    with pytest.raises(InvalidTransition) as caught:
        world.told(operation, "confirmed", event_id="evt_2")
    assert caught.value.message == "money rail provider event rejected"
    assert caught.value.details["code"] == "MONEY_RAIL_INVALID_TRANSITION"
    world.told(operation, "submitted", event_id="evt_1")
    assert world.told(operation, "confirmed", event_id="evt_2").operation.state == "confirmed"
    assert outcomes() == [
        ("confirmed", "rejected", "MONEY_RAIL_INVALID_TRANSITION"),
        ("submitted", "applied", ""),
        ("confirmed", "applied", ""),
    ]


def test_another_provider_reference_is_a_conflict_and_is_kept(world):
    from moneyrails.services.movements import ProviderRefConflict

    operation = world.enqueued()
    world.told(operation, "submitted", provider_ref="tr_1")
    with pytest.raises(ProviderRefConflict):
        world.told(operation, "confirmed", provider_ref="tr_2")
    operation.refresh_from_db()
    assert (operation.state, operation.provider_ref) == ("submitted", "tr_1")
    assert outcomes()[-1] == ("confirmed", "rejected", "MONEY_RAIL_PROVIDER_REF_CONFLICT")


@pytest.mark.parametrize("event_type", ["failed", "cancelled"])
def test_nothing_fails_while_an_attempt_is_open(world, event_type):
    from moneyrails.services import attempts
    from moneyrails.services.submit_conditions import SubmitInProgress

    operation = world.real_payout()
    attempts.open_attempt(operation, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW)
    with pytest.raises(SubmitInProgress) as caught:
        world.told(operation, event_type)
    assert caught.value.code == "MONEY_RAIL_SUBMIT_IN_PROGRESS"
    operation.refresh_from_db()
    assert operation.state == "initiated"


@pytest.mark.parametrize("status", ["dispatching", "in_doubt", "indeterminate"])
def test_a_submitted_event_resolves_the_doubt(world, status):
    from moneyrails.services import attempts
    from settld.audit.models import OpsAudit

    operation = world.real_payout()
    attempt = attempts.open_attempt(
        operation, None, actor=world.ACTOR, caller_identity_hash="", now=world.NOW
    )
    attempt.status = status
    attempt.save()
    world.told(operation, "submitted", provider_ref="tr_9")

    attempt.refresh_from_db()
    assert (attempt.status, attempt.observed_ref, attempt.lease_expires_at) == ("succeeded", "tr_9", None)
    assert OpsAudit.objects.filter(action="MONEY_RAIL_OPERATION_SUBMITTED").count() == 1


def test_a_reversal_is_owed_in_full_and_audited_as_a_chargeback(world):
    from moneyrails.models import ChargebackEntry, Movement, PartyBalance
    from settld.audit.models import OpsAudit

    operation = world.walked(world.enqueued(), "submitted", "confirmed")
    world.told(operation, "reversed", event_id="evt_r", reason_code="fraud")

    entry = ChargebackEntry.objects.get()
    assert (entry.kind, entry.amount_cents, entry.operation, entry.reason_code) == (
        "reversal",
        10_000,
        operation,
        "fraud",
    )
    assert PartyBalance.objects.get().outstanding_cents == 10_000
    assert Movement.objects.filter(kind="reversal", provider_event__event_id="evt_r").count() == 1
    assert OpsAudit.objects.get(action="MONEY_RAIL_CHARGEBACK_RECORDED").details == {
        "providerId": "stub_default", "operationId": operation.operation_id, "eventType": "reversed",
        "eventId": "evt_r", "partyId": "party1", "amountCents": 10_000, "reasonCode": "fraud",
        "outstandingAfterCents": 10_000,
    }  # fmt: skip


@pytest.mark.parametrize("event_type", ["submitted", "confirmed", "failed", "cancelled"])
def test_reversed_is_the_end(world, event_type):
    from moneyrails.services.events import InvalidTransition

    operation = world.walked(world.enqueued(), "submitted", "confirmed", "reversed")
    with pytest.raises(InvalidTransition):
        world.told(operation, event_type, event_id="late")


def test_a_submitted_payout_that_fails_returns(world):
    from moneyrails.models import ExposureCounter, Movement

    world.walked(world.enqueued(), "submitted", "failed")
    assert sorted(Movement.objects.values_list("kind", flat=True)) == ["return", "transfer"]
    assert ExposureCounter.objects.get().amount_cents == 0
