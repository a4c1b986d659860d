"""GET /api/billing/limitations"""

from typing import Any

from django.http import HttpResponse

from billing import clock
from billing.api import serializers
from billing.api.base import BillingRequest, BillingView
from billing.api.describing import describe
from billing.services import entitlements, limitations
from billing.services.limitations import Limitation, QuotaUse
from settld.api.openapi import BOOL, INSTANT, OBJECT, TEXT, many, maybe, obj, one_of
from settld.api.responses import Json
from settld.core import clock as wire

_QUOTA = obj(
    {
        "interval": one_of(*entitlements.INTERVALS),
        "enforcement": one_of(*entitlements.ENFORCEMENTS),
        "limit": serializers.ID,
        "used": serializers.ID,
        "remaining": serializers.ID,
        "reached": BOOL,
        "exceeded": BOOL,
        "windowStartAt": INSTANT,
        "windowEndAt": INSTANT,
    }
)
_LIMITATION = obj(
    {
        "code": TEXT,
        "schemaVersion": TEXT,
        "type": one_of(*entitlements.TYPES.values()),
        "valueJson": OBJECT,
        "enabled": BOOL,
        "values": many(TEXT),
        "quota": _QUOTA,
    },
    optional=("enabled", "values", "quota"),
)


class CurrentLimitations(BillingView):
    """GET /api/billing/limitations"""

    @describe(
        "Show what the current plan grants and how much of it is used",
        answers={
            200: obj(
                {
                    "billableEntity": serializers.billable_entity.schema,
                    "subscription": maybe(serializers.subscription.schema),
                    "generatedAt": INSTANT,
                    "limitations": many(_LIMITATION),
                }
            )
        },
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        access = self.entity(request)
        now = clock.now()
        found = limitations.of(entity=access.entity, now=now)
        return Json(
            {
                "billableEntity": serializers.billable_entity(access.entity),
                "subscription": serializers.subscription(found.subscription) if found.subscription else None,
                "generatedAt": wire.iso(now),
                "limitations": [_limitation(one) for one in found.limitations],
            }
        )


def _limitation(one: Limitation) -> dict[str, Any]:
    granted = one.granted
    body: dict[str, Any] = {
        "code": granted.code,
        "schemaVersion": granted.schema_version,
        "type": granted.type,
        "valueJson": granted.value_json,
    }
    if granted.enabled is not None:
        body["enabled"] = granted.enabled
    if granted.values is not None:
        body["values"] = list(granted.values)
    if one.quota is not None:
        body["quota"] = _quota(one.quota)
    return body


def _quota(use: QuotaUse) -> dict[str, Any]:
    return {
        "interval": use.quota.interval,
        "enforcement": use.quota.enforcement,
        "limit": use.quota.limit,
        "used": use.used,
        "remaining": use.remaining,
        "reached": use.is_reached,
        "exceeded": use.is_exceeded,
        "windowStartAt": wire.iso(use.window.start_at),
        "windowEndAt": wire.iso(use.window.end_at),
    }
