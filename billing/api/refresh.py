"""POST /api/billing/checkout/refresh"""

from django.http import HttpResponse

from billing import clock
from billing.api import serializers
from billing.api.base import WRITE, BillingRequest, BillingView
from billing.api.describing import describe
from billing.api.schema import Reader
from billing.services import refresh, snapshot
from settld.api.openapi import obj
from settld.api.responses import Json


class Refresh(BillingView):
    """POST /api/billing/checkout/refresh"""

    scopes = {"POST": WRITE}

    @describe(
        "Look again at the checkout that is open or completing",
        body=obj({}),
        answers={200: serializers.SNAPSHOT},
        refusals=(404,),
        description="Read the entity's blocking checkout session at the provider, at most once per ten"
        " seconds, take over what it says, and answer as GET /api/billing/subscription does. When the"
        " provider does not answer, the snapshot is what is known.",
        is_write=True,
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        Reader(request.body_json).finish()
        access = self.entity(request, write=True)
        refresh.refresh(entity=access.entity, now=clock.now())
        return Json(serializers.snapshot(snapshot.of(entity=access.entity)))
