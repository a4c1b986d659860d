"""Checkouts against the Stripe simulator: what it keeps under a key, what it lost, what it says of it now."""

import dataclasses
import datetime as dt

import pytest

from billing.providers import base, calls
from settld.core import clock
from settld.stripe_gateway import calls as gateway
from settld.stripe_gateway import circuit, skew
from tests.billing import checkouts, factories
from tests.billing.checkouts import guardrails
from tests.support.simulator import stripe_sim, stripe_simulator

__all__ = ["guardrails", "stripe_sim", "stripe_simulator"]
pytestmark = pytest.mark.django_db
NOW = factories.NOW
SESSIONS = "/v1/checkout/sessions"


class Both:
    """Our clock and the simulator's, moved together."""

    def __init__(self, sim, move) -> None:
        self.sim, self.move = sim, move
        self(dt.timedelta(0))

    def __call__(self, later: dt.timedelta, *, behind: int = 0) -> None:
        self.move(NOW + later)
        self.sim.control("/_sim/clock", {"now": int((NOW + later).timestamp()) - behind})


@pytest.fixture
def both(stripe_sim, stripe_at, settings, monkeypatch):
    monkeypatch.setattr(gateway, "pause", lambda _seconds: None)
    stripe_at(stripe_sim.url)
    settings.STRIPE = dataclasses.replace(settings.STRIPE, circuit_failure_threshold=1_000)
    circuit.for_address(stripe_sim.url).record_answer()
    skew.forget()
    with clock.freeze(NOW) as move:
        yield Both(stripe_sim, move)
    skew.forget()


@pytest.fixture
def entity(both):
    factories.plan(price_id=both.sim.price(unit_amount=4_900)["id"])
    return factories.workspace_entity()


def _made(both) -> list[dict]:
    return both.sim.get(SESSIONS, limit=100)["data"]


@pytest.mark.parametrize("what", [checkouts.order(), checkouts.one_off()], ids=["subscription", "one_off"])
def test_t_040_what_we_ask_for_is_what_the_provider_takes(both, entity, what):
    """T-040, T-038, T-039: the frozen parameters are good for the real interface."""
    answer = checkouts.start(entity, what=what)
    assert answer.status == 200
    (made,) = _made(both)
    row, told = checkouts.request(entity), answer.body["checkoutSession"]
    assert told == {
        "providerCheckoutSessionId": made["id"],
        "status": "open",
        "providerStatus": "open",
        "checkoutUrl": made["url"],
        "expiresAt": "2026-03-11T12:00:00.000Z",
        "customerId": None,
        "subscriptionId": None,
    }
    assert made["metadata"] == row.provider_request_params_json["metadata"]
    assert made["client_reference_id"] == str(entity.pk)
    assert checkouts.start(entity, what=what).headers == {"Idempotent-Replayed": "true"}
    assert len(_made(both)) == 1


def test_t_042_a_price_that_the_provider_does_not_know_is_a_clear_no(both, entity):
    from billing.models import PlanPrice

    PlanPrice.objects.update(is_active=False)
    PlanPrice.objects.create(
        plan=PlanPrice.objects.get().plan, provider_price_id="price_gone", currency="USD",
        unit_amount_minor=1,
    )  # fmt: skip
    assert checkouts.told(entity) == (502, "checkout_provider_error")
    assert checkouts.request(entity).failure_details_json["providerCode"] == "resource_missing"
    assert (_made(both), checkouts.sessions(entity)) == ([], [])


def test_t_033_a_clock_that_runs_ahead_is_measured_and_then_taken_off(both, entity, guardrails):
    """T-033: Stripe refuses what lies more than a day ahead of its own clock; the next attempt knows."""
    both(dt.timedelta(0), behind=20)
    assert checkouts.told(entity) == (502, "checkout_provider_error")
    assert checkouts.told(entity, "key-2") == (200, "")
    first, second = checkouts.requests(entity)
    assert [row.provider_request_params_json["expires_at"] for row in (first, second)] == [
        int(NOW.timestamp()) + 86_400,
        int(NOW.timestamp()) + 86_400 - 21,
    ]
    assert "BILLING_PROVIDER_CLOCK_SKEW" in guardrails


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "status_500_before", "malformed_2xx"])
@pytest.mark.parametrize("by_client", [True, False], ids=["same_key", "beat"])
def test_t_047_an_answer_that_was_lost_is_recovered_into_one_session(both, entity, kind, by_client):
    """T-047, T-041, T-054: whether or not the request had arrived."""
    more = {"saved": False} if kind == "status_500_before" else {}
    both.sim.fault(kind, path=SESSIONS, times=3, **more)
    assert checkouts.told(entity) == (409, "request_in_progress")
    row = checkouts.request(entity)
    assert (row.status, row.had_indeterminate_attempt) == ("pending", True)
    both.sim.control("/_sim/faults", method="DELETE")
    both(dt.timedelta(seconds=121))
    if not by_client:
        assert checkouts.again(entity) == "succeeded"
    assert checkouts.told(entity) == (200, "")
    (made,) = _made(both)
    assert checkouts.session(entity).provider_checkout_session_id == made["id"]


def test_t_052_a_saved_500_is_never_asked_for_again_but_looked_for(both, entity):
    """T-052: the provider repeats its failure for the key, though the session was made."""
    both.sim.fault("status_500_after", path=SESSIONS)
    assert checkouts.told(entity) == (409, "request_in_progress")
    assert not checkouts.request(entity).has_saved_failure
    both(dt.timedelta(seconds=121))
    assert checkouts.again(entity) == "pending"  # it was repeated, and so it was saved
    assert checkouts.request(entity).has_saved_failure
    both(dt.timedelta(minutes=10))
    assert checkouts.again(entity) == "succeeded"
    (made,) = _made(both)
    assert checkouts.session(entity).provider_checkout_session_id == made["id"]


def test_t_052_a_saved_500_without_a_session_ends_with_the_window(both, entity):
    both.sim.fault("status_500_before", path=SESSIONS, saved=True)
    assert checkouts.told(entity) == (409, "request_in_progress")
    both(dt.timedelta(minutes=10))
    assert checkouts.again(entity) == "pending"
    both(dt.timedelta(hours=23))
    assert checkouts.again(entity) == "expired"
    assert checkouts.session(entity).status == "recovery_verification_pending"
    assert _made(both) == []


@pytest.mark.parametrize(
    ("verb", "status", "code"),
    [
        ("pay", "completed_pending_subscription", ""),
        ("expire", "expired", "checkout_recovery_window_elapsed"),
        ("", "open", ""),
    ],
)
def test_t_063_the_saved_answer_is_old_and_the_session_is_asked(both, entity, verb, status, code):
    both.sim.fault("reset_after", path=SESSIONS, times=3)
    checkouts.told(entity)
    (made,) = _made(both)
    if verb:
        both.sim.control(f"/_sim/checkout/sessions/{made['id']}/{verb}", {})
    both(dt.timedelta(seconds=121))
    assert checkouts.told(entity) == ((409, code) if code else (200, ""))
    session = checkouts.session(entity)
    assert (session.status, session.provider_checkout_session_id) == (status, made["id"])
    if verb == "pay":
        assert session.provider_subscription_id is not None
    assert len(_made(both)) == 1


def test_t_064_our_session_is_found_on_whatever_page_it_is(both, entity, monkeypatch):
    """T-064: pages of two, ours the oldest of seven."""
    monkeypatch.setattr(calls, "PAGE_SIZE", 2)
    both.sim.fault("reset_after", path=SESSIONS, times=3)
    checkouts.told(entity)
    (made,) = _made(both)
    row = checkouts.request(entity)
    _others(row, 6)
    checkouts.change(row, recovery_attempt_count=1)
    both(dt.timedelta(seconds=121))
    assert checkouts.again(entity) == "succeeded"
    assert checkouts.session(entity).provider_checkout_session_id == made["id"]
    assert len(_made(both)) == 7


def test_t_064_without_a_match_on_any_page_the_request_is_sent_again(both, entity, monkeypatch):
    monkeypatch.setattr(calls, "PAGE_SIZE", 2)
    both.sim.fault("reset_before", path=SESSIONS, times=3)
    checkouts.told(entity)
    row = checkouts.request(entity)
    _others(row, 5)
    checkouts.change(row, recovery_attempt_count=1)
    both(dt.timedelta(seconds=121))
    assert checkouts.again(entity) == "succeeded"
    assert len(_made(both)) == 6


def _others(row, count: int) -> None:
    """Sessions that share one of the two marks with ours, or neither."""
    params = row.provider_request_params_json
    for number in range(count):
        marks = {"client_reference_id": "999"} if number % 2 else {"metadata": {"operation_key": "other"}}
        base.active().create_checkout_session(params | marks, idempotency_key=f"other {number}")


def test_t_045_a_key_that_was_used_for_something_else_is_held(both, entity, guardrails):
    with checkouts.dying_at("billing.checkout.claimed"):
        checkouts.start(entity)
    row = checkouts.request(entity)
    base.active().create_checkout_session(
        row.provider_request_params_json | {"client_reference_id": "999"},
        idempotency_key=row.provider_idempotency_key,
    )
    both(dt.timedelta(seconds=121))
    assert checkouts.told(entity) == (409, "checkout_configuration_invalid")
    assert checkouts.session(entity).status == "recovery_verification_pending"
    assert "BILLING_PROVIDER_REQUEST_HASH_MISMATCH" in guardrails


def test_t_057_after_the_deadline_a_lost_session_is_still_adopted(both, entity):
    both.sim.fault("reset_after", path=SESSIONS, times=3)
    checkouts.told(entity)
    both(dt.timedelta(hours=23, seconds=1))
    assert checkouts.again(entity) == "succeeded"
    assert checkouts.session(entity).status == "open"
