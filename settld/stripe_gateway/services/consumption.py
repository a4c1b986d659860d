"""Having stored events consumed: lease one, run its consumer, write down what came of it."""

import datetime as dt
import time
from collections.abc import Iterable

import structlog
from django.db import connection, transaction
from django.db.models import Case, F, Q, Value, When

from settld.core import clock, transactions
from settld.stripe_gateway import consumers
from settld.stripe_gateway.consumers import Consumed, Correlation
from settld.stripe_gateway.metrics import CONSUMPTIONS, guardrail
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.outcomes import scrub
from settld.stripe_gateway.services import bell, failures, payloads
from settld.stripe_gateway.states import REVIVABLE, ConsumptionStatus, Outcome

LEASE = dt.timedelta(seconds=120)
MAX_ATTEMPTS = 12
BACKOFF_BASE_SECONDS = 60
BACKOFF_MAX_SECONDS = 21_600
ABANDONED = "the worker's lease ran out before it finished"
LEASE_FIELDS = (
    "status",
    "lease_owner",
    "lease_expires_at",
    "lease_version",
    "attempts",
    "processing_started_at",
    "updated_at",
)
NOBODY = Correlation()
DOOR = "door:"
log = structlog.get_logger(__name__)


class ConsumerUnknown(Exception):
    """No consumer of that name is registered in this process."""


def consume_due(*, owner: str, limit: int, budget_seconds: float) -> int:
    """Work off due consumptions, at most `limit`, starting none after the budget; returns how many.

    Safe beside itself: each is leased to one worker. A consumer's exception costs its own
    consumption an attempt, and nothing else.
    """
    stop_at = time.monotonic() + budget_seconds
    reclaim_abandoned(now=clock.now())
    done = 0
    while done < limit and time.monotonic() < stop_at:
        job = claim_next(owner=owner, now=clock.now())
        if job is None:
            return done
        consume(job)
        done += 1
    if done:
        bell.ring()  # there may be more than one worker's share
    return done


def claim_next(*, owner: str, now: dt.datetime) -> StripeEventConsumption | None:
    """Lease the oldest due consumption to one worker; None when nothing is due."""
    due = StripeEventConsumption.objects.filter(
        status__in=[ConsumptionStatus.PENDING, ConsumptionStatus.FAILED], next_attempt_at__lte=now
    ).order_by("next_attempt_at", "id")
    with transactions.atomic(durable=True):
        job = due.select_related("event").select_for_update(skip_locked=True, of=("self",)).first()
        if job is not None:
            _lease(job, owner=owner, now=now)
    return job


def reclaim_abandoned(*, now: dt.datetime) -> None:
    """Make due again what a worker leased and never finished; give up what it has tried too often.

    A statement of its own, not a branch of claim_next: the claim then reads one index in order, however
    long the backlog is. The new lease version fences the worker, should it still live.
    """
    lost = StripeEventConsumption.objects.filter(status=ConsumptionStatus.LEASED, lease_expires_at__lte=now)
    has_tries_left = Q(attempts__lt=MAX_ATTEMPTS)
    count = lost.update(
        status=Case(
            When(has_tries_left, then=Value(ConsumptionStatus.FAILED.value)),
            default=Value(ConsumptionStatus.DEAD.value),
        ),
        error=ABANDONED,
        next_attempt_at=now,
        lease_owner="",
        lease_expires_at=None,
        lease_version=F("lease_version") + 1,
        updated_at=now,
    )
    if count:
        log.warning("stripe_event_consumptions_abandoned", count=count)


def take(job: StripeEventConsumption, *, owner: str, now: dt.datetime) -> None:
    """Lease a consumption whose row the caller has locked, or is about to insert; it is not saved here."""
    job.status = ConsumptionStatus.LEASED
    job.lease_owner, job.lease_expires_at = owner[:120], now + LEASE
    job.lease_version += 1
    job.attempts += 1
    job.processing_started_at = job.updated_at = now


def _lease(job: StripeEventConsumption, *, owner: str, now: dt.datetime) -> None:
    take(job, owner=owner, now=now)
    job.save(update_fields=LEASE_FIELDS)


def consume(job: StripeEventConsumption) -> Exception | None:
    """Run the consumer of a leased job, with no transaction of ours open, and record the end.

    Returns what the consumer raised, recorded already; None when it is done, or when another has taken
    the job over meanwhile.
    """
    consumer = consumers.named(job.consumer)
    with structlog.contextvars.bound_contextvars(provider_event_id=job.event.provider_event_id):
        try:
            transactions.require_no_transaction()
            if consumer is None:
                raise ConsumerUnknown(f"no consumer is called {job.consumer}")
            verdict = Consumed(*consumer.handler(payloads.readable(job.event)))
            outcome = Outcome(verdict.outcome)
        except Exception as error:
            if connection.errors_occurred and not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()  # so that what happened can be written down
            return error if fail(job, error=error, now=clock.now()) else None
        finish(
            job,
            outcome=outcome,
            detail=verdict.detail,
            correlation=verdict.correlation,
            now=clock.now(),
        )
    return None


def finish(
    job: StripeEventConsumption,
    *,
    outcome: Outcome,
    detail: str,
    now: dt.datetime,
    correlation: Correlation = NOBODY,
) -> bool:
    """Close the job if our lease still holds; False means another worker has taken it over."""
    closed = _update_if_ours(
        job,
        status=ConsumptionStatus.DONE,
        outcome=outcome,
        detail=scrub(detail),
        error="",
        error_code="",
        finished_at=now,
        updated_at=now,
        **_known(correlation),
    )
    _count(job, outcome.value if closed else "fenced")
    return closed


def fail(job: StripeEventConsumption, *, error: Exception, now: dt.datetime) -> bool:
    """Put the job back with a growing delay, or give it up after the last attempt; False as in `finish`."""
    is_last = job.attempts >= MAX_ATTEMPTS
    status = ConsumptionStatus.DEAD if is_last else ConsumptionStatus.FAILED
    correlation = consumers.correlation_of(error)
    recorded = _update_if_ours(
        job,
        status=status,
        error=scrub(f"{type(error).__name__}: {error}"),
        error_code=failures.code_of(error),
        last_failed_at=now,
        next_attempt_at=now + backoff(job.attempts),
        updated_at=now,
        **_known(correlation),
    )
    _count(job, status.value if recorded else "fenced")
    log.warning(
        "stripe_event_consumption_failed",
        provider_event_id=job.event.provider_event_id,
        consumer=job.consumer,
        attempts=job.attempts,
        is_last=is_last,
        exc_info=error,
        **_known(correlation),
    )
    if recorded:
        _raise_alarm(job, correlation)
    return recorded


def _raise_alarm(job: StripeEventConsumption, correlation: Correlation) -> None:
    """Count what the door was to apply and could not, told apart from a worker's later tries."""
    consumer = consumers.named(job.consumer)
    if consumer is None or not consumer.inline:
        return
    is_first = job.lease_owner.startswith(DOOR)
    guardrail(
        "BILLING_WEBHOOK_PROCESSING_FAILED" if is_first else "BILLING_WEBHOOK_REPLAY_FAILED",
        provider_event_id=job.event.provider_event_id,
        consumer=job.consumer,
        attempts=job.attempts,
        **_known(correlation),
    )


def backoff(attempts: int) -> dt.timedelta:
    """Give the wait after a number of attempts: a minute, doubling, six hours at most."""
    return dt.timedelta(seconds=min(BACKOFF_BASE_SECONDS * 2 ** (max(attempts, 1) - 1), BACKOFF_MAX_SECONDS))


def consume_again(*, consumption_ids: Iterable[int], now: dt.datetime) -> list[int]:
    """Give failed and dead consumptions a fresh start, due now; returns those it concerned."""
    with transactions.atomic(durable=True):
        chosen = StripeEventConsumption.objects.filter(pk__in=list(consumption_ids), status__in=REVIVABLE)
        revived = list(chosen.select_for_update().order_by("id").values_list("id", flat=True))
        StripeEventConsumption.objects.filter(pk__in=revived).update(
            status=ConsumptionStatus.PENDING, attempts=0, next_attempt_at=now, updated_at=now
        )
        transaction.on_commit(bell.ring)
    return revived


def _update_if_ours(job: StripeEventConsumption, **changes: object) -> bool:
    ours = StripeEventConsumption.objects.filter(
        pk=job.pk, status=ConsumptionStatus.LEASED, lease_version=job.lease_version
    )
    released: dict[str, object] = {"lease_owner": "", "lease_expires_at": None}
    return ours.update(**released, **changes, lease_version=F("lease_version") + 1) == 1


def _known(correlation: Correlation) -> dict[str, object]:
    """Give the columns that a correlation fills; what it does not know stays as an earlier try found it."""
    return {name: value for name, value in correlation._asdict().items() if value not in ("", None)}


def _count(job: StripeEventConsumption, result: str) -> None:
    CONSUMPTIONS.labels(consumer=job.consumer, result=result).inc()
