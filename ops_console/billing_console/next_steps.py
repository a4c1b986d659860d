"""What happens next to work under way, by itself, and when: one or two plain sentences for each row.

Pure: rows, settings and the time in, words out. The rules are those of the services that do the work; each
function names them.
"""

import datetime as dt
from typing import Final

from django.conf import settings

from billing.models import BillingOutboxJob, BillingRequest, CheckoutSession, Remediation
from billing.services import freezing, idempotency_lease
from billing.services.reconciliation.checkout_completed_pending import GIVEN_UP_AFTER
from billing.services.reconciliation.checkout_open import OLD_ENOUGH
from billing.states import Action, JobStatus, RemediationStatus, Scope, SessionStatus
from ops_console import words
from ops_console.billing_console.times import Schedule, ahead
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.states import ConsumptionStatus

NOTHING: Final = "Nothing: it has ended."


# --- Sessions and holds: services/reconciliation/checkout_*.py ------------------------------------
def of_session(session: CheckoutSession, *, schedule: Schedule) -> str:
    """Say what ends a checkout session, or a place held for one."""
    if session.status == SessionStatus.OPEN:
        return _of_open(session, schedule)
    if session.status == SessionStatus.COMPLETED_PENDING_SUBSCRIPTION:
        return _of_paid(session, schedule)
    if session.status == SessionStatus.RECOVERY_VERIFICATION_PENDING:
        return _of_hold(session, schedule)
    return NOTHING


def _of_open(session: CheckoutSession, schedule: Schedule) -> str:
    run = schedule.next_run(Scope.CHECKOUT_OPEN)
    if session.expires_at is None:
        return f"Stripe has named no end for it. {_capital(run)} reads it there."
    over = session.expires_at + dt.timedelta(seconds=settings.BILLING.expires_at_grace_seconds)
    if over <= schedule.now:
        return f"Its time is over. {_capital(run)} reads it at Stripe and closes it; so does a new checkout."
    text = f"The payer may pay; unpaid, it ends {ahead(over, now=schedule.now)}."
    if session.created_at + OLD_ENOUGH <= schedule.now:
        text += f" In case an event is lost, {run} reads it at Stripe once an hour."
    return text


def _of_paid(session: CheckoutSession, schedule: Schedule) -> str:
    run = schedule.next_run(Scope.CHECKOUT_COMPLETED_PENDING)
    since = session.completed_at or session.created_at
    late = since + dt.timedelta(seconds=settings.BILLING.completion_sla_seconds)
    if late > schedule.now:
        return (
            "Paid; the subscription's event is on its way."
            f" If it has not come {ahead(late, now=schedule.now)}, a run fetches the subscription."
        )
    text = (
        f"Paid, and the subscription's event is late. {_capital(run)} fetches the subscription from Stripe."
    )
    until = ahead(since + GIVEN_UP_AFTER, now=schedule.now)
    return f"{text} If Stripe has none, the session is given up {until}."


def _of_hold(hold: CheckoutSession, schedule: Schedule) -> str:
    run = schedule.next_run(Scope.CHECKOUT_RECOVERY_VERIFICATION)
    if hold.expires_at is None:
        return f"{_capital(run)} searches Stripe for a session of this operation; it has no end of its own."
    if hold.expires_at <= schedule.now:
        return (
            f"No session was found in time. {_capital(run)} searches Stripe once more and frees the place;"
            " a new checkout frees it at once."
        )
    return (
        f"{_capital(run)} searches Stripe for a session of this operation and follows it."
        f" If there is none, the place is free {ahead(hold.expires_at, now=schedule.now)}."
    )


# --- Requests: services/recovery_steps.py ---------------------------------------------------------
def of_request(request: BillingRequest, *, now: dt.datetime) -> str:
    """Say who finds out about a pending request, when, and how it goes about it."""
    if not request.is_pending:
        return NOTHING
    lease = request.pending_lease_expires_at
    if lease is not None and lease > now:
        takes_over = f"recovery takes it up {ahead(lease, now=now)}"
        stands = (
            f"Stripe has given no clear answer; {takes_over}."
            if request.had_indeterminate_attempt
            else f"A process waits for Stripe's answer; if that does not come, {takes_over}."
        )
        return f"{stands} {_resolution(request, now=now)}"
    due = lease or now
    if request.last_recovery_attempt_at is not None:
        pause = idempotency_lease.backoff(request.recovery_attempt_count)
        due = max(due, request.last_recovery_attempt_at + pause)
    attempt = request.recovery_attempt_count + 1
    when = "within a minute" if due <= now else ahead(due, now=now)
    return f"Recovery takes it up {when} (attempt {attempt}). {_resolution(request, now=now)}"


def _resolution(request: BillingRequest, *, now: dt.datetime) -> str:
    """Name the step that recovery would take as things stand."""
    is_checkout = request.action == Action.CHECKOUT
    if is_checkout and request.provider_session_id is not None:
        return "It reads the session at Stripe and finishes from that."
    horizons = freezing.horizons(request)
    if horizons is None:
        if not is_checkout:
            return "Its request was not written down whole: it prepares it again, or ends it as a fault."
        return "Its stored request is missing or was changed: it ends as a fault, and the place is held."
    if now >= horizons.deadline:
        if not is_checkout:
            return "Stripe may have forgotten the key: it ends as elapsed, and nothing is sent."
        return (
            "Stripe may have forgotten the key, so nothing is sent. It looks for the session;"
            " if there is none, the request ends as elapsed and the place is held while one may be open."
        )
    if is_checkout and freezing.drift(request):
        return (
            "This release would send another request than the stored one, so nothing is sent."
            " It looks for the session; if there is none, the request ends and the place is held."
        )
    if request.has_saved_failure:
        return "Stripe would repeat a failure that it has saved for this key: it only looks for the session."
    if is_checkout and request.recovery_attempt_count >= 1:
        return "It looks for the session, and if there is none sends the same request with the same key."
    return "It sends the same request with the same key; Stripe repeats its first answer, or carries it out."


# --- Events: stripe_gateway/services/consumption.py, 8.8 ------------------------------------------
def of_event(row: StripeEventConsumption, *, schedule: Schedule) -> str:
    """Say when an event is applied, or tried again."""
    if row.status == ConsumptionStatus.DONE:
        return NOTHING
    if row.status == ConsumptionStatus.DEAD:
        return "Given up. Only a replay from here, or a redelivery by Stripe, has it tried again."
    if row.status == ConsumptionStatus.LEASED:
        if row.lease_expires_at is not None and row.lease_expires_at > schedule.now:
            until = ahead(row.lease_expires_at, now=schedule.now)
            return f"It is being applied. If that process dies, it is due {until}."
        return "The process that applied it is gone; a worker takes it up within seconds."
    if row.next_attempt_at > schedule.now:
        return f"Tried again {ahead(row.next_attempt_at, now=schedule.now)} (attempt {row.attempts + 1})."
    return f"A worker takes it up within seconds (attempt {row.attempts + 1})."


# --- Jobs and remediations: services/leasing.py, 9.1 ----------------------------------------------
def of_job(job: BillingOutboxJob, *, now: dt.datetime) -> str:
    """Say when an effect owed to the provider is tried."""
    if job.status == JobStatus.SUCCEEDED:
        return NOTHING
    if job.status == JobStatus.LEASED:
        return _leased(job.lease_expires_at, now=now)
    if job.status == JobStatus.DEAD_LETTER:
        return _given_up(job.attempt_count)
    return _waiting(
        job.available_at, attempts=job.attempt_count, most=settings.BILLING.outbox_max_attempts, now=now
    )


def of_remediation(row: Remediation, *, now: dt.datetime) -> str:
    """Say when a duplicate's cancellation is tried."""
    if row.status == RemediationStatus.SUCCEEDED:
        return NOTHING
    if row.status == RemediationStatus.IN_PROGRESS:
        return _leased(row.lease_expires_at, now=now)
    if row.status == RemediationStatus.DEAD_LETTER:
        return f"{_given_up(row.attempt_count)} Both subscriptions are charged meanwhile."
    return _waiting(
        row.next_attempt_at or now,
        attempts=row.attempt_count,
        most=settings.BILLING.remediation_max_attempts,
        now=now,
    )


def _leased(until: dt.datetime | None, *, now: dt.datetime) -> str:
    if until is None or until <= now:
        return "The worker that had it is gone; another takes it up within seconds."
    return f"A worker is on it. If it dies, another takes it up {ahead(until, now=now)}."


def _given_up(attempts: int) -> str:
    return f"Given up after {words.count(attempts, 'attempt')}: only a person has it tried again."


def _waiting(due: dt.datetime, *, attempts: int, most: int, now: dt.datetime) -> str:
    when = "within seconds" if due <= now else ahead(due, now=now)
    return f"A worker tries it {when} (attempt {attempts + 1} of {most})."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
