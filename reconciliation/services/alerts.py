"""The mismatch alert: once per tenant and UTC day, when enough new cases came in."""

import datetime as dt
from typing import Final

from django.conf import settings
from prometheus_client import Counter

from moneyrails.models import MoneyRailControls
from reconciliation.models import Mismatch, MismatchAlert
from reconciliation.models.mismatch import OPEN
from reconciliation.states import SourceType
from settld.audit import services as audit
from settld.core import clock
from settld.core.principals import Actor

ACTION: Final = "MONEY_RAIL_MISMATCH_ALERT"
SOURCES: Final = (
    SourceType.MONEY_RAILS,
    SourceType.STRIPE_INBOX,
    SourceType.PROVIDER_STATEMENT,
    SourceType.FINANCE,
    SourceType.INVARIANT,
)
MOST_KEYS: Final = 200
GIVEN = Counter("money_rail_mismatch_alerts_total", "Mismatch alerts given")


def threshold(*, tenant_id: str) -> int:
    """Give how many new cases a day a tenant wants to be told of."""
    controls = MoneyRailControls.objects.filter(tenant_id=tenant_id).first()
    own = controls.daily_mismatch_alert_threshold if controls else None
    return own or int(settings.MISMATCH_ALERT_THRESHOLD)


def give_if_due(*, tenant_id: str, actor: Actor, now: dt.datetime) -> bool:
    """Alert when the unresolved cases first seen this UTC day reach the threshold, unless it was done.

    Joins the open transaction; alert row and audit row commit together, and of two transactions that
    both find it due one writes. The audit names the first keys by age, `count` counts all.
    """
    begins = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day_key = clock.day_key(now)
    if MismatchAlert.objects.filter(tenant_id=tenant_id, day_key=day_key).exists():
        return False
    cases = Mismatch.objects.filter(
        OPEN,
        tenant_id=tenant_id,
        source_type__in=SOURCES,
        first_seen_at__gte=begins,
        first_seen_at__lt=begins + dt.timedelta(days=1),
    )
    count, wanted = cases.count(), threshold(tenant_id=tenant_id)
    if count < wanted:
        return False
    alert = MismatchAlert(tenant_id=tenant_id, day_key=day_key, count=count, threshold=wanted, created_at=now)
    MismatchAlert.objects.bulk_create([alert], ignore_conflicts=True)
    if not MismatchAlert.objects.filter(pk=alert.pk).exists():
        return False
    audit.append(
        tenant_id=tenant_id,
        actor=actor,
        action=ACTION,
        target_type="money_rail_mismatch",
        target_id=day_key,
        details={
            "dayKey": day_key,
            "count": count,
            "threshold": wanted,
            "triageKeys": list(
                cases.order_by("first_seen_at", "triage_key").values_list("triage_key", flat=True)[:MOST_KEYS]
            ),
        },
        at=now,
    )
    GIVEN.inc()
    return True
