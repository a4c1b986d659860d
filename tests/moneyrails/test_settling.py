"""Settling an unknown outcome by evidence (spec 3.4 step 6): who may, what refutes them, what follows."""

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


# --- Sent -----------------------------------------------------------------------------------------
def test_sent_records_the_transfer_the_reason_and_one_submission(world, doubts, rail):
    from moneyrails.models import Movement

    attempt = doubts.indeterminate(world, rail)
    doubts.stranger(rail, attempt.operation, transfer_id="tr_found")
    done = doubts.settle(attempt, rail, "sent", transfer_id="tr_found", evidence="statement of 11 March")

    assert (done.outcome, done.is_resolved) == ("sent", True)
    settled = doubts.fresh(attempt)
    assert (settled.status, settled.operation.state) == ("succeeded", "submitted")
    assert (settled.operation.provider_ref, settled.observed_ref) == ("tr_found", "tr_found")
    assert (settled.resolved_by, settled.resolution_reason) == ("person:2", "dashboard looked at by two")
    assert (settled.resolution_evidence, settled.resolved_at) == ("statement of 11 March", doubts.LATE)
    assert Movement.objects.get().provider_ref == "tr_found"
    assert len(doubts.audits("MONEY_RAIL_OPERATION_SUBMITTED")) == 1
    (row,) = doubts.audits("MONEY_RAIL_DISPATCH_RESOLVED")
    assert (row["outcome"], row["transferId"], row["providerAsked"]) == ("sent", "tr_found", True)
    assert (row["submittedBy"], row["reason"]) == ("ops_token:tests", "dashboard looked at by two")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"transfer_id": "tr_other"}, "the provider has no such transfer"),
        ({"operation_id": "mop_other"}, "the transfer belongs to another payout"),
        ({"amount_cents": 9_999}, "amount, currency or destination differs"),
        ({"currency": "eur"}, "amount, currency or destination differs"),
        ({"destination": "acct_other"}, "amount, currency or destination differs"),
    ],
)
def test_sent_is_refuted_by_what_the_provider_has(world, doubts, rail, changes, problem):
    from moneyrails.models import Movement
    from moneyrails.services.settling import EvidenceRefuted

    attempt = doubts.indeterminate(world, rail)
    doubts.stranger(rail, attempt.operation, **{"transfer_id": "tr_named", **changes})
    with pytest.raises(EvidenceRefuted) as caught:
        doubts.settle(attempt, rail, "sent", transfer_id="tr_named", evidence="I am sure")
    assert caught.value.details["problem"] == problem
    assert doubts.state_of(attempt) == ("indeterminate", "initiated")
    assert (Movement.objects.count(), doubts.audits("MONEY_RAIL_DISPATCH_RESOLVED")) == (0, [])
    assert doubts.looks(attempt)[-1] == ("settle", "refuted")
    assert doubts.fresh(attempt).lease_expires_at is None


def test_sent_without_a_provider_to_ask_needs_evidence_in_words(world, doubts, rail):
    from moneyrails.services.settling import EvidenceRequired

    attempt = doubts.indeterminate(world, rail)
    with pytest.raises(EvidenceRequired) as caught:
        doubts.settle(attempt, doubts.DeadRail(), "sent", transfer_id="tr_9")
    assert caught.value.details["providerError"]["providerRequestId"] == "req_stripe_1"
    doubts.settle(attempt, doubts.DeadRail(), "sent", transfer_id="tr_9", evidence="bank letter 7")
    assert doubts.state_of(attempt) == ("succeeded", "submitted")
    assert doubts.audits("MONEY_RAIL_DISPATCH_RESOLVED")[0]["providerAsked"] is False


def test_sent_with_a_transfer_recorded_for_another_payout_is_refused_and_the_lease_given_back(
    world, doubts, rail
):
    from moneyrails.services.movements import ProviderRefConflict

    other = doubts.in_doubt(world, rail, is_made=True, party="party2")
    doubts.ask(other, rail)
    taken = doubts.fresh(other).observed_ref
    attempt = doubts.indeterminate(world, rail)
    with pytest.raises(ProviderRefConflict):
        doubts.settle(attempt, doubts.DeadRail(), "sent", transfer_id=taken, evidence="letter")
    settled = doubts.fresh(attempt)
    assert (settled.status, settled.operation.state, settled.resolved_by) == (
        "indeterminate",
        "initiated",
        "",
    )
    assert settled.lease_expires_at is None


def test_sent_may_be_proved_while_the_doubt_is_young(world, doubts, rail):
    attempt = doubts.in_doubt(world, rail, is_made=True)
    (made,) = rail.made.values()
    doubts.settle(attempt, rail, "sent", transfer_id=made.transfer_id, now=doubts.LATER)
    assert doubts.state_of(attempt) == ("succeeded", "submitted")


# --- Not sent -------------------------------------------------------------------------------------
def test_not_sent_permits_the_next_attempt_with_a_new_key(world, doubts, rail):
    from moneyrails.services import submission
    from tests.support.factories import key_of

    attempt = doubts.indeterminate(world, rail)
    doubts.settle(attempt, rail, "not_sent")
    assert doubts.state_of(attempt) == ("not_sent", "initiated")

    searches = rail.searches
    done = submission.submit(**key_of(attempt.operation), actor=world.ACTOR, now=doubts.LATE, rail=rail)
    assert (done.applied, done.operation.state) == (True, "submitted")
    assert rail.searches == searches + 1  # it looked before it sent
    assert rail.keys[-1].endswith("_a2")
    assert len(rail.made) == 1


def test_not_sent_lets_the_payout_be_cancelled(world, doubts, rail):
    from moneyrails.services import cancellation
    from tests.support.factories import key_of

    attempt = doubts.indeterminate(world, rail)
    doubts.settle(attempt, rail, "not_sent")
    assert cancellation.cancel(**key_of(attempt.operation), actor=world.ACTOR, now=doubts.LATE).applied


def test_not_sent_waits_for_the_deadline_while_the_provider_can_still_tell(world, doubts, rail, refused):
    attempt = doubts.in_doubt(world, rail)
    with refused("MONEY_RAIL_DISPATCH_STILL_IN_DOUBT"):
        doubts.settle(attempt, rail, "not_sent", now=doubts.DEADLINE - dt.timedelta(milliseconds=1))
    doubts.settle(attempt, rail, "not_sent", now=doubts.DEADLINE)
    assert doubts.state_of(attempt) == ("not_sent", "initiated")


def test_not_sent_is_refuted_by_the_transfer(world, doubts, rail):
    from moneyrails.services.settling import EvidenceRefuted

    attempt = doubts.indeterminate(world, rail)
    doubts.stranger(rail, attempt.operation, transfer_id="tr_late")
    with pytest.raises(EvidenceRefuted) as caught:
        doubts.settle(attempt, rail, "not_sent", evidence="nobody got money")
    assert caught.value.details["transferIds"] == ["tr_late"]
    assert doubts.state_of(attempt) == ("indeterminate", "initiated")


def test_a_foreign_transfer_needs_evidence_and_stands_in_nobodys_way_afterwards(world, doubts, rail):
    from moneyrails.services import submission
    from moneyrails.services.settling import EvidenceRequired
    from tests.support.factories import key_of

    attempt = doubts.in_doubt(world, rail)
    doubts.stranger(rail, attempt.operation, amount_cents=1)
    doubts.ask(attempt, rail)
    with pytest.raises(EvidenceRequired) as caught:
        doubts.settle(attempt, rail, "not_sent", now=doubts.LATER)
    assert [row["transferId"] for row in caught.value.details["transfers"]] == ["tr_stranger"]
    doubts.settle(attempt, rail, "not_sent", evidence="a refund by hand, ticket 12", now=doubts.LATER)

    done = submission.submit(**key_of(attempt.operation), actor=world.ACTOR, now=doubts.LATER, rail=rail)
    assert (done.applied, rail.keys[-1][-3:]) == (True, "_a2")


# --- A second person ------------------------------------------------------------------------------
@pytest.mark.parametrize("outcome", ["sent", "not_sent"])
def test_whoever_submitted_may_not_settle(world, doubts, rail, refused, outcome):
    attempt = doubts.indeterminate(world, rail)
    searches = rail.searches
    transfer_id = "tr_1" if outcome == "sent" else ""
    with refused("MONEY_RAIL_SECOND_PERSON_REQUIRED") as caught:
        doubts.settle(attempt, rail, outcome, transfer_id=transfer_id, actor=world.ACTOR)
    assert caught.value.status == 403
    assert rail.searches == searches


def test_a_credential_that_no_person_is_known_behind_may_not_settle(world, doubts, rail, refused):
    from settld.core.principals import Actor

    attempt = doubts.indeterminate(world, rail)
    with refused("MONEY_RAIL_PERSON_REQUIRED"):
        doubts.settle(attempt, rail, "not_sent", actor=Actor(principal_id="ops_token:another"))


def test_a_key_is_whoever_made_it(world, doubts, rail, refused):
    from moneyrails.services import submission
    from settld.audit import services as audit
    from settld.core.principals import Actor
    from tests.support.factories import key_of

    def made(key_id, by):
        audit.append(
            tenant_id=world.TENANT, actor=Actor(principal_id=by), action="API_KEY_CREATE",
            target_type="auth_key", target_id=key_id, details={}, at=world.NOW,
        )  # fmt: skip

    made("sk_a", "person:1")
    made("sk_b", "person:1")
    made("sk_c", "person:3")
    operation = world.real_payout()
    rail.before.append(doubts.lost())
    with pytest.raises(Exception, match="submit failed"):
        submission.submit(
            **key_of(operation), actor=Actor("auth:sk_a", key_id="sk_a"), now=world.NOW, rail=rail
        )
    attempt = operation.attempts.get()
    for principal in ("auth:sk_a", "person:1", "auth:sk_b"):
        with refused("MONEY_RAIL_SECOND_PERSON_REQUIRED"):
            doubts.settle(attempt, rail, "not_sent", actor=Actor(principal_id=principal))
    doubts.settle(attempt, rail, "not_sent", actor=Actor("auth:sk_c", key_id="sk_c"))
    assert doubts.fresh(attempt).resolver_hands == ["auth:sk_c", "person:3"]


def test_a_payout_that_was_never_executed_is_submitted_by_whoever_submits_it_then(
    world, doubts, rail, refused
):
    from moneyrails.services import submission
    from settld.core.principals import Actor
    from settld.stripe_gateway.outcomes import ProviderNotExecuted
    from tests.support.factories import key_of

    operation = world.real_payout()
    rail.before += [ProviderNotExecuted(doubts.lost().error), doubts.lost()]
    for principal in ("person:1", "person:2"):
        with pytest.raises(Exception, match="submit failed"):
            submission.submit(
                **key_of(operation), actor=Actor(principal_id=principal), now=world.NOW, rail=rail
            )
    attempt = operation.attempts.get()
    with refused("MONEY_RAIL_SECOND_PERSON_REQUIRED"):
        doubts.settle(attempt, rail, "not_sent", actor=Actor(principal_id="person:2"))
    doubts.settle(attempt, rail, "not_sent", actor=Actor(principal_id="person:1"))


# --- What the database itself refuses ---------------------------------------------------------------
SETTLED = {
    "status": "not_sent", "resolved_by": "person:2", "resolved_at": dt.datetime(2026, 3, 11, tzinfo=dt.UTC),
    "resolution_reason": "why", "resolver_hands": ["person:2"], "submitter_hands": ["ops_token:tests"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        (
            {"resolved_by": "ops_token:tests", "resolver_hands": ["ops_token:tests", "person:2"]},
            "attempt_resolved_by_a_second_person",
        ),
        ({"resolver_hands": ["person:2", "ops_token:tests"]}, "attempt_resolved_by_other_hands"),
        ({"resolver_hands": ["person:3"]}, "attempt_resolved_by_other_hands"),
        ({"submitter_hands": []}, "attempt_resolved_by_other_hands"),
        ({"resolver_hands": []}, "attempt_resolved_by_a_person"),
        ({"resolved_by": "ops_token:b", "resolver_hands": ["ops_token:b"]}, "attempt_resolved_by_a_person"),
        ({"resolution_reason": ""}, "attempt_settlement_says_why_and_how"),
        ({"resolved_at": None}, "attempt_settlement_says_why_and_how"),
        ({"status": "in_doubt"}, "attempt_settlement_says_why_and_how"),
        ({"resolved_by": "", "resolver_hands": ["person:2"]}, "attempt_not_sent_by_a_person"),
        ({"submitted_by": "person:9"}, "who sent what stays"),
        ({"submitted_by": ""}, "who sent what stays"),
    ],
)
def test_raw_sql_cannot_settle_ones_own_payout(world, doubts, rail, changes, constraint):
    from django.db import IntegrityError, connection, transaction

    attempt = doubts.indeterminate(world, rail)
    values = {**SETTLED, **changes}
    columns = ", ".join(f"{name} = %s" for name in values)

    def update(given):
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE dispatch_attempt SET {columns} WHERE id = %s",
                [*given.values(), attempt.pk],
            )

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        update(values)
    assert doubts.state_of(attempt) == ("indeterminate", "initiated")


def test_raw_sql_cannot_rewrite_a_settlement_or_rename_the_submitter_first(world, doubts, rail):
    from django.db import IntegrityError, transaction

    from moneyrails.models import DispatchAttempt, DispatchCheck

    attempt = doubts.indeterminate(world, rail)
    row = DispatchAttempt.objects.filter(pk=attempt.pk)
    with pytest.raises(IntegrityError, match="who sent what"), transaction.atomic():
        row.update(submitted_by="person:9")
    assert row.update(**SETTLED) == 1
    for change in ({"resolved_by": "person:3"}, {"status": "in_doubt"}, {"resolution_reason": "other"}):
        with pytest.raises(IntegrityError, match="stays settled"), transaction.atomic():
            row.update(**change)
    with pytest.raises(Exception, match=r"permission denied|Cannot update"), transaction.atomic():
        DispatchCheck.objects.update(checked_by="nobody")


def test_the_databases_refusal_reaches_the_caller_by_its_code(world, doubts, rail, monkeypatch):
    from moneyrails.services import settling

    attempt = doubts.indeterminate(world, rail)
    monkeypatch.setattr(
        settling, "require_second_person", lambda attempt, actor: settling.hands.of(
            tenant_id=attempt.tenant_id, actor=actor
        ),
    )  # fmt: skip
    with pytest.raises(settling.SecondPersonRequired):
        doubts.settle(attempt, rail, "not_sent", actor=world.ACTOR)
    assert doubts.fresh(attempt).lease_expires_at is None


# --- Races ----------------------------------------------------------------------------------------
def test_of_two_operators_one_settles_and_the_other_is_told(world, doubts, rail):
    from moneyrails.services.submit_conditions import SubmitInProgress
    from settld.core.principals import Actor

    attempt = doubts.indeterminate(world, rail)

    class WithRival(RecordingRail):
        def find_transfers(self, order):
            with pytest.raises(SubmitInProgress):
                doubts.settle(attempt, rail, "not_sent", actor=Actor(principal_id="person:3"))
            return []

    doubts.settle(attempt, WithRival(), "not_sent")
    with pytest.raises(Exception, match="is known"):
        doubts.settle(attempt, rail, "not_sent", actor=Actor(principal_id="person:3"))
    assert doubts.fresh(attempt).resolved_by == "person:2"


def test_a_submitted_event_beats_a_finding_of_not_sent(world, doubts, rail):
    from moneyrails.services.unknown_outcomes import AlreadyResolved

    attempt = doubts.indeterminate(world, rail)

    class WithEvent(RecordingRail):
        def find_transfers(self, order):
            world.told(attempt.operation, "submitted", provider_ref="tr_event")
            return []

    with pytest.raises(AlreadyResolved) as caught:
        doubts.settle(attempt, WithEvent(), "not_sent")
    assert caught.value.details["operationState"] == "submitted"
    assert (doubts.state_of(attempt), doubts.fresh(attempt).resolved_by) == (("succeeded", "submitted"), "")


def test_after_not_sent_a_failed_event_is_no_longer_refused(world, doubts, rail):
    attempt = doubts.indeterminate(world, rail)
    doubts.settle(attempt, rail, "not_sent")
    assert world.told(attempt.operation, "failed").applied
    assert doubts.state_of(attempt) == ("not_sent", "failed")
