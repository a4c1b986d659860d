"""What the current plan grants an entity, and how much of it is used up (spec 7.8)."""

import datetime as dt
from dataclasses import dataclass

from billing.models import BillableEntity, Subscription, UsageCounter
from billing.services import entitlements, windows
from billing.services.entitlements import Granted, Quota
from billing.services.windows import Window
from settld.core import transactions


@dataclass(frozen=True)
class QuotaUse:
    """A quota in its present window."""

    quota: Quota
    used: int
    window: Window

    @property
    def remaining(self) -> int:
        """Tell how much is left; never below zero."""
        return max(0, self.quota.limit - self.used)

    @property
    def is_reached(self) -> bool:
        """Tell whether nothing is left."""
        return self.used >= self.quota.limit

    @property
    def is_exceeded(self) -> bool:
        """Tell whether more was used than granted, as a soft quota allows."""
        return self.used > self.quota.limit


@dataclass(frozen=True)
class Limitation:
    """One entitlement, and for a quota how it stands."""

    granted: Granted
    quota: QuotaUse | None


@dataclass(frozen=True)
class Limitations:
    """Everything that limits an entity, by code; nothing does without a current subscription."""

    subscription: Subscription | None
    limitations: list[Limitation]


def of(*, entity: BillableEntity, now: dt.datetime) -> Limitations:
    """Read an entity's limitations as of one instant; EntitlementSchemaInvalid when one cannot be read.

    The tenant's scope is entered and no transaction is open.
    """
    with transactions.snapshot():
        subscription = (
            Subscription.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity, is_current=True)
            .select_related("plan")
            .prefetch_related("plan__entitlements")
            .first()
        )
        if subscription is None:
            return Limitations(None, [])
        granted = entitlements.of_plan(subscription.plan)
        present = {
            one.code: windows.of(one.quota.interval, now=now) for one in granted if one.quota is not None
        }
        used = _used(entity, present)
    return Limitations(
        subscription,
        [
            Limitation(
                one,
                QuotaUse(one.quota, used.get(one.code, 0), present[one.code]) if one.quota else None,
            )
            for one in granted
        ],
    )


def _used(entity: BillableEntity, present: dict[str, Window]) -> dict[str, int]:
    """Read the counters of the present windows in one query."""
    if not present:
        return {}
    counters = UsageCounter.objects.filter(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        entitlement_code__in=list(present),
        window_start_at__in={window.start_at for window in present.values()},
    )
    return {
        counter.entitlement_code: counter.usage_count
        for counter in counters
        if present[counter.entitlement_code] == Window(counter.window_start_at, counter.window_end_at)
    }
