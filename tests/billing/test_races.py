"""What others do between our two transactions (T-070 to T-073), told by hand at the worst moment."""

import datetime as dt

import pytest

from billing.models import Plan
from settld.core import clock, tenancy
from tests.billing import checkouts, factories, payloads
from tests.billing.checkout_provider import provider
from tests.billing.checkouts import guardrails

__all__ = ["guardrails", "provider"]
pytestmark = pytest.mark.django_db
NOW = factories.NOW
LATER = NOW + dt.timedelta(seconds=121)


@pytest.fixture(autouse=True)
def move():
    with clock.freeze(NOW) as hands:
        yield hands


@pytest.fixture
def entity():
    factories.plan()
    return factories.workspace_entity()


def _subscribe(entity, **more) -> None:
    factories.subscription(entity, Plan.objects.get(), factories.customer(entity), **more)


@pytest.mark.parametrize("recovered", [False, True], ids=["first", "recovery"])
@pytest.mark.parametrize("metadata", [{}, {"operation_key": "e" * 64}])
def test_t_070_a_subscription_that_came_meanwhile_makes_our_session_useless(
    entity, provider, move, recovered, metadata
):
    """T-070: between Tx A and Tx B; the session is given up, its end is owed, and none results from it."""
    provider.before_answer = lambda _told: _subscribe(entity, metadata_json=metadata)
    if recovered:
        with checkouts.dying_at("billing.checkout.claimed"):
            checkouts.start(entity)
        move(LATER)
    assert checkouts.told(entity) == (409, "subscription_exists_use_portal")
    session, row = checkouts.session(entity), checkouts.request(entity)
    assert (session.status, session.status_reason) == ("abandoned", "subscription_exists")
    assert (row.status, row.failure_code) == ("failed", "subscription_exists_use_portal")
    assert checkouts.jobs(entity) == ["expire_checkout_session:cs_1"]
    assert checkouts.told(entity) == (409, "subscription_exists_use_portal")
    assert checkouts.told(entity, "key-2") == (409, "subscription_exists_use_portal")
    assert len(provider.made) == 1


def test_t_070_a_session_that_was_paid_all_the_same_is_not_given_up(entity, provider):
    """T-070: never over a completed one; its subscription is a duplicate for the remedy, not for us."""

    def paid(told) -> None:
        _subscribe(entity)
        provider.saved[provider.creates[-1][1]] = provider.change(
            told.id, status="complete", url=None, subscription_id="sub_2"
        )

    provider.before_answer = paid
    assert checkouts.told(entity) == (409, "subscription_exists_use_portal")
    assert checkouts.session(entity).status == "completed_pending_subscription"
    assert checkouts.jobs(entity) == []


def test_t_070_a_subscription_does_not_keep_anybody_from_buying_once(entity, provider):
    provider.before_answer = lambda _told: _subscribe(entity)
    assert checkouts.told(entity, what=checkouts.one_off()) == (200, "")


def _event_of_ours(entity, kind: str) -> dict:
    metadata = dict(checkouts.request(entity).provider_request_params_json["metadata"])
    if kind == "completed":
        return payloads.event("checkout.session.completed", payloads.session("cs_1", metadata=metadata))
    thing = payloads.subscription("sub_1", metadata=metadata)
    return payloads.event("customer.subscription.created", thing)


@pytest.mark.parametrize("recovered", [False, True], ids=["first", "recovery"])
def test_t_071_our_own_subscription_before_our_answer_is_a_success(entity, provider, move, recovered):
    provider.before_answer = lambda _told: payloads.deliver(_event_of_ours(entity, "subscription"))
    if recovered:
        with checkouts.dying_at("billing.checkout.claimed"):
            checkouts.start(entity)
        move(LATER)
    assert checkouts.told(entity) == (200, "")
    row, session = checkouts.request(entity), checkouts.session(entity)
    assert (row.status, session.status, session.provider_subscription_id) == (
        "succeeded",
        "completed_reconciled",
        "sub_1",
    )
    payloads.deliver(_event_of_ours(entity, "completed"))
    row = checkouts.request(entity)
    assert row.provider_session_id == "cs_1"
    assert row.response_json["checkoutSession"]["providerCheckoutSessionId"] == "cs_1"
    assert row.response_json["checkoutSession"]["subscriptionId"] == "sub_1"
    assert checkouts.start(entity).body == row.response_json
    assert checkouts.jobs(entity) == []


def test_t_071_a_pending_request_beside_its_own_subscription_succeeds(entity, provider):
    """The rule itself: a current subscription that carries our key is no other one."""

    def own(told) -> None:
        metadata = {"operation_key": told.operation_key}
        _subscribe(entity, metadata_json=metadata)

    provider.before_answer = own
    assert checkouts.told(entity) == (200, "")
    assert checkouts.session(entity).status == "open"


@pytest.mark.parametrize("recovered", [False, True], ids=["first", "recovery"])
def test_t_072_an_event_that_ends_the_request_first_is_answered_from(
    entity, provider, guardrails, move, recovered
):
    def paid(told) -> None:
        payloads.deliver(_event_of_ours(entity, "completed"))

    provider.before_answer = paid
    if recovered:
        with checkouts.dying_at("billing.checkout.claimed"):
            checkouts.start(entity)
        move(LATER)
    answer = checkouts.start(entity)
    row = checkouts.request(entity)
    assert (answer.status, answer.body) == (200, row.response_json)
    assert row.response_json["checkoutSession"] == {
        "providerCheckoutSessionId": "cs_1",
        "status": "completed_pending_subscription",
        "providerStatus": "complete",
        "checkoutUrl": None,
        "expiresAt": clock.iso(checkouts.session(entity).expires_at),
        "customerId": "cus_1",
        "subscriptionId": "sub_1",
    }
    assert row.lease_version == (3 if recovered else 2)
    assert "BILLING_IDEMPOTENCY_LEASE_FENCED" not in guardrails


def test_t_072_an_expiry_that_is_told_first_ends_the_request_as_expired(entity, provider):
    def gone(told) -> None:
        metadata = dict(told.metadata)
        thing = payloads.session("cs_1", status="expired", customer=None, metadata=metadata)
        payloads.deliver(payloads.event("checkout.session.expired", thing))

    provider.before_answer = gone
    assert checkouts.told(entity) == (409, "checkout_recovery_window_elapsed")
    row = checkouts.request(entity)
    assert (row.status, checkouts.session(entity).status) == ("expired", "expired")
    provider.before_answer = None
    assert checkouts.told(entity, "key-2") == (200, "")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("completed_pending_subscription", "checkout_completion_pending"),
        ("recovery_verification_pending", "checkout_recovery_verification_pending"),
        ("open", "checkout_session_open"),
    ],
)
def test_a_session_that_loses_its_place_fails_with_the_code_of_the_winner(entity, provider, status, code):
    """6.3: when Tx B's own session loses."""

    def rival(told) -> None:
        factories.session(entity, status=status, provider_checkout_session_id="cs_rival", expires_at=None)

    provider.before_answer = rival
    assert checkouts.told(entity) == (409, code)
    ours = next(row for row in checkouts.sessions(entity) if row.provider_checkout_session_id == "cs_1")
    assert (ours.status, ours.status_reason) == ("abandoned", "displaced")
    assert checkouts.jobs(entity) == ["expire_checkout_session:cs_1"]


def test_a_session_that_is_paid_takes_the_place_of_an_open_one(entity, provider):
    """6.3: the higher rank keeps the block, and its request succeeds."""

    def rival(told) -> None:
        factories.session(entity, provider_checkout_session_id="cs_rival")
        provider.saved[provider.creates[-1][1]] = provider.change(told.id, status="complete", url=None)

    provider.before_answer = rival
    assert checkouts.told(entity) == (200, "")
    assert {row.provider_checkout_session_id: row.status for row in checkouts.sessions(entity)} == {
        "cs_rival": "abandoned",
        "cs_1": "completed_pending_subscription",
    }
    assert checkouts.jobs(entity) == ["expire_checkout_session:cs_rival"]


# --- Tx A, step 3 ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "expires_at", "then"),
    [
        ("open", NOW - dt.timedelta(seconds=90), "expired"),
        ("open", NOW - dt.timedelta(seconds=89), None),
        ("recovery_verification_pending", NOW, "abandoned"),
        ("recovery_verification_pending", NOW + dt.timedelta(seconds=1), None),
        ("completed_pending_subscription", NOW - dt.timedelta(days=9), None),
    ],
)
def test_what_the_time_has_ended_is_closed_before_it_is_asked_what_blocks(
    entity, provider, status, expires_at, then
):
    factories.session(entity, status=status, expires_at=expires_at)
    status_code, _code = checkouts.told(entity)
    assert checkouts.sessions(entity)[0].status == (then or status)
    assert (status_code, len(provider.creates)) == ((200, 1) if then else (409, 0))


def test_a_refusal_that_is_certain_is_stored_with_the_claim(entity, provider):
    """5.2: a deterministic failure is data, an unexpected exception takes the claim back."""
    assert checkouts.told(entity, what=checkouts.order(plan_code="none-such")) == (
        404,
        "checkout_plan_not_found",
    )
    row = checkouts.request(entity)
    assert (row.status, row.lease_version, row.pending_lease_expires_at) == ("failed", 2, None)
    with tenancy.tenant_scope(entity.tenant_id):
        assert provider.creates == []


def test_an_unexpected_exception_takes_the_claim_back(entity, provider, monkeypatch):
    from billing.services import checkout_order

    def broken(*_args, **_more):
        raise ZeroDivisionError

    monkeypatch.setattr(checkout_order, "params", broken)
    with pytest.raises(ZeroDivisionError):
        checkouts.start(entity)
    monkeypatch.undo()
    assert checkouts.requests(entity) == []
