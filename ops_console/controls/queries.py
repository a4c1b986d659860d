"""What the controls page counts; each function is a fixed number of queries over one tenant's rows."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum

from moneyrails import states
from moneyrails.models import ExposureCounter, Operation, PayoutOutcome
from settld.audit.models import OpsAudit
from settld.closing import queries as closing
from settld.closing.models import PartyStatement
from settld.core import clock

ACTIONS: Final = (
    "BILLING_PLAN_UPSERT",
    "PAYOUT_KILL_SWITCH_ENGAGED",
    "PAYOUT_KILL_SWITCH_EXTENDED",
    "PAYOUT_KILL_SWITCH_LIFTED",
)
PAYS_OUT: Final = ("operator", "subcontractor")


@dataclass(frozen=True)
class Usage:
    """What counts today in one mode."""

    mode: str
    amount_cents: int
    count: int
    largest_cents: int


def usage(*, tenant_id: str, now: dt.datetime) -> list[Usage]:
    """Give today's exposure and largest payout of each mode that is configured or used."""
    day = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    held = {
        row.provider_mode: row
        for row in ExposureCounter.objects.filter(tenant_id=tenant_id, day_key=clock.day_key(now))
    }
    largest = dict(
        Operation.objects.filter(
            tenant_id=tenant_id, direction="payout", initiated_at__gte=day, state__in=sorted(states.EXPOSED)
        )
        .values_list("provider_mode")
        .annotate(largest=Max("amount_cents"))
        .order_by()
    )
    modes = {provider.mode for provider in settings.MONEY_RAILS.providers.values()}
    return [
        Usage(
            mode,
            held[mode].amount_cents if mode in held else 0,
            held[mode].operation_count if mode in held else 0,
            largest.get(mode) or 0,
        )
        for mode in sorted({*modes, *held})
    ]


def history(*, tenant_id: str, before_id: int | None, size: int) -> list[OpsAudit]:
    """Read the newest changes of the rules; each action has an index, so depth costs nothing."""
    found: list[OpsAudit] = []
    for action in ACTIONS:
        rows = OpsAudit.objects.filter(tenant_id=tenant_id, action=action)
        if before_id is not None:
            rows = rows.filter(id__lt=before_id)
        found += rows.order_by("-id")[:size]
    return sorted(found, key=lambda row: -row.id)[:size]


# --- What a change would hold back ----------------------------------------------------------------
@dataclass(frozen=True)
class Tally:
    """How many payouts, and how much."""

    count: int
    cents: int


def waiting_payouts(*, tenant_id: str) -> QuerySet[Operation]:
    """Select payouts that are enqueued and not sent."""
    return Operation.objects.filter(tenant_id=tenant_id, direction="payout", state="initiated")


def tally(rows: QuerySet[Any], *, amount: str) -> Tally:
    """Count rows and add their amounts up."""
    found = rows.aggregate(count=Count("pk"), cents=Sum(amount))
    return Tally(found["count"], int(found["cents"] or 0))


def production_providers() -> list[str]:
    """Name the providers that move real money."""
    return [row.provider_id for row in settings.MONEY_RAILS.providers.values() if row.is_production]


def due_statements(*, tenant_id: str) -> QuerySet[PartyStatement]:
    """Select closed statements with something to pay and no payout yet."""
    paid = PayoutOutcome.objects.filter(
        tenant_id=tenant_id, party_id=OuterRef("party_id"), period=OuterRef("period")
    )
    rows = closing.current(tenant_id=tenant_id).filter(
        Q(party_role__in=PAYS_OUT), status="CLOSED", payout_cents__gt=0
    )
    return rows.filter(~Exists(paid))
