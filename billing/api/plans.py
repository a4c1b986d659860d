"""GET /api/billing/plans"""

from django.conf import settings
from django.http import HttpResponse

from billing.api import serializers
from billing.api.base import BillingRequest, BillingView
from billing.api.describing import describe
from billing.queries import catalog
from billing.services import entitlements
from settld.api.openapi import many, obj
from settld.api.responses import Json


class Plans(BillingView):
    """GET /api/billing/plans"""

    @describe(
        "List the plans that can be bought, and the entity's current one",
        answers={200: obj({"plans": many(serializers.PLAN)})},
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        access = self.entity(request)
        plans = catalog.offered_to(access.entity, provider=settings.BILLING.provider)
        for plan in plans:
            entitlements.of_plan(plan)  # a plan that cannot be read is not offered either
        return Json(
            {"plans": [serializers.plan(plan, core_price=catalog.core_price(plan)) for plan in plans]}
        )
