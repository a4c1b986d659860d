"""GET /api/billing/subscription"""

from django.http import HttpResponse

from billing.api import serializers
from billing.api.base import BillingRequest, BillingView
from billing.api.describing import describe
from billing.services import snapshot
from settld.api.responses import Json


class CurrentSubscription(BillingView):
    """GET /api/billing/subscription"""

    @describe(
        "Show the entity's current subscription with its items, invoices and payments",
        answers={200: serializers.SNAPSHOT},
        description="Show the entity's current subscription, its customer and items, its 25 newest invoices"
        " and their payments, all read as of one instant. Without a subscription: null, the primary"
        " customer, and empty lists.",
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        access = self.entity(request)
        return Json(serializers.snapshot(snapshot.of(entity=access.entity)))
