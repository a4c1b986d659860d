"""Why a use is not counted or not allowed (spec 7.8)."""

import datetime as dt
from typing import Any

from billing.services.entitlements import Quota
from billing.services.windows import Window
from settld.core import clock
from settld.core.errors import Conflict, Invalid, NotFound, Refusal


class AmountInvalid(Invalid):
    """An amount is a positive whole number."""

    code = "VALIDATION_ERROR"
    message = "Validation failed."

    def __init__(self) -> None:
        super().__init__(details={"fieldErrors": {"amount": "amount must be a positive integer."}})


class SubscriptionRequired(Conflict):
    """There is no current subscription to count for."""

    code = "BILLING_SUBSCRIPTION_REQUIRED"
    message = "The billable entity has no current subscription."


class EntitlementUnknown(NotFound):
    """The plan has no such entitlement."""

    code = "BILLING_ENTITLEMENT_NOT_FOUND"
    message = "The plan has no such entitlement."


class EntitlementNotQuota(Conflict):
    """The entitlement is nothing that is counted."""

    code = "BILLING_ENTITLEMENT_NOT_QUOTA"
    message = "The entitlement is not a quota."


class LimitNotConfigured(Conflict):
    """The plan does not say how much there is of it."""

    code = "BILLING_LIMIT_NOT_CONFIGURED"
    message = "The limit is not configured for the current plan."


class LimitExceeded(Refusal):
    """The plan does not cover it: quota_exceeded, feature_disabled or subscription_required.

    Details say which limit and how much of it is used; a quota's refusal has a Retry-After.
    """

    status = 429
    code = "BILLING_LIMIT_EXCEEDED"
    message = "The plan's limit is reached."

    @classmethod
    def without_quota(
        cls, *, reason: str, limitation_code: str, billable_entity_id: int, amount: int
    ) -> "LimitExceeded":
        """Refuse for good, until the plan changes."""
        return cls(details=_details(reason, limitation_code, billable_entity_id, amount))

    @classmethod
    def by_quota(
        cls,
        *,
        limitation_code: str,
        billable_entity_id: int,
        amount: int,
        quota: Quota,
        used: int,
        window: Window,
        now: dt.datetime,
    ) -> "LimitExceeded":
        """Refuse until the window ends."""
        seconds = window.seconds_left(now=now)
        details = _details("quota_exceeded", limitation_code, billable_entity_id, amount) | {
            "limit": quota.limit,
            "used": used,
            "remaining": max(0, quota.limit - used),
            "interval": quota.interval,
            "enforcement": quota.enforcement,
            "windowEndAt": clock.iso(window.end_at),
            "retryAfterSeconds": seconds,
        }
        return cls(details=details, headers={"Retry-After": str(seconds)})


def _details(reason: str, limitation_code: str, billable_entity_id: int, amount: int) -> dict[str, Any]:
    unknown = dict.fromkeys(
        ("limit", "used", "remaining", "interval", "enforcement", "windowEndAt", "retryAfterSeconds")
    )
    return {
        "limitationCode": limitation_code,
        "billableEntityId": billable_entity_id,
        "reason": reason,
        "requestedAmount": amount,
    } | unknown
