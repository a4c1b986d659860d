"""The decision table of 5.3, a row at a time, for the first dispatch and for a replay (T-040 to T-052)."""

import dataclasses
import datetime as dt
from typing import Any, NamedTuple

import pytest

from billing.providers.errors import Category
from billing.services import checkout_dispatch
from settld.core import clock
from settld.stripe_gateway import calls, circuit
from settld.stripe_gateway.replies import Attempt
from tests.billing import checkouts, factories
from tests.billing.checkout_provider import problem, provider
from tests.billing.checkouts import guardrails
from tests.stripe_gateway.scripted_stripe import Say, ScriptedStripe, refusal
from tests.support.simulator import stripe_sim, stripe_simulator

__all__ = ["guardrails", "provider", "stripe_sim", "stripe_simulator"]
pytestmark = pytest.mark.django_db
NOW = factories.NOW
LATER = NOW + dt.timedelta(seconds=121)

PENDING = (409, "request_in_progress", "pending", None, False)
REJECTED = (502, "checkout_provider_error", "failed", "checkout_provider_error", False)
INVALID = (409, "checkout_configuration_invalid", "failed", "checkout_configuration_invalid", False)
INVALID_HELD = (*INVALID[:4], True)
INDETERMINATE = "BILLING_CHECKOUT_INDETERMINATE_PROVIDER_OUTCOME"
NOT_NORMALIZED = "BILLING_PROVIDER_ERROR_NOT_NORMALIZED"
PROVIDER_ERROR = "BILLING_CHECKOUT_PROVIDER_ERROR"
MISMATCH = "BILLING_PROVIDER_REQUEST_HASH_MISMATCH"


class Row(NamedTuple):
    """An outcome at the provider, and what follows on the first dispatch and on a replay."""

    outcome: Exception
    first: tuple[Any, ...]
    replay: tuple[Any, ...]
    guardrail: str
    is_remembered: bool = False


def _transient(status: int | None, **more: Any) -> Exception:
    kind = Category.TRANSIENT_NETWORK if status is None else Category.TRANSIENT_PROVIDER
    return problem(kind, status, **more)


TABLE = {
    "t_041-yes_without_an_id": Row(problem(Category.UNKNOWN, 200), PENDING, PENDING, NOT_NORMALIZED, True),
    "t_042-400": Row(problem(Category.INVALID_REQUEST, 400), REJECTED, REJECTED, PROVIDER_ERROR),
    "t_042-402": Row(problem(Category.INVALID_REQUEST, 402), REJECTED, REJECTED, PROVIDER_ERROR),
    "t_042-404": Row(problem(Category.NOT_FOUND, 404), REJECTED, REJECTED, PROVIDER_ERROR),
    "t_042-422": Row(problem(Category.INVALID_REQUEST, 422), REJECTED, REJECTED, PROVIDER_ERROR),
    "t_043-401": Row(problem(Category.AUTH, 401), REJECTED, PENDING, PROVIDER_ERROR),
    "t_043-403": Row(problem(Category.PERMISSION, 403), REJECTED, PENDING, PROVIDER_ERROR),
    "t_043-401_after_a_rate_limit": Row(
        problem(Category.AUTH, 401, chain=(429,)), REJECTED, PENDING, PROVIDER_ERROR
    ),
    "t_044-401_after_no_answer": Row(
        problem(Category.AUTH, 401, chain=(None,)), PENDING, PENDING, INDETERMINATE, True
    ),
    "t_044-403_after_500": Row(
        problem(Category.PERMISSION, 403, chain=(500,)), PENDING, PENDING, INDETERMINATE, True
    ),
    "t_044-401_after_409": Row(
        problem(Category.AUTH, 401, chain=(409,)), PENDING, PENDING, INDETERMINATE, True
    ),
    "t_045-other_parameters": Row(
        problem(Category.INVALID_REQUEST, 400, provider_type="idempotency_error"),
        INVALID_HELD,
        INVALID_HELD,
        MISMATCH,
    ),
    "t_046-409": Row(problem(Category.CONFLICT, 409), PENDING, PENDING, INDETERMINATE, True),
    "t_046-429": Row(problem(Category.RATE_LIMITED, 429), PENDING, PENDING, INDETERMINATE),
    "t_046-400_rate_limit": Row(
        problem(Category.RATE_LIMITED, 400, provider_code="rate_limit"), PENDING, PENDING, INDETERMINATE
    ),
    "t_047-500": Row(_transient(500), PENDING, PENDING, INDETERMINATE, True),
    "t_047-503": Row(_transient(503), PENDING, PENDING, INDETERMINATE, True),
    "t_047-408": Row(_transient(408), PENDING, PENDING, INDETERMINATE, True),
    "t_047-no_answer": Row(_transient(None), PENDING, PENDING, INDETERMINATE, True),
    "t_047-exhausted": Row(_transient(None, chain=(None, 502)), PENDING, PENDING, INDETERMINATE, True),
    "t_047-circuit_open": Row(
        problem(Category.TRANSIENT_PROVIDER, provider_code="circuit_open"), PENDING, PENDING, INDETERMINATE
    ),
    "t_048-local": Row(
        problem(Category.INVALID_REQUEST, is_local=True), INVALID, INVALID_HELD, PROVIDER_ERROR
    ),
    "t_049-405": Row(problem(Category.UNKNOWN, 405), PENDING, PENDING, NOT_NORMALIZED),
    "t_049-unknown": Row(ZeroDivisionError("?"), PENDING, PENDING, NOT_NORMALIZED, True),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _stopped():
    with clock.freeze(NOW):
        yield


@pytest.fixture
def entity():
    factories.plan()
    return factories.workspace_entity()


@pytest.fixture
def lost(entity, provider):
    """A request of which nothing is known: its process died before it asked."""
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity)
    return checkouts.request(entity)


def _state(entity) -> tuple[Any, ...]:
    row = checkouts.request(entity)
    held = [session for session in checkouts.sessions(entity) if session.flow == "subscription"]
    assert all(session.status == "recovery_verification_pending" for session in held)
    return row.status, row.failure_code, bool(held)


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_t_041_to_t_049_an_outcome_of_the_first_dispatch(entity, provider, guardrails, row):
    """T-041 ... T-049, first dispatch."""
    provider.will(row.outcome)
    assert (*checkouts.told(entity), *_state(entity)) == row.first
    assert row.guardrail in guardrails
    assert checkouts.request(entity).had_indeterminate_attempt == row.is_remembered
    provider.will(AssertionError("a terminal answer is not asked for again"))
    assert (*checkouts.told(entity), *_state(entity)) == row.first  # the same key is told the same


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
@pytest.mark.parametrize("by_client", [True, False], ids=["same_key", "worker"])
def test_t_041_to_t_049_an_outcome_of_a_replay(entity, provider, guardrails, lost, row, by_client):
    """T-041 ... T-049, recovery replay."""
    provider.will(row.outcome)
    with clock.freeze(LATER):
        if by_client:
            assert checkouts.told(entity) == row.replay[:2]
        else:
            assert checkouts.again(entity) in ("pending", "failed")
    assert _state(entity) == row.replay[2:]
    assert (len(provider.creates), provider.creates[0][1]) == (1, lost.provider_idempotency_key)
    assert ("BILLING_RECOVERY_FAILURE" in guardrails) == (row.replay[2] == "failed")


def test_t_040_a_clear_yes_is_stored_and_told(entity, provider):
    """T-040, first dispatch."""
    answer = checkouts.start(entity)
    row, session = checkouts.request(entity), checkouts.session(entity)
    assert (row.status, row.provider_session_id, session.status) == ("succeeded", "cs_1", "open")
    assert session.idempotency_row_id == row.pk
    assert (answer.status, answer.headers) == (200, {})
    assert answer.body == {
        "provider": "stripe",
        "billableEntityId": entity.pk,
        "operationKey": row.operation_key,
        "checkoutType": "subscription",
        "checkoutSession": {
            "providerCheckoutSessionId": "cs_1",
            "status": "open",
            "providerStatus": "open",
            "checkoutUrl": "https://pay.example.com/cs_1",
            "expiresAt": "2026-03-11T12:00:00.000Z",
            "customerId": None,
            "subscriptionId": None,
        },
    }


@pytest.mark.parametrize("has_arrived", [True, False])
def test_t_040_a_clear_yes_to_a_replay_is_stored(entity, provider, lost, has_arrived):
    """T-040, recovery replay: a saved answer is read again, one that is new is not."""
    if has_arrived:
        provider.make(lost.provider_request_params_json, lost.provider_idempotency_key)
    with clock.freeze(LATER):
        assert checkouts.told(entity) == (200, "")
    row = checkouts.request(entity)
    assert (row.status, row.provider_session_id, row.lease_version) == ("succeeded", "cs_1", 3)
    assert provider.retrieved == (["cs_1"] if has_arrived else [])
    assert len(provider.made) == 1


def test_t_050_a_process_that_dies_after_the_claim_leaves_the_request_pending(entity, lost):
    """T-050: until recovery."""
    assert (lost.status, lost.lease_version) == ("pending", 1)
    assert checkouts.told(entity) == (409, "request_in_progress")
    assert checkouts.told(entity, "key-2") == (409, "checkout_in_progress")
    with clock.freeze(LATER):
        assert checkouts.again(entity) == "succeeded"
        assert checkouts.told(entity) == (200, "")


def test_t_050_a_death_during_a_replay_leaves_the_request_pending(entity, provider, lost):
    """T-050, recovery replay."""
    with clock.freeze(LATER), checkouts.dying_at("billing.checkout.dispatched"):
        checkouts.start(entity)
    assert _state(entity) == ("pending", None, False)
    with clock.freeze(LATER + dt.timedelta(seconds=121)):
        assert checkouts.again(entity) == "succeeded"
    assert len(provider.made) == 1


def test_a_pending_answer_says_how_long_to_wait(entity, provider):
    provider.will(_transient(None))
    with clock.freeze(NOW) as move:
        checkouts.told(entity)
        move(NOW + dt.timedelta(seconds=30, milliseconds=400))
        with pytest.raises(checkouts.Refusal) as refusal:
            checkouts.start(entity)
    assert refusal.value.headers == {"Retry-After": "90"}


def test_an_earlier_unclear_attempt_counts_for_a_later_refusal_of_access(entity, provider, lost):
    """A row remembers what an earlier dispatch went through."""
    checkouts.change(lost, had_indeterminate_attempt=True)
    provider.will(problem(Category.AUTH, 401))
    lost = checkouts.request(entity)
    ended = checkout_dispatch.dispatch(lost, is_replay=False, profile="request")
    assert ended.status == "pending"


def test_t_052_a_failure_that_the_provider_has_saved_stops_creating(entity, provider, lost):
    provider.will(_transient(500, is_replayed=True))
    with clock.freeze(LATER) as move:
        assert checkouts.again(entity) == "pending"
        assert checkouts.request(entity).has_saved_failure
        for minutes in (10, 40, 90):
            move(LATER + dt.timedelta(minutes=minutes))
            assert checkouts.again(entity) == "pending"
        assert (len(provider.creates), len(provider.looked_up)) == (1, 3)
        provider.make(lost.provider_request_params_json, "as if it had been made all the same")
        move(LATER + dt.timedelta(hours=3))
        assert checkouts.again(entity) == "succeeded"
    assert len(provider.creates) == 1


# --- Through the real adapter --------------------------------------------------------------------
@pytest.fixture
def scripted(stripe_at, monkeypatch):
    """A server that says one thing after another; waiting costs nothing."""
    monkeypatch.setattr(calls, "pause", lambda _seconds: None)
    server = ScriptedStripe()
    stripe_at(server.url)
    circuit.for_address(server.url).record_answer()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ((Say(manner="reset"), refusal(401)), PENDING),
        ((Say(manner="truncated", body={"id": "cs_1"}), refusal(401)), PENDING),
        ((Say(500, {"error": {}}), refusal(403)), PENDING),
        ((refusal(401),), REJECTED),
        ((refusal(429), refusal(401)), REJECTED),
    ],
    ids=["reset", "truncated", "500", "at_once", "after_429"],
)
def test_t_051_a_chain_of_sends_that_ends_in_a_refusal_of_our_key(entity, scripted, chain, expected):
    """T-051: an answer that got lost first makes the 401 worth nothing."""
    scripted.will(*chain)
    assert (*checkouts.told(entity), *_state(entity)) == expected
    keys = {heard.headers["idempotency-key"] for heard in scripted.heard}
    assert keys == {checkouts.request(entity).provider_idempotency_key}
    assert len(scripted.heard) == len(chain)


def test_t_051_a_timeout_then_401_is_pending(entity, scripted, settings):
    """T-051, with the limit of time itself."""
    settings.BILLING = dataclasses.replace(settings.BILLING, stripe_timeout_ms=300)
    scripted.will(Say(manner="silent"), refusal(401))
    assert (*checkouts.told(entity), *_state(entity)) == PENDING


def test_t_053_every_request_that_makes_something_carries_the_stored_key(entity, scripted):
    """T-053: first dispatch, the client's own retries and the worker's; a look carries none."""
    scripted.will(Say(manner="reset"))
    assert checkouts.told(entity) == (409, "request_in_progress")
    for minutes in (3, 12):
        with clock.freeze(NOW + dt.timedelta(minutes=minutes)):
            assert checkouts.again(entity) == "pending"
    posts = [heard for heard in scripted.heard if heard.method == "POST"]
    looks = [heard for heard in scripted.heard if heard.method == "GET"]
    assert {heard.headers.get("idempotency-key") for heard in posts} == {
        checkouts.request(entity).provider_idempotency_key
    }
    assert len({tuple(sorted(heard.form.items())) for heard in posts}) == 1
    assert (len(posts) > 3, len(looks) > 0) == (True, True)


def test_attempts_tell_what_may_have_had_its_effect():
    told = [
        Attempt(status=status, category="upstream").is_indeterminate for status in (None, 500, 409, 429, 400)
    ]
    assert told == [True, True, True, False, False]
