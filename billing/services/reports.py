"""The deployment at a glance, for its operators: revenue, invoices, blocked checkouts, dead letters."""

import datetime as dt
from collections import defaultdict
from fractions import Fraction
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce, TruncMonth

from billing import clock
from billing.models import (
    BillingOutboxJob,
    CheckoutSession,
    Invoice,
    Payment,
    Remediation,
    Subscription,
    SubscriptionItem,
)
from billing.states import (
    BLOCKING,
    CURRENT_SUBSCRIPTION,
    Flow,
    Interval,
    InvoiceStatus,
    JobStatus,
    PaymentStatus,
    RemediationStatus,
    SessionStatus,
    SubscriptionStatus,
    UsageType,
)
from settld.core import tenancy
from settld.core.clock import iso
from settld.core.transactions import atomic
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.states import ConsumptionStatus

MONTHS: Final = 12
# What is charged, or was to be: not what is still free (trialing), unpaid for good, or not begun.
EARNING: Final = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)
PER_MONTH: Final[dict[str, Fraction]] = {
    Interval.DAY: Fraction(365, 12),
    Interval.WEEK: Fraction(52, 12),
    Interval.MONTH: Fraction(1),
    Interval.YEAR: Fraction(1, 12),
}
Totals = dict[str, dict[str, dict[str, int]]]


def summary(*, months: int = MONTHS) -> dict[str, Any]:
    """Add the deployment up; a platform-wide read, amounts in whole minor units.

    `mrrMinor` is the monthly worth of the licensed items of current subscriptions that are active or past
    due, rounded half up once per currency. Invoice totals: `paid` by the month of payment (amount paid),
    `failed` and `open` by the month of issue (amount remaining); an open invoice that has a failed payment,
    and one that was given up, count as failed.
    """
    with tenancy.platform_scope(reason="billing: report summary"), atomic():
        now = clock.now()
        mrr, invoices = _mrr(), _invoices(since=_months_ago(now, months - 1))
        return {
            "generatedAt": iso(now),
            "currencies": [
                {
                    "currency": currency,
                    "mrrMinor": mrr.get(currency, 0),
                    "invoices": [
                        {"month": month, **invoices[currency][month]}
                        for month in sorted(invoices[currency], reverse=True)
                    ],
                }
                for currency in sorted({*mrr, *invoices})
            ],
            "subscriptions": _subscriptions(),
            "blockedCheckouts": _blocked(now),
            "deadLetters": _dead_letters(),
        }


def _mrr() -> dict[str, int]:
    items = (
        SubscriptionItem.objects.filter(
            is_active=True,
            subscription__is_current=True,
            subscription__status__in=EARNING,
            billing_plan_price__usage_type=UsageType.LICENSED,
        )
        .values(
            currency=F("billing_plan_price__currency"),
            interval=F("billing_plan_price__interval"),
            interval_count=F("billing_plan_price__interval_count"),
        )
        .annotate(minor=Sum(F("billing_plan_price__unit_amount_minor") * Coalesce("quantity", 1)))
        .order_by()
    )
    exact: defaultdict[str, Fraction] = defaultdict(Fraction)
    for row in items:
        exact[row["currency"]] += row["minor"] * PER_MONTH[row["interval"]] / row["interval_count"]
    return {currency: _half_up(worth) for currency, worth in exact.items()}


def _half_up(worth: Fraction) -> int:
    return (2 * worth.numerator + worth.denominator) // (2 * worth.denominator)


def _invoices(*, since: dt.datetime) -> Totals:
    totals: Totals = defaultdict(lambda: defaultdict(lambda: {"paid": 0, "failed": 0, "open": 0}))
    paid = Invoice.objects.filter(status=InvoiceStatus.PAID).alias(at=Coalesce("paid_at", "issued_at"))
    failed_payment = Payment.objects.filter(status=PaymentStatus.FAILED).values("invoice")
    is_failed = Q(status=InvoiceStatus.UNCOLLECTIBLE) | Q(status=InvoiceStatus.OPEN, pk__in=failed_payment)
    owed = Invoice.objects.filter(status__in=[InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE]).alias(
        at=F("issued_at")
    )
    for word, rows, amount in (
        ("paid", paid, "amount_paid_minor"),
        ("failed", owed.filter(is_failed), "amount_remaining_minor"),
        ("open", owed.exclude(is_failed), "amount_remaining_minor"),
    ):
        sums = (
            rows.filter(at__gte=since)
            .values("currency", month=TruncMonth("at", tzinfo=dt.UTC))
            .annotate(minor=Sum(amount))
            .order_by()
        )
        for row in sums:
            totals[row["currency"]][f"{row['month']:%Y-%m}"][word] += row["minor"]
    return totals


def _subscriptions() -> dict[str, int]:
    counted = Subscription.objects.filter(is_current=True).values_list("status").annotate(Count("pk"))
    found = dict(counted.order_by())
    return {status.value: found.get(status, 0) for status in CURRENT_SUBSCRIPTION}


def _blocked(now: dt.datetime) -> dict[str, int]:
    """Count what keeps entities from buying (6.1): an open session does until its end and the grace."""
    grace = dt.timedelta(seconds=settings.BILLING.expires_at_grace_seconds)
    is_over = Q(status=SessionStatus.OPEN, expires_at__lte=now - grace) | Q(
        status=SessionStatus.RECOVERY_VERIFICATION_PENDING, expires_at__lte=now
    )
    rows = CheckoutSession.objects.filter(~is_over, flow=Flow.SUBSCRIPTION, status__in=BLOCKING)
    found = dict(rows.values_list("status").annotate(Count("pk")).order_by())
    return {status.value: found.get(status, 0) for status in BLOCKING}


def _dead_letters() -> dict[str, int]:
    return {
        "outbox": BillingOutboxJob.objects.filter(status=JobStatus.DEAD_LETTER).count(),
        "remediations": Remediation.objects.filter(status=RemediationStatus.DEAD_LETTER).count(),
        "webhooks": StripeEventConsumption.objects.filter(
            consumer="checkout", status=ConsumptionStatus.DEAD
        ).count(),
    }


def _months_ago(now: dt.datetime, months: int) -> dt.datetime:
    """Give the first instant of the month so many months back."""
    index = now.year * 12 + now.month - 1 - months
    return dt.datetime(index // 12, index % 12 + 1, 1, tzinfo=dt.UTC)
