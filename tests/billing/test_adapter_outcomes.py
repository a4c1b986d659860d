"""The adapter's part of the decision table: what each outcome at the provider is called (spec 5.3)."""

import datetime as dt
import inspect
from email.utils import format_datetime

import pytest
from django.db import transaction

from billing.provider_time import ProviderTime
from billing.providers import base
from billing.providers.errors import Category, ProviderProblem
from billing.providers.stripe import StripeProvider
from settld.stripe_gateway import circuit
from settld.stripe_gateway.outcomes import ProviderTrouble
from tests.stripe_gateway.scripted_stripe import Say, ScriptedStripe, refusal

pytestmark = pytest.mark.django_db
THEN = dt.datetime(2026, 11, 1, 12, 0, 7, tzinfo=dt.UTC)
PARAMS = {
    "mode": "subscription",
    "line_items": [{"price": "price_1", "quantity": 1}],
    "metadata": {"operation_key": "k" * 64},
    "client_reference_id": "7",
    "expires_at": 1_790_000_000,
}
SESSION = {
    "id": "cs_1",
    "object": "checkout.session",
    "status": "open",
    "mode": "subscription",
    "url": "https://pay.example.com/cs_1",
    "created": 1_789_000_000,
    "expires_at": 1_790_000_000,
    "customer": None,
    "metadata": {"operation_key": "k" * 64, "billable_entity_id": "7"},
    "client_reference_id": "7",
}


@pytest.fixture
def scripted(stripe_at):
    """A scripted Stripe that the adapter talks to."""
    server = ScriptedStripe()
    stripe_at(server.url)
    circuit.for_address(server.url).record_answer()
    yield server
    server.stop()


def create(profile="request") -> base.Answer:
    return base.active().create_checkout_session(PARAMS, idempotency_key="key_1", profile=profile)


def problem_of(*script: Say, server: ScriptedStripe) -> ProviderProblem:
    server.will(*script)
    with pytest.raises(ProviderProblem) as caught:
        create()
    assert isinstance(caught.value, ProviderTrouble)
    return caught.value


def dated(**headers):
    return {"Date": format_datetime(THEN, usegmt=True)} | headers


def test_t040_a_session_comes_back_with_the_providers_time_and_whether_it_was_saved(scripted):
    scripted.will(Say(200, SESSION, dated()))
    first = create()
    scripted.will(Say(200, SESSION, dated(**{"Idempotent-Replayed": "true"})))
    again = create()

    assert (first.facts.id, first.facts.status, first.facts.url) == ("cs_1", "open", SESSION["url"])
    assert (first.facts.operation_key, first.facts.billable_entity_id) == ("k" * 64, "7")
    assert (first.facts.expires_at, first.provider_time) == (
        ProviderTime(1_790_000_000),
        ProviderTime.stored(THEN),
    )
    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert first.raw == SESSION
    assert scripted.heard[0].form == {
        "mode": "subscription",
        "line_items[0][price]": "price_1",
        "line_items[0][quantity]": "1",
        "metadata[operation_key]": "k" * 64,
        "client_reference_id": "7",
        "expires_at": "1790000000",
    }
    assert scripted.heard[0].headers["stripe-version"] == base.active().api_version


@pytest.mark.parametrize("missing", ["id", "status", "object"])
def test_t041_a_yes_without_id_or_status_is_unknown_and_not_asked_again(scripted, missing):
    told = problem_of(Say(200, {k: v for k, v in SESSION.items() if k != missing}), server=scripted)
    assert (told.category, told.is_unusable_answer, told.http_status) == (Category.UNKNOWN, True, 200)
    assert (told.is_rejection, told.is_local, told.retryable) == (False, False, True)
    assert len(scripted.heard) == 1


@pytest.mark.parametrize("body", [SESSION | {"status": "new"}, b"[]", b"", b"<html>", SESSION | {"id": 7}])
def test_t041_a_yes_in_another_form_is_unknown(scripted, body):
    told = problem_of(Say(200, body), server=scripted)
    assert (told.category, told.is_unusable_answer) == (Category.UNKNOWN, True)


def test_t041_an_answer_without_a_clock_cannot_be_used(scripted):
    told = problem_of(Say(200, SESSION, {"Date": ""}), server=scripted)
    assert (told.category, told.message) == (
        Category.UNKNOWN,
        "an answer that cannot be used: no Date header",
    )


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (400, Category.INVALID_REQUEST),
        (402, Category.INVALID_REQUEST),
        (404, Category.NOT_FOUND),
        (422, Category.INVALID_REQUEST),
    ],
)
def test_t042_a_clear_no_is_a_rejection(scripted, status, category):
    told = problem_of(refusal(status, code="price_unknown"), server=scripted)
    assert (told.category, told.is_rejection, told.retryable) == (category, True, False)
    assert (told.http_status, told.provider_code, told.provider_request_id) == (
        status,
        "price_unknown",
        "req_test",
    )
    assert told.as_details() == {
        "category": category.value,
        "retryable": False,
        "httpStatus": status,
        "providerCode": "price_unknown",
        "providerRequestId": "req_test",
    }


@pytest.mark.parametrize(
    ("status", "code", "missing"), [(404, "resource_missing", True), (404, "other", False)]
)
def test_only_a_404_with_its_code_counts_as_missing(scripted, status, code, missing):
    assert problem_of(refusal(status, code=code), server=scripted).is_missing is missing


def test_another_status_with_that_code_does_not_count_as_missing(scripted):
    assert problem_of(refusal(400, code="resource_missing"), server=scripted).is_missing is False


@pytest.mark.parametrize("status", [405, 407, 413, 424, 451])
def test_t049_a_status_that_the_table_does_not_name_is_no_clear_no(scripted, status):
    """5.3: only 400, 402, 404 and 422 say that nothing was made; a proxy or a new word proves nothing."""
    told = problem_of(refusal(status), server=scripted)
    assert (told.category, told.is_rejection, told.retryable) == (Category.UNKNOWN, False, True)


@pytest.mark.parametrize(("status", "category"), [(401, Category.AUTH), (403, Category.PERMISSION)])
def test_t043_a_refused_key_with_nothing_before_it_is_certain(scripted, status, category):
    told = problem_of(refusal(status), server=scripted)
    assert (told.category, told.is_access_denied) == (category, True)
    assert (told.had_indeterminate_attempt, told.is_rejection) == (False, False)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("before", [Say(200, SESSION, manner="reset"), refusal(500), refusal(409)])
def test_t044_a_refused_key_after_a_lost_answer_says_nothing_about_the_first(scripted, status, before):
    told = problem_of(before, refusal(status), server=scripted)
    assert (told.is_access_denied, told.had_indeterminate_attempt) == (True, True)
    assert len(told.attempts) == 2


def test_t044_a_rate_limit_before_a_refused_key_leaves_no_doubt(scripted):
    told = problem_of(refusal(429), refusal(401), server=scripted)
    assert (told.is_access_denied, told.had_indeterminate_attempt) == (True, False)


def test_t045_other_parameters_under_a_used_key_are_a_mismatch(scripted):
    told = problem_of(refusal(400, type="idempotency_error"), server=scripted)
    assert (told.is_idempotency_mismatch, told.is_rejection, told.category) == (
        True,
        False,
        Category.INVALID_REQUEST,
    )
    assert len(scripted.heard) == 1


def test_t046_a_key_in_use_is_a_conflict_and_no_mismatch(scripted):
    told = problem_of(refusal(409, type="idempotency_error", code="idempotency_key_in_use"), server=scripted)
    assert (told.category, told.is_idempotency_mismatch, told.retryable) == (Category.CONFLICT, False, True)


@pytest.mark.parametrize(
    "answer", [refusal(429), refusal(400, code="rate_limit"), refusal(429, code="lock_timeout")]
)
def test_t046_too_many_requests_are_told_apart_from_a_no(scripted, answer):
    told = problem_of(answer, server=scripted)
    assert (told.category, told.is_rejection, told.retryable) == (Category.RATE_LIMITED, False, True)


def test_t046_a_wait_that_is_asked_for_is_passed_on(scripted):
    told = problem_of(Say(429, {"error": {}}, {"Retry-After": "33"}), server=scripted)
    assert told.retry_after_seconds == 33


@pytest.mark.parametrize(
    ("answer", "category"),
    [
        (refusal(500), Category.TRANSIENT_PROVIDER),
        (refusal(502), Category.TRANSIENT_PROVIDER),
        (refusal(503), Category.TRANSIENT_PROVIDER),
        (refusal(408), Category.TRANSIENT_PROVIDER),
        (Say(200, SESSION, manner="reset"), Category.TRANSIENT_NETWORK),
        (Say(200, SESSION, manner="truncated"), Category.TRANSIENT_NETWORK),
    ],
)
def test_t047_no_clear_answer_after_all_sends_is_transient(scripted, answer, category):
    told = problem_of(answer, server=scripted)
    assert (told.category, told.retryable, told.is_rejection) == (category, True, False)
    assert len(scripted.heard) == 3
    assert {request.headers["idempotency-key"] for request in scripted.heard} == {"key_1"}


def test_t047_an_open_circuit_is_transient_too_and_sends_nothing(scripted):
    for _ in range(3):
        problem_of(refusal(500), server=scripted)
    scripted.heard.clear()
    told = problem_of(Say(200, SESSION), server=scripted)
    assert (told.category, told.provider_code, told.attempts) == (
        Category.TRANSIENT_PROVIDER,
        "circuit_open",
        (),
    )
    assert scripted.heard == []


def test_t048_what_cannot_be_sent_is_told_as_local(scripted):
    scripted.will(Say(200, SESSION))
    cyclic: list[object] = []
    cyclic.append(cyclic)
    with pytest.raises(ProviderProblem) as caught:
        base.active().create_checkout_session({"metadata": cyclic}, idempotency_key="key_1")
    assert (caught.value.is_local, caught.value.attempts, caught.value.is_rejection) == (True, (), False)
    assert scripted.heard == []


def test_t048_a_missing_key_is_told_as_local(scripted, settings):
    import dataclasses

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="")
    told = problem_of(Say(200, SESSION), server=scripted)
    assert (told.is_local, scripted.heard) == (True, [])


def test_t051_a_time_out_and_then_a_401_in_one_operation_leave_a_doubt(scripted, settings):
    import dataclasses

    settings.BILLING = dataclasses.replace(settings.BILLING, stripe_timeout_ms=200)
    told = problem_of(Say(200, SESSION, manner="silent"), refusal(401), server=scripted)
    assert [attempt.status for attempt in told.attempts] == [None, 401]
    assert (told.category, told.had_indeterminate_attempt) == (Category.AUTH, True)


def test_t052_a_saved_failure_is_told_apart_from_a_new_one(scripted):
    saved = Say(500, {"error": {"type": "api_error"}}, {"Idempotent-Replayed": "true"})
    assert problem_of(saved, server=scripted).is_saved_failure is True
    circuit.for_address(scripted.url).record_answer()
    assert problem_of(refusal(500), server=scripted).is_saved_failure is False


WRITES = {
    "create_checkout_session": ({},),
    "expire_checkout_session": ("cs_1",),
    "create_portal_session": ({},),
    "create_payment_link": ({},),
    "create_price": ({},),
    "cancel_subscription": ("sub_1",),
}


@pytest.mark.parametrize("key", ["", "  ", "k" * 256])
@pytest.mark.parametrize("name", [*WRITES, "update_payment_link"])
def test_t053_no_write_leaves_without_a_key_of_its_own(scripted, name, key):
    scripted.will(Say(200, {}))
    more = {"active": False} if name == "update_payment_link" else {}
    with pytest.raises(ValueError, match="idempotency key"):
        getattr(base.active(), name)(*WRITES.get(name, ("plink_1",)), idempotency_key=key, **more)
    assert scripted.heard == []


@pytest.mark.parametrize("profile", ["request", "worker"])
@pytest.mark.parametrize("name", [*WRITES, "update_payment_link"])
def test_t053_every_write_carries_its_key_on_every_send(scripted, name, profile):
    scripted.will(refusal(500))
    more = {"active": False} if name == "update_payment_link" else {}
    with pytest.raises(ProviderProblem):
        getattr(base.active(), name)(
            *WRITES.get(name, ("plink_1",)), idempotency_key="key_1", profile=profile, **more
        )
    assert {request.headers["idempotency-key"] for request in scripted.heard} == {"key_1"}
    assert len(scripted.heard) == (2 if profile == "worker" else 3)


def test_t053_a_method_that_writes_requires_a_key():
    writing = {"create", "update", "expire", "cancel"}
    for name, method in inspect.getmembers(StripeProvider, inspect.isfunction):
        parameters = inspect.signature(method).parameters
        assert ("idempotency_key" in parameters) == (name.split("_")[0] in writing), name
        if "idempotency_key" in parameters:
            assert parameters["idempotency_key"].default is inspect.Parameter.empty


def test_t069_the_adapter_refuses_to_call_inside_a_transaction(scripted):
    scripted.will(Say(200, SESSION))
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        create()
    assert scripted.heard == []
