"""What a month's use costs under a plan (settld-billing-and-finance 1.2, 2.3). Whole numbers only."""

from dataclasses import dataclass
from typing import Any

from billing.plans.catalog import Plan, rate_json
from settld.core.money import exact
from settld.metering.queries import Usage


@dataclass(frozen=True)
class Estimate:
    """The four charges of a month. Units: whole cents; runs above the allowance; milli-cents for them."""

    plan: Plan
    overage_units: int
    overage_millicents: int
    overage_cents: int
    volume_fee_cents: int
    arbitration_fee_cents: int

    @property
    def total_cents(self) -> int:
        """Add the subscription and the three charges."""
        charges = self.overage_cents + self.volume_fee_cents + self.arbitration_fee_cents
        return self.plan.subscription_cents + charges

    def as_json(self) -> dict[str, Any]:
        """Shape the estimate for the wire; a sum beyond 2^53-1 is a text of digits."""
        plan = self.plan
        return {
            "subscriptionCents": plan.subscription_cents,
            "includedVerifiedRunsPerMonth": plan.included_verified_runs_per_month,
            "verifiedRunOverageUnits": exact(self.overage_units),
            "verifiedRunOverageCents": exact(self.overage_cents),
            "verifiedRunOverageMilliCents": exact(self.overage_millicents),
            "verifiedRunOverageCentsPerUnit": rate_json(plan.verified_run_overage_millicents),
            "verifiedRunOverageMilliCentsPerUnit": plan.verified_run_overage_millicents,
            "settledVolumeFeeBps": plan.settled_volume_fee_bps,
            "settledVolumeFeeCents": exact(self.volume_fee_cents),
            "arbitrationCaseFeeCents": plan.arbitration_case_fee_cents,
            "arbitrationFeeCents": exact(self.arbitration_fee_cents),
            "totalEstimatedCents": exact(self.total_cents),
        }


def price(plan: Plan, usage: Usage) -> Estimate:
    """Price a month's use.

    Overage is rounded half up to cents once, on the total; the volume fee is rounded down once, on the
    period's total.
    """
    units = max(0, usage.verified_runs - plan.included_verified_runs_per_month)
    overage_millicents = units * plan.verified_run_overage_millicents
    return Estimate(
        plan=plan,
        overage_units=units,
        overage_millicents=overage_millicents,
        overage_cents=(overage_millicents + 500) // 1000,
        volume_fee_cents=usage.settled_volume_cents * plan.settled_volume_fee_bps // 10_000,
        arbitration_fee_cents=usage.arbitration_cases * plan.arbitration_case_fee_cents,
    )


def enforcement_json(plan: Plan, usage: Usage, *, is_enforced: bool) -> dict[str, Any]:
    """Tell what is left under the plan's hard limit, and whether one more run would be refused."""
    limit = plan.hard_limit_verified_runs_per_month
    return {
        "hardLimitVerifiedRunsPerMonth": limit,
        "hardLimitEnforced": is_enforced,
        "hardLimitRemainingVerifiedRuns": max(0, limit - usage.verified_runs) if limit else None,
        "wouldBlockNextVerifiedRun": is_enforced and 0 < limit < usage.verified_runs + 1,
    }


def usage_json(usage: Usage) -> dict[str, Any]:
    """Shape a month's use; volume in other currencies stands apart and is not billed."""
    shaped = {
        "eventCount": usage.event_count,
        "eventTypeCounts": {
            "verified_run": exact(usage.verified_runs),
            "settled_volume": exact(usage.settlements),
            "arbitration_usage": exact(usage.arbitration_cases),
        },
        "verifiedRuns": exact(usage.verified_runs),
        "settledVolumeCents": exact(usage.settled_volume_cents),
        "arbitrationCases": exact(usage.arbitration_cases),
    }
    if usage.unbilled_volume:
        shaped["unbilledVolumeByCurrency"] = {
            currency: exact(amount) for currency, amount in usage.unbilled_volume.items()
        }
    return shaped
