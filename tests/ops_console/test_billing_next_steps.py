"""What the operations page says will happen next: the words follow the rules of the services that do it."""

import datetime as dt

import pytest

from billing.models import BillingOutboxJob, BillingRequest, CheckoutSession, ReconciliationRun, Remediation
from ops_console.billing_console import next_steps, times
from ops_console.billing_console.times import Schedule
from settld.stripe_gateway.models import StripeEventConsumption
from tests.billing.conftest import billing_on
from tests.billing.factories import NOW

__all__ = ["billing_on"]
SECOND, MINUTE, HOUR = (dt.timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours"))
BEAT = {
    "billing-checkout-open": {"schedule": 1800.0},
    "billing-checkout-completed-pending": {"schedule": 600.0},
}


@pytest.fixture(autouse=True)
def beat(settings):
    settings.CELERY_BEAT_SCHEDULE = BEAT


def session(status: str, **more) -> str:
    row = CheckoutSession(status=status, **({"created_at": NOW - MINUTE} | more))
    run = ReconciliationRun(scope="checkout_open", started_at=NOW - 10 * MINUTE)
    return next_steps.of_session(row, schedule=Schedule({"checkout_open": run}, NOW))


def test_an_open_session_waits_for_its_payer_until_its_end():
    text = session("open", expires_at=NOW + HOUR)

    assert text == "The payer may pay; unpaid, it ends at 13:01:30 UTC, in 1 hour."


def test_an_older_one_is_read_in_case_its_event_is_lost():
    text = session("open", expires_at=NOW + HOUR, created_at=NOW - 15 * MINUTE)

    assert "the next run of checkout_open (every 30 minutes, last 10 minutes ago) reads it at Stripe" in text


def test_an_open_session_is_over_only_after_the_grace():
    grace = dt.timedelta(seconds=90)

    assert "unpaid, it ends at 12:00:01" in session("open", expires_at=NOW - grace + SECOND)
    assert session("open", expires_at=NOW - grace).startswith("Its time is over.")
    assert session("open", expires_at=None).startswith("Stripe has named no end for it.")


def test_a_paid_session_waits_for_its_event_until_the_sla_and_then_is_fetched():
    paid = "completed_pending_subscription"

    assert "If it has not come at 12:00:01 UTC, in 1 second" in session(paid, completed_at=NOW - 299 * SECOND)
    late = session(paid, completed_at=NOW - 300 * SECOND)
    assert "The next run of checkout_completed_pending (every 10 minutes) fetches the subscription" in late
    assert "given up at 2026-03-11 11:55:00 UTC, in 23 hours." in late


def test_a_hold_frees_its_place_when_it_ends_and_beat_may_be_off():
    hold = "recovery_verification_pending"

    assert "the place is free at 13:00:00 UTC, in 1 hour." in session(hold, expires_at=NOW + HOUR)
    assert "frees the place" in session(hold, expires_at=NOW)
    assert "no end of its own" in session(hold, expires_at=None)
    assert "by hand (nothing runs it by itself here)" in session(hold, expires_at=NOW)


def test_what_has_ended_has_no_next_step():
    assert {session(status) for status in ("expired", "abandoned", "completed_reconciled")} == {
        next_steps.NOTHING
    }


# --- Requests -------------------------------------------------------------------------------------------
def pending(monkeypatch, *, frozen: bool = True, drift: bool = False, **more) -> str:
    from billing.services import freezing

    horizons = freezing.Horizons(NOW - HOUR, more.pop("deadline", NOW + HOUR), NOW + 2 * HOUR)
    monkeypatch.setattr(freezing, "horizons", lambda request: horizons if frozen else None)
    monkeypatch.setattr(freezing, "drift", lambda request: ["api_version"] if drift else [])
    values = {"action": "checkout", "status": "pending", "pending_lease_expires_at": NOW - SECOND} | more
    return next_steps.of_request(BillingRequest(**values), now=NOW)


def test_a_leased_request_is_taken_over_when_the_lease_ends(monkeypatch):
    lease = {"pending_lease_expires_at": NOW + MINUTE}

    assert "A process waits for Stripe's answer" in pending(monkeypatch, **lease)
    unclear = pending(monkeypatch, had_indeterminate_attempt=True, **lease)
    assert "Stripe has given no clear answer; recovery takes it up at 12:01:00 UTC, in 1 minute." in unclear


def test_recovery_keeps_its_backoff(monkeypatch):
    text = pending(monkeypatch, recovery_attempt_count=2, last_recovery_attempt_at=NOW - MINUTE)

    assert text.startswith("Recovery takes it up at 12:01:00 UTC, in 1 minute (attempt 3).")
    assert pending(monkeypatch).startswith("Recovery takes it up within a minute (attempt 1).")


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ({}, "sends the same request with the same key; Stripe repeats its first answer"),
        ({"recovery_attempt_count": 1}, "looks for the session, and if there is none sends"),
        ({"provider_session_id": "cs_1", "frozen": False}, "reads the session at Stripe"),
        ({"frozen": False}, "it ends as a fault, and the place is held"),
        ({"deadline": NOW}, "so nothing is sent. It looks for the session"),
        ({"drift": True}, "This release would send another request"),
        ({"has_saved_failure": True}, "it only looks for the session"),
        ({"action": "portal", "deadline": NOW}, "it ends as elapsed, and nothing is sent"),
        ({"action": "payment_link", "frozen": False}, "it prepares it again"),
        ({"action": "portal", "drift": True}, "sends the same request with the same key"),
    ],
)
def test_the_step_that_recovery_takes_is_named(monkeypatch, case, says):
    assert says in pending(monkeypatch, **case)


def test_an_ended_request_has_no_next_step(monkeypatch):
    assert pending(monkeypatch, status="failed") == next_steps.NOTHING


# --- Events, jobs, remediations -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"status": "done"}, "Nothing"),
        ({"status": "dead", "attempts": 12}, "Only a replay from here"),
        ({"status": "failed", "attempts": 3, "next_attempt_at": NOW + HOUR}, "in 1 hour (attempt 4)."),
        ({"status": "failed", "attempts": 3, "next_attempt_at": NOW}, "within seconds (attempt 4)"),
        ({"status": "leased", "lease_expires_at": NOW + MINUTE}, "It is being applied."),
        ({"status": "leased", "lease_expires_at": NOW}, "is gone"),
    ],
)  # fmt: skip
def test_an_event(values, says):
    row = StripeEventConsumption(**values)

    assert says in next_steps.of_event(row, schedule=Schedule({}, NOW))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"status": "succeeded"}, "Nothing"),
        ({"status": "pending"}, "A worker tries it within seconds (attempt 1 of {most})."),
        ({"status": "failed", "attempt_count": 2, "due": NOW + MINUTE}, "in 1 minute (attempt 3 of {most})."),
        ({"status": "working", "lease_expires_at": NOW + MINUTE}, "another takes it up at 12:01:00"),
        ({"status": "working", "lease_expires_at": NOW}, "is gone; another takes it up"),
        ({"status": "dead_letter", "attempt_count": 8}, "Given up after 8 attempts"),
    ],
)  # fmt: skip
def test_a_job_and_a_remediation(values, says):
    due = values.pop("due", NOW)
    of_job = {**values, "status": values["status"].replace("working", "leased"), "available_at": due}
    of_row = {**values, "status": values["status"].replace("working", "in_progress"), "next_attempt_at": due}

    assert says.format(most=8) in next_steps.of_job(BillingOutboxJob(**of_job), now=NOW)
    assert says.format(most=6) in next_steps.of_remediation(Remediation(**of_row), now=NOW)


# --- Times ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "text", "tone"),
    [
        (HOUR * 23, "23 h 00 min left", "info"),
        (HOUR * 4, "4 h 00 min left", "info"),
        (HOUR * 4 - SECOND, "3 h 59 min left", "warn"),
        (SECOND, "0 min left", "warn"),
        (0 * SECOND, "Over", "bad"),
    ],
)
def test_a_countdown_is_never_longer_than_it_is(left, text, tone):
    found = times.countdown(NOW + left, now=NOW)

    assert (found.text, found.tone) == (text, tone)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(86_400, "day"), (21_600, "6 hours"), (1_800, "30 minutes"), (60, "minute"), (90, "90 seconds")],
)
def test_a_span_is_written_in_its_largest_whole_unit(seconds, text):
    assert times.span(seconds) == text
