"""The plan catalog and the arithmetic of overrides (settld-billing-and-finance 1.1-1.4).

A rate in cents may have three decimals; inside it is always whole milli-cents.
"""

from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any, Final

from settld.core import money

SCHEMA: Final = "BillingPlanCatalog.v1"
BPS_MOST: Final = 10_000


@dataclass(frozen=True)
class Plan:
    """One row of the catalog, or one with a tenant's overrides applied; a limit of 0 is none."""

    plan_id: str
    display_name: str
    subscription_cents: int
    included_verified_runs_per_month: int
    verified_run_overage_millicents: int
    settled_volume_fee_bps: int
    arbitration_case_fee_cents: int
    hard_limit_verified_runs_per_month: int

    def as_json(self) -> dict[str, Any]:
        """Shape the plan for the wire."""
        values = asdict(self)
        return {"planId": self.plan_id, "displayName": self.display_name} | _with_both_rates(
            {key: values[field] for key, field in FIELDS.items()}
        )


FIELDS: Final[dict[str, str]] = {
    "subscriptionCents": "subscription_cents",
    "includedVerifiedRunsPerMonth": "included_verified_runs_per_month",
    "verifiedRunOverageMilliCents": "verified_run_overage_millicents",
    "settledVolumeFeeBps": "settled_volume_fee_bps",
    "arbitrationCaseFeeCents": "arbitration_case_fee_cents",
    "hardLimitVerifiedRunsPerMonth": "hard_limit_verified_runs_per_month",
}
RATE, MILLI_RATE = "verifiedRunOverageCents", "verifiedRunOverageMilliCents"

CATALOG: Final[dict[str, Plan]] = {
    plan.plan_id: plan
    for plan in (
        Plan("free", "Free", 0, 1_000, 0, 0, 0, 1_000),
        Plan("builder", "Builder", 9_900, 10_000, 1_000, 75, 200, 0),
        Plan("growth", "Growth", 59_900, 100_000, 700, 45, 100, 0),
        Plan("enterprise", "Enterprise", 0, 0, 0, 35, 0, 0),
    )
}
DEFAULT_PLAN: Final = "free"
NOT_ENTITLING: Final = frozenset(
    {"incomplete", "incomplete_expired", "unpaid", "paused", "canceled", "cancelled", "ended", "terminated"}
)


class BadOverrides(ValueError):
    """The overrides cannot be applied; the text says why."""


def catalog_json() -> dict[str, Any]:
    """Shape the catalog for the wire."""
    return {"schemaVersion": SCHEMA, "plans": {plan_id: plan.as_json() for plan_id, plan in CATALOG.items()}}


def resolve(plan_id: str, overrides: dict[str, int] | None) -> Plan:
    """Apply a tenant's stored overrides to a plan of the catalog."""
    changes: dict[str, Any] = {FIELDS[key]: value for key, value in (overrides or {}).items()}
    return replace(CATALOG[plan_id], **changes)


def overrides_json(overrides: dict[str, int] | None) -> dict[str, Any] | None:
    """Shape stored overrides for the wire; the overage rate appears in both of its units."""
    return None if overrides is None else _with_both_rates(overrides)


def read_overrides(value: Any) -> dict[str, int] | None:
    """Read `planOverrides` into whole numbers, the overage rate in milli-cents.

    Raises BadOverrides for what cannot be applied. Unknown keys are dropped.
    Either overage field gives the rate; both together must agree.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadOverrides("planOverrides must be an object or null")
    overrides = {key: _whole(key, value[key]) for key in FIELDS if key in value}
    if overrides.get("settledVolumeFeeBps", 0) > BPS_MOST:
        raise BadOverrides(f"settledVolumeFeeBps must be at most {BPS_MOST}")
    if RATE in value:
        rate = _milli(value[RATE])
        if overrides.setdefault(MILLI_RATE, rate) != rate:
            raise BadOverrides(f"{RATE} and {MILLI_RATE} differ")
    return overrides


def entitles(status: str | None) -> bool:
    """Tell whether a subscription with this status gives its plan to the tenant (1.4.2)."""
    return (status or "").strip().lower() not in NOT_ENTITLING


def rate_json(millicents: int) -> int | float:
    """Write a rate of milli-cents in cents; JSON has no decimals, so a fraction is the shortest number."""
    return millicents // 1000 if millicents % 1000 == 0 else millicents / 1000


def _whole(key: str, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        value = int(value)
    if not money.is_minor(value) or value < 0:
        raise BadOverrides(f"{key} must be a whole number, zero or more")
    return int(value)


def _milli(value: Any) -> int:
    """Turn a rate in cents into milli-cents; its decimal digits count, not its binary value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadOverrides(f"{RATE} must be a number")
    milli = Decimal(str(value)) * 1000
    if not milli.is_finite() or milli < 0 or milli > money.MAX_MINOR or milli != milli.to_integral_value():
        raise BadOverrides(f"{RATE} must be zero or more, with at most three decimals")
    return int(milli)


def _with_both_rates(values: dict[str, int]) -> dict[str, Any]:
    """Add the overage rate in cents before the one in milli-cents."""
    shaped: dict[str, Any] = {}
    for key, value in values.items():
        if key == MILLI_RATE:
            shaped[RATE] = rate_json(value)
        shaped[key] = value
    return shaped
