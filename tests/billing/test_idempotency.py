"""One key, one effect, one answer for ever: the claim table and its replays (section 4)."""

import datetime as dt
from typing import Any

import pytest

from billing.models import BillingRequest, CheckoutSession, Plan
from billing.providers.errors import Category
from billing.services import idempotency
from billing.states import Action, FailureCode
from settld.core import clock, hashing
from tests.billing import checkouts, factories
from tests.billing.checkout_provider import problem, provider
from tests.billing.checkouts import BODY, PATH, guardrails
from tests.support.api import body

__all__ = ["guardrails", "provider"]
NOW = factories.NOW
REPLAYED = "Idempotent-Replayed"


@pytest.fixture
def stopped():
    with clock.freeze(NOW) as move:
        yield move


@pytest.fixture
def entity(db, stopped):
    factories.plan()
    return factories.workspace_entity()


def post(api, key: str | None = "key-1", **changes: Any):
    sent = {name: value for name, value in (BODY | changes).items() if value is not ...}
    return api.post(PATH, sent, headers={} if key is None else {"Idempotency-Key": key})


# --- Replays ---------------------------------------------------------------------------------------
def test_t_019_a_replay_is_the_same_body_to_the_byte_and_says_that_it_is_one(api, entity, provider):
    first, second, third = post(api), post(api), post(api)
    assert (first.status_code, first.headers.get(REPLAYED)) == (200, None)
    assert (second.status_code, second.headers[REPLAYED]) == (200, "true")
    assert first.content == second.content == third.content
    assert body(first) == checkouts.request(entity).response_json
    assert len(provider.creates) == 1


def test_t_019_a_replay_tells_the_first_answer_whatever_has_become_of_the_session(api, entity, provider):
    first = post(api)
    row = checkouts.session(entity)
    with factories.locked(entity):
        CheckoutSession.objects.filter(pk=row.pk).update(status="expired")
    assert post(api).content == first.content


@pytest.mark.parametrize("code", list(FailureCode))
def test_t_020_a_failure_is_replayed_as_it_was_stored(api, entity, code):
    """T-020: every canonical code, with its details, sentence and status."""
    made = post(api, "key-1", planCode="none-such")
    assert made.status_code == 404
    row = checkouts.request(entity)
    with factories.locked(entity):
        fresh = BillingRequest.objects.get(pk=row.pk)
        fresh.pk, fresh.client_idempotency_key = None, f"key-{code}"
        fresh.operation_key = fresh.provider_idempotency_key = hashing.sha256_hex(code)
        fresh.failure_code, fresh.failure_details_json = code, {"what": [code.value]}
        fresh.failure_reason = idempotency.sentence_of(code)
        fresh.save(force_insert=True)
        CheckoutSession.objects.create(
            tenant_id=entity.tenant_id, billable_entity=entity, flow="subscription", status="abandoned",
            operation_key=fresh.operation_key,
        )  # fmt: skip
    answers = [post(api, f"key-{code}", planCode="none-such") for _ in range(2)]
    assert answers[0].content == answers[1].content
    status = {"checkout_provider_error": 502, "checkout_plan_not_found": 404}.get(code.value, 409)
    assert answers[0].status_code == status
    assert body(answers[0]) == {
        "error": idempotency.SENTENCES[code],
        "code": code.value,
        "details": {"code": code.value, "what": [code.value]},
    }


def _block(status: str):
    def arrange(entity, provider):
        factories.session(
            entity, status=status, provider_checkout_session_id="cs_other", checkout_url="https://pay/other"
        )

    return arrange


def _subscribed(entity, provider):
    factories.subscription(entity, Plan.objects.get(), factories.customer(entity))


def _rejecting(entity, provider):
    provider.will(problem(Category.INVALID_REQUEST, 402, provider_code="card_declined"))


def _unsendable(entity, provider):
    provider.will(problem(Category.INVALID_REQUEST, is_local=True))


def _no_plan(entity, provider):
    Plan.objects.update(is_active=False)


FAILURES = {
    "checkout_session_open": (
        _block("open"), 409, {"providerCheckoutSessionId": "cs_other", "checkoutUrl": "https://pay/other"},
    ),
    "checkout_completion_pending": (_block("completed_pending_subscription"), 409, {}),
    "checkout_recovery_verification_pending": (_block("recovery_verification_pending"), 409, {}),
    "subscription_exists_use_portal": (_subscribed, 409, {}),
    "checkout_provider_error": (_rejecting, 502, {"providerCode": "card_declined"}),
    "checkout_configuration_invalid": (_unsendable, 409, {}),
    "checkout_plan_not_found": (_no_plan, 404, {}),
}  # fmt: skip


@pytest.mark.parametrize("code", FAILURES)
def test_t_020_a_failure_that_came_about_is_replayed_identically(api, entity, provider, code):
    """T-020: made by the real course of things; its cause is gone before the replay."""
    arrange, status, details = FAILURES[code]
    arrange(entity, provider)
    first = post(api)
    assert (first.status_code, body(first)["code"]) == (status, code)
    assert body(first)["details"] == {"code": code} | details
    with factories.locked(entity):
        CheckoutSession.objects.filter(billable_entity=entity).update(status="abandoned")
    sent = len(provider.creates)
    second = post(api)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert REPLAYED not in second.headers
    assert len(provider.creates) == sent


# --- The claim table -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("field", "value"),
    [("planCode", "other"), ("successPath", "/else"), ("cancelPath", "/else")],
)
@pytest.mark.parametrize("status", ["pending", "recoverable", "succeeded", "failed", "expired"])
def test_t_021_another_request_under_the_same_key_is_a_conflict(
    api, entity, provider, stopped, status, field, value
):
    after = {"pending": dt.timedelta(seconds=5), "recoverable": dt.timedelta(seconds=500)}
    if status in ("pending", "recoverable", "expired"):
        with checkouts.dying_at("billing.checkout.claimed"):
            checkouts.start(entity)
        stopped(NOW + after.get(status, dt.timedelta(hours=23)))
        if status == "expired":
            checkouts.told(entity)
    else:
        if status == "failed":
            provider.will(problem(Category.INVALID_REQUEST, 400))
        checkouts.told(entity)
    before = checkouts.request(entity)
    assert before.status == ("pending" if status == "recoverable" else status)
    answer = post(api, **{field: value})
    assert (answer.status_code, body(answer)["code"]) == (409, "idempotency_conflict")
    now = checkouts.request(entity)
    assert (now.status, now.lease_version) == (before.status, before.lease_version)


def test_t_022_a_key_is_another_one_for_another_entity_and_another_action(entity, provider):
    other = factories.workspace_entity("tenant_b")
    assert checkouts.told(entity) == checkouts.told(other) == (200, "")
    with factories.locked(entity):
        portal = idempotency.claim(
            entity=entity, action=Action.PORTAL, client_key="key-1", normalized={"returnPath": "/"}, now=NOW
        )
    ours, theirs = checkouts.requests(entity), checkouts.request(other)
    assert portal.kind == "claimed"
    assert len({row.operation_key for row in (*ours, theirs)}) == 3
    assert len({row.provider_idempotency_key for row in (*ours, theirs)}) == 3
    assert len(provider.creates) == 2


def test_t_025_while_a_lease_runs_the_same_key_waits_and_another_is_told_of_the_checkout(
    api, entity, provider, stopped
):
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity)
    stopped(NOW + dt.timedelta(seconds=20))
    same, other = post(api), post(api, "key-2")
    assert (same.status_code, body(same)["code"], same.headers["Retry-After"]) == (
        409,
        "request_in_progress",
        "100",
    )
    assert (other.status_code, body(other)["code"]) == (409, "checkout_in_progress")
    assert body(other)["details"] == {"code": "checkout_in_progress"}
    assert (len(checkouts.requests(entity)), provider.creates) == (1, [])


@pytest.mark.parametrize(("seconds", "is_over"), [(119.999, False), (120, True), (120.001, True)])
def test_t_026_at_its_very_end_a_lease_is_over(entity, provider, stopped, seconds, is_over):
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity)
    stopped(NOW + dt.timedelta(seconds=seconds))
    assert checkouts.told(entity) == ((200, "") if is_over else (409, "request_in_progress"))
    assert checkouts.request(entity).recovery_attempt_count == int(is_over)


def test_an_abandoned_checkout_of_another_key_is_asked_to_be_recovered(entity, stopped, monkeypatch):
    """Section 4: other key pending, its lease expired."""
    rung = []
    monkeypatch.setattr("settld.outbox.bell.ring_on_commit", rung.append)
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity)
    assert checkouts.told(entity, "key-2") == (409, "checkout_in_progress")
    assert rung == []
    stopped(NOW + dt.timedelta(seconds=300))
    assert checkouts.told(entity, "key-2") == (409, "checkout_in_progress")
    assert rung == ["billing.recover_pending"]
    assert [row.client_idempotency_key for row in checkouts.requests(entity)] == ["key-1"]


@pytest.mark.parametrize("status", ["open", "expired", "completed_reconciled", "abandoned"])
def test_t_027_a_key_whose_row_was_purged_is_a_conflict_while_its_session_is_known(entity, provider, status):
    key = idempotency.operation_key(action=Action.CHECKOUT, entity_id=entity.pk, client_key="key-1")
    factories.session(entity, operation_key=key, status=status)
    assert checkouts.told(entity) == (409, "idempotency_conflict")
    assert (checkouts.requests(entity), provider.creates) == ([], [])


# --- Fencing ---------------------------------------------------------------------------------------
def test_an_end_is_written_once_and_at_the_version_that_was_read(entity, provider, guardrails):
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity)
    row = checkouts.request(entity)
    with factories.locked(entity):
        stale = BillingRequest.objects.get(pk=row.pk)
        assert not idempotency.fail(
            stale, expected_version=0, code=FailureCode.CHECKOUT_PROVIDER_ERROR, now=NOW
        )
        assert stale.is_pending
        assert idempotency.fail(stale, expected_version=1, code=FailureCode.CHECKOUT_PROVIDER_ERROR, now=NOW)
        assert not idempotency.succeed(
            stale, expected_version=1, response={}, provider_session_id="cs_1", now=NOW
        )
    after = checkouts.request(entity)
    assert (after.status, after.lease_version, after.pending_lease_expires_at) == ("failed", 2, None)
    assert guardrails == ["BILLING_IDEMPOTENCY_LEASE_FENCED"] * 2


def test_an_unknown_code_is_a_conflict():
    assert idempotency.status_of("something_new") == idempotency.status_of(None) == 409
    assert idempotency.sentence_of("something_new") == idempotency.sentence_of("") == "The request failed."


def test_every_code_has_a_sentence_of_its_own():
    sentences = [idempotency.sentence_of(code) for code in FailureCode]
    assert len(set(sentences)) == len(FailureCode)
    assert all(sentence.endswith(".") for sentence in sentences)
