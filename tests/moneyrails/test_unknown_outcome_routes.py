"""/ops/money-rails/unknown-outcomes: list, read, ask, replay, settle over HTTP."""

import dataclasses

import pytest

from tests.support.api import body, refusal
from tests.support.factories import RecordingRail

ROOT = "/ops/money-rails/unknown-outcomes"


@pytest.fixture
def doubts(world, settings):
    from tests.moneyrails import doubts

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_routes")
    return doubts


@pytest.fixture
def rail(monkeypatch):
    from moneyrails.rails import stripe as stripe_rail

    rail = RecordingRail()
    monkeypatch.setattr(stripe_rail, "StripeRail", lambda: rail)
    return rail


@pytest.fixture
def person_key(world, api):
    """Make an API key that a person has made; gives its token."""
    from settld.core.principals import SCOPES, Actor
    from settld.tenants.services import keys, tenants

    def make(person):
        tenants.ensure(tenant_id=world.TENANT, source="tests", now=world.NOW)
        made = keys.create(
            tenant_id=world.TENANT, scopes=sorted(SCOPES & {"finance_write", "ops_write"}), key_id=None,
            expires_at=None, description="", actor=Actor(principal_id=person), now=world.NOW,
        )  # fmt: skip
        return {"x-proxy-api-key": made.token}

    return make


def test_the_list_names_each_doubt_with_its_deadline(world, doubts, rail, api):
    attempt = doubts.in_doubt(world, rail)
    answer = body(api.get(ROOT))
    (row,) = answer["unknownOutcomes"]
    assert (answer["total"], row["attemptId"], row["status"]) == (1, str(attempt.pk), "in_doubt")
    assert row["replayDeadlineAt"] == "2026-03-11T11:00:00.000Z"
    assert (row["isReplayable"], row["submittedBy"]) == (True, "ops_token:tests")
    assert body(api.get(f"{ROOT}?status=indeterminate"))["total"] == 0
    assert refusal(api.get(f"{ROOT}?status=sent")) == (400, "SCHEMA_INVALID")
    assert refusal(api.get(f"{ROOT}?limit=0")) == (400, "SCHEMA_INVALID")


def test_the_detail_shows_request_hash_checks_and_whether_the_caller_may_settle(
    world, doubts, rail, api, person_key
):
    from settld.core.hashing import canonical_hash

    attempt = doubts.in_doubt(world, rail)
    shown = body(api.get(f"{ROOT}/{attempt.pk}"))["unknownOutcome"]
    assert shown["requestHash"] == canonical_hash(attempt.request)
    assert [(look["kind"], look["outcome"]) for look in shown["checks"]] == [("send", "no_answer")]
    assert shown["checks"][0]["error"]["providerRequestId"] == "req_stripe_1"
    assert shown["you"] == {"maySettle": False, "code": "MONEY_RAIL_PERSON_REQUIRED"}
    shown = body(api.get(f"{ROOT}/{attempt.pk}", headers=person_key("person:2")))["unknownOutcome"]
    assert shown["you"] == {"maySettle": True, "code": None}


@pytest.mark.parametrize("path", [f"{ROOT}/nonsense", f"{ROOT}/00000000-0000-7000-8000-000000000000"])
def test_what_is_not_there_is_404(world, api, path):
    assert refusal(api.get(path)) == (404, "NOT_FOUND")
    assert refusal(api.post(f"{path}/ask")) == (404, "NOT_FOUND")


def test_asking_under_a_key_is_replayed_byte_for_byte(world, doubts, rail, api):
    attempt = doubts.in_doubt(world, rail)
    first = api.post(f"{ROOT}/{attempt.pk}/ask", {}, key="ask-1")
    searches = rail.searches
    again = api.post(f"{ROOT}/{attempt.pk}/ask", {}, key="ask-1")
    assert (first.status_code, again.content, again["x-idempotent-replay"]) == (200, first.content, "true")
    assert body(first)["outcome"] == "nothing_found"
    assert rail.searches == searches
    assert refusal(api.post(f"{ROOT}/{attempt.pk}/ask", {"other": 1}, key="ask-1")) == (
        409, "IDEMPOTENCY_CONFLICT",
    )  # fmt: skip


def test_a_replay_answers_with_the_submitted_operation_and_repeats_it(world, doubts, rail, api):
    attempt = doubts.in_doubt(world, rail)
    with doubts_clock(doubts):
        first = api.post(f"{ROOT}/{attempt.pk}/replay", {}, key="replay-1")
        again = api.post(f"{ROOT}/{attempt.pk}/replay", {}, key="replay-1")
    answer = body(first)
    assert (answer["outcome"], answer["resolved"]) == ("sent", True)
    assert (answer["operation"]["state"], answer["dispatch"]["status"]) == ("submitted", "succeeded")
    assert (again.content, len(rail.keys)) == (first.content, 2)


def test_settling_needs_a_known_second_person(world, doubts, rail, api, person_key):
    attempt = doubts.indeterminate(world, rail)
    path = f"{ROOT}/{attempt.pk}/settle"
    sent = {"outcome": "not_sent", "reason": "nothing there"}
    assert refusal(api.post(path, sent)) == (403, "MONEY_RAIL_PERSON_REQUIRED")
    answer = api.post(path, sent, headers=person_key("person:2"), key="settle-1")
    assert (answer.status_code, body(answer)["outcome"]) == (200, "not_sent")
    shown = body(api.get(f"{ROOT}/{attempt.pk}"))["unknownOutcome"]["resolution"]
    assert (shown["outcome"], shown["reason"]) == ("not_sent", "nothing there")
    assert refusal(api.post(path, sent, headers=person_key("person:3"))) == (
        409, "MONEY_RAIL_DISPATCH_ALREADY_RESOLVED",
    )  # fmt: skip


def test_a_token_may_not_settle_what_it_submitted(world, doubts, rail, api):
    from settld.core.principals import ops_token_principal

    operation = world.real_payout()
    rail.before.append(doubts.lost())
    path = f"/ops/money-rails/stripe_sim/operations/{operation.operation_id}/submit"
    assert api.post(path, {}).status_code == 502
    attempt = operation.attempts.get()
    assert attempt.submitted_by == ops_token_principal(api.token)
    answer = api.post(f"{ROOT}/{attempt.pk}/settle", {"outcome": "not_sent", "reason": "x"})
    assert refusal(answer) == (403, "MONEY_RAIL_SECOND_PERSON_REQUIRED")


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"outcome": "sent", "reason": "x"}, {"outcome": "maybe", "reason": "x"},
        {"outcome": "not_sent"}, {"outcome": "not_sent", "reason": " "}, {"outcome": "not_sent", "reason": 7},
        {"outcome": "sent", "reason": "x", "transferId": "../accounts"},
        {"outcome": "not_sent", "reason": "x", "transferId": "tr_1"},
        {"outcome": "not_sent", "reason": "x" * 501}, {"outcome": "not_sent", "reason": "x", "evidence": []},
    ],
)  # fmt: skip
def test_a_settlement_that_is_badly_shaped_is_400(world, doubts, rail, api, sent):
    attempt = doubts.indeterminate(world, rail)
    assert refusal(api.post(f"{ROOT}/{attempt.pk}/settle", sent)) == (400, "SCHEMA_INVALID")


def test_a_reader_may_look_and_not_act(world, doubts, rail, api):
    attempt = doubts.in_doubt(world, rail)
    reader = api.with_token("tok_read")
    assert reader.get(ROOT).status_code == 200
    for act in ("ask", "replay", "settle"):
        assert refusal(reader.post(f"{ROOT}/{attempt.pk}/{act}")) == (403, "FORBIDDEN")


def doubts_clock(doubts):
    from settld.core import clock

    return clock.freeze(doubts.LATER)
