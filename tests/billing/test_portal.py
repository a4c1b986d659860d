"""POST /api/billing/portal (7.3; T-158): one session per key, for the customer of a live subscription."""

import datetime as dt

import pytest

from billing.models import BillingRequest
from billing.providers.errors import Category
from billing.services import portal, recovery
from billing.states import SubscriptionStatus
from settld.core import clock
from tests.billing import checkouts, factories
from tests.billing.checkout_provider import problem
from tests.billing.checkouts import dying_at, guardrails
from tests.billing.shop_provider import shop
from tests.support.api import body

__all__ = ["guardrails", "shop"]
NOW = factories.NOW
PATH = "/api/billing/portal"
LEASE = dt.timedelta(seconds=120)
WINDOW = dt.timedelta(hours=23)
CURRENT = sorted(set(SubscriptionStatus.values) - {"canceled", "incomplete_expired"})


@pytest.fixture
def stopped():
    with clock.freeze(NOW) as move:
        yield move


@pytest.fixture
def entity(db, stopped):
    return factories.workspace_entity()


@pytest.fixture
def subscribed(entity):
    factories.subscription(entity, factories.plan(), factories.customer(entity))
    return entity


def post(api, key: str | None = "key-1", **changes):
    sent = {
        name: value for name, value in ({"returnPath": "/w/billing"} | changes).items() if value is not ...
    }
    return api.post(PATH, sent, headers={} if key is None else {"Idempotency-Key": key})


def request(entity) -> BillingRequest:
    return checkouts.request(entity)


def code(answer) -> tuple[int, str]:
    return answer.status_code, body(answer).get("code", "")


def test_t158_a_portal_session_is_made_and_replayed(api, subscribed, shop):
    first, again = post(api), post(api)
    assert first.status_code == 200
    assert body(first) == {
        "provider": "stripe",
        "portalSession": {"id": "bps_1", "url": "https://portal.example.com/bps_1"},
    }
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    assert shop.made("portal") == [{"customer": "cus_1", "return_url": "https://app.example.com/w/billing"}]
    row = request(subscribed)
    assert shop.keys("portal") == [row.provider_idempotency_key]
    assert (row.action, row.status, row.provider_session_id) == ("portal", "succeeded", "bps_1")
    assert row.provider_request_schema_version == "stripe_billing_portal_session_create_params_v1"
    assert row.provider_idempotency_replay_deadline_at == NOW + WINDOW


def test_t158_another_key_is_another_session_and_another_request_under_a_key_a_conflict(
    api, subscribed, shop
):
    post(api)
    assert body(post(api, "key-2"))["portalSession"]["id"] == "bps_2"
    assert code(post(api, returnPath="/elsewhere")) == (409, "idempotency_conflict")
    assert len(shop.made("portal")) == 2


@pytest.mark.parametrize("status", CURRENT)
def test_t158_any_subscription_that_has_not_ended_opens_the_portal(api, entity, shop, status):
    factories.subscription(entity, factories.plan(), factories.customer(entity), status=status)
    assert post(api).status_code == 200


@pytest.mark.parametrize("status", [None, "canceled", "incomplete_expired"])
def test_t158_without_one_the_answer_is_stored_and_repeated(api, entity, shop, status):
    plan, payer = factories.plan(), factories.customer(entity)
    if status is not None:
        factories.subscription(entity, plan, payer, status=status, is_current=False)
    assert code(post(api)) == (409, "portal_subscription_required")
    factories.subscription(entity, plan, payer, "sub_2")
    assert code(post(api)) == (409, "portal_subscription_required")
    assert post(api, "key-2").status_code == 200
    assert len(shop.made("portal")) == 1


def test_t158_the_customer_is_the_subscriptions_not_the_primary_one(api, entity, shop):
    factories.customer(entity, "cus_0")
    payer = factories.customer(entity, "cus_7", is_primary=False)
    factories.subscription(entity, factories.plan(), payer)
    post(api)
    assert shop.made("portal")[0]["customer"] == "cus_7"


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"returnPath": ...}, "returnPath"),
        ({"returnPath": 7}, "returnPath"),
        ({"returnPath": "https://evil.example"}, "returnPath"),
        ({"returnPath": "//evil.example"}, "returnPath"),
        ({"customer": "cus_9"}, "customer"),
    ],
)
def test_t158_a_bad_body_burns_no_key(api, subscribed, shop, sent, field):
    answer = post(api, **sent)
    assert code(answer) == (400, "VALIDATION_ERROR")
    assert list(body(answer)["fieldErrors"]) == [field]
    assert (checkouts.requests(subscribed), shop.calls) == ([], [])
    assert post(api).status_code == 200


def test_t158_a_missing_key_is_told_before_a_bad_path(api, subscribed, shop):
    assert code(post(api, None, returnPath="nowhere")) == (400, "IDEMPOTENCY_KEY_REQUIRED")


# --- Certainty -------------------------------------------------------------------------------------------
def missing_customer():
    return problem(Category.NOT_FOUND, 404, provider_code="resource_missing")


@pytest.mark.parametrize(
    ("outcome", "told", "status"),
    [
        (missing_customer(), (502, "checkout_provider_error"), "failed"),
        (problem(Category.INVALID_REQUEST, 400), (502, "checkout_provider_error"), "failed"),
        (problem(Category.AUTH, 401), (502, "checkout_provider_error"), "failed"),
        (problem(Category.AUTH, 401, chain=(None,)), (409, "request_in_progress"), "pending"),
        (
            problem(Category.INVALID_REQUEST, 400, provider_type="idempotency_error"),
            (409, "checkout_configuration_invalid"),
            "failed",
        ),
        (problem(Category.INVALID_REQUEST, is_local=True), (409, "checkout_configuration_invalid"), "failed"),
        (problem(Category.CONFLICT, 409), (409, "request_in_progress"), "pending"),
        (problem(Category.RATE_LIMITED, 429), (409, "request_in_progress"), "pending"),
        (problem(Category.TRANSIENT_PROVIDER, 500), (409, "request_in_progress"), "pending"),
        (problem(Category.TRANSIENT_NETWORK), (409, "request_in_progress"), "pending"),
        (problem(Category.UNKNOWN, 200), (409, "request_in_progress"), "pending"),
        (ZeroDivisionError(), (409, "request_in_progress"), "pending"),
    ],
)
def test_t158_every_outcome_is_told_by_the_table_and_again_the_same(
    api, subscribed, shop, guardrails, outcome, told, status
):
    shop.will("portal", outcome)
    first, again = post(api), post(api)
    assert code(first) == code(again) == told
    assert request(subscribed).status == status
    assert len(shop.made("portal")) == 1
    assert guardrails
    if status == "failed":
        assert first.content == again.content
    else:
        assert int(first.headers["Retry-After"]) == 120


def test_t158_portals_have_no_hold(api, subscribed, shop):
    shop.will("portal", problem(Category.INVALID_REQUEST, 400, provider_type="idempotency_error"))
    post(api)
    assert checkouts.sessions(subscribed) == []


# --- Recovery --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "point", ["billing.portal.claimed", "billing.portal.dispatched", "billing.portal.before_commit"]
)
@pytest.mark.parametrize("by", ["same key", "worker"])
def test_t158_a_crash_is_recovered_with_one_session(api, subscribed, shop, stopped, point, by):
    with dying_at(point):
        post(api)
    assert request(subscribed).status == "pending"
    stopped(NOW + LEASE)
    if by == "worker":
        assert recovery.recover_pending(limit=5) == {"succeeded": 1}
    answer = post(api)
    assert body(answer)["portalSession"]["id"] == "bps_1"
    assert set(shop.keys("portal")) == {request(subscribed).provider_idempotency_key}
    assert answer.headers.get("Idempotent-Replayed") == ("true" if by == "worker" else None)


def test_t158_before_the_lease_ends_nobody_else_is_at_it(api, subscribed, shop, stopped):
    with dying_at("billing.portal.claimed"):
        post(api)
    stopped(NOW + LEASE - dt.timedelta(milliseconds=1))
    answer = post(api)
    assert (code(answer), answer.headers["Retry-After"]) == ((409, "request_in_progress"), "1")
    assert shop.made("portal") == []


@pytest.mark.parametrize(("late", "is_over"), [(-1, False), (0, True), (1, True)])
def test_t158_past_its_deadline_a_request_expires_and_nothing_is_sent(
    api, subscribed, shop, stopped, guardrails, late, is_over
):
    with dying_at("billing.portal.claimed"):
        post(api)
    stopped(NOW + WINDOW + dt.timedelta(seconds=late))
    answer = post(api)
    if is_over:
        assert code(answer) == code(post(api)) == (409, "checkout_recovery_window_elapsed")
        assert (request(subscribed).status, shop.made("portal")) == ("expired", [])
        assert "BILLING_RECOVERY_FAILURE" in guardrails
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize("fault", ["nothing frozen", "other parameters"])
def test_t158_what_is_not_as_it_was_frozen_is_never_sent(api, subscribed, shop, stopped, fault):
    frozen = {
        "provider_request_params_json": {"customer": "cus_1", "return_url": "https://evil.example"},
        "provider_request_hash": "0" * 64,
        "provider_request_schema_version": "stripe_billing_portal_session_create_params_v1",
        "provider_sdk_name": shop.sdk_name,
        "provider_sdk_version": shop.sdk_version,
        "provider_api_version": shop.api_version,
        "provider_request_frozen_at": NOW,
        "provider_idempotency_replay_deadline_at": NOW + WINDOW,
    }
    row = factories.request(
        subscribed,
        action="portal",
        pending_lease_expires_at=NOW,
        **(frozen if fault == "other parameters" else {}),
    )
    stopped(NOW + LEASE)
    answer = portal.recover(
        tenant_id=row.tenant_id,
        entity_id=row.billable_entity_id,
        request_id=row.pk,
        is_same_key_retry=True,
    )
    assert (answer.status, answer.body["code"]) == (409, "checkout_configuration_invalid")
    assert shop.made("portal") == []


def test_t158_a_refusal_on_replay_says_nothing_about_the_first_sending(api, subscribed, shop, stopped):
    shop.will("portal", problem(Category.TRANSIENT_NETWORK), problem(Category.AUTH, 401))
    assert code(post(api)) == (409, "request_in_progress")
    stopped(NOW + LEASE)
    assert code(post(api)) == (409, "request_in_progress")
    stopped(NOW + 3 * LEASE)
    assert post(api).status_code == 200
    assert len(set(shop.keys("portal"))) == 1


def test_t158_who_was_overtaken_answers_from_the_row(api, subscribed, shop, stopped, guardrails):
    """The first sending hangs past its lease; a retry finishes; the first finds itself fenced."""
    inner = []

    def overtake(verb: str) -> None:
        shop.before_answer = None
        stopped(NOW + LEASE)
        inner.append(post(api))

    shop.before_answer = overtake
    outer = post(api)
    assert outer.content == inner[0].content
    assert "BILLING_IDEMPOTENCY_LEASE_FENCED" in guardrails
    assert request(subscribed).status == "succeeded"
