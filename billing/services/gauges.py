"""Measuring what waits too long (spec/checkout-billing.md 11); measured each minute, over all tenants."""

import datetime as dt
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Coalesce

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.models import BillingOutboxJob, BillingRequest, CheckoutSession, Remediation
from billing.services import guardrails
from billing.states import JobStatus, RemediationStatus, RequestStatus, SessionStatus
from settld.core import tenancy
from settld.core.transactions import atomic
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.states import REVIVABLE

NEARING: Final = dt.timedelta(minutes=15)
CONSUMER: Final = "checkout"


class Backlog(NamedTuple):
    """How many, and since when the oldest."""

    number: int
    since: dt.datetime | None


def measure() -> dict[str, float]:
    """Take every measurement and keep it for the metrics page; those above zero are events.

    Dead letters are kept only: each was an event when it was given up.

    Gives them by `<code>.<measure>`: counts, and ages in whole seconds.
    """
    with tenancy.platform_scope(reason="billing: guardrail measurements"), atomic():
        now = clock.now()
        waiting, given_up = _requests(now) | _sessions(now) | _events(), _given_up()
    found: dict[str, float] = {}
    for code, backlog in (waiting | given_up).items():
        age = 0.0 if backlog.since is None else max(0.0, (now - backlog.since).total_seconds() // 1)
        for name, value in (("count", float(backlog.number)), ("age_seconds", age)):
            guardrails.measure(code, name=name, value=value, is_event=code not in given_up)
            found[f"{code.value}.{name}"] = value
    return found


def _requests(now: dt.datetime) -> dict[Guardrail, Backlog]:
    pending = BillingRequest.objects.filter(status=RequestStatus.PENDING, action="checkout")
    stale = now - 2 * dt.timedelta(seconds=settings.BILLING.pending_lease_seconds)
    deadline = "provider_idempotency_replay_deadline_at"
    exceeded = pending.filter(**{f"{deadline}__lte": now})
    nearing = pending.filter(**{f"{deadline}__gt": now, f"{deadline}__lte": now + NEARING})
    return {
        Guardrail.PENDING_CHECKOUT_IDEMPOTENCY_OLDER_THAN_2X_LEASE_TTL: _count(
            pending.filter(created_at__lte=stale), since="created_at"
        ),
        Guardrail.PENDING_CHECKOUT_REPLAY_DEADLINE_NEARING: _count(nearing, since="created_at"),
        Guardrail.PENDING_CHECKOUT_REPLAY_DEADLINE_EXCEEDED: _count(exceeded, since=deadline),
    }


def _sessions(now: dt.datetime) -> dict[Guardrail, Backlog]:
    """Holds are measured apart: they last by design, and end by themselves."""
    sla = now - dt.timedelta(seconds=settings.BILLING.completion_sla_seconds)
    grace = dt.timedelta(seconds=settings.BILLING.expires_at_grace_seconds)
    paid = Q(status=SessionStatus.COMPLETED_PENDING_SUBSCRIPTION, began_at__lte=sla)
    over = Q(status=SessionStatus.OPEN, expires_at__lte=sla - grace)
    endless = Q(status=SessionStatus.OPEN, expires_at=None, created_at__lte=sla)
    sessions = CheckoutSession.objects.filter(flow="subscription").alias(
        began_at=Coalesce("completed_at", "created_at")
    )
    late = sessions.filter(paid | over | endless).annotate(since=Coalesce("completed_at", "created_at"))
    holds = CheckoutSession.objects.filter(status=SessionStatus.RECOVERY_VERIFICATION_PENDING)
    return {
        Guardrail.BLOCKING_CHECKOUT_SESSIONS_OLDER_THAN_SLA: _count(late, since="since"),
        Guardrail.CHECKOUT_RECOVERY_VERIFICATION_PENDING: _count(holds, since="created_at"),
    }


def _events() -> dict[Guardrail, Backlog]:
    failed = StripeEventConsumption.objects.filter(consumer=CONSUMER, status__in=REVIVABLE)
    return {Guardrail.WEBHOOK_FAILURE_RETRY: _count(failed, since="created_at")}


def _given_up() -> dict[Guardrail, Backlog]:
    jobs = BillingOutboxJob.objects.filter(status=JobStatus.DEAD_LETTER)
    owed = Remediation.objects.filter(status=RemediationStatus.DEAD_LETTER)
    return {
        Guardrail.OUTBOX_DEAD_LETTER: _count(jobs, since="created_at"),
        Guardrail.REMEDIATION_DEAD_LETTER: _count(owed, since="created_at"),
    }


def _count(rows: QuerySet[Any], *, since: str) -> Backlog:
    found = rows.aggregate(number=Count("pk"), oldest=Min(since))
    return Backlog(found["number"], found["oldest"])
