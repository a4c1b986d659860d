"""POST /api/billing/portal"""

from typing import Final

from django.http import HttpResponse

from billing import clock
from billing.api import idempotency_key, paths
from billing.api.base import WRITE, BillingRequest, BillingView
from billing.api.describing import describe
from billing.api.schema import Reader
from billing.services import portal
from settld.api.openapi import TEXT, obj
from settld.api.responses import Json

BODY: Final = obj({"returnPath": TEXT})
ANSWER: Final = obj({"provider": TEXT, "portalSession": obj({"id": TEXT, "url": TEXT})})


class Portal(BillingView):
    """POST /api/billing/portal"""

    scopes = {"POST": WRITE}

    @describe(
        "Open the provider's portal for the entity's subscription",
        body=BODY,
        answers={200: ANSWER},
        refusals=(404, 502),
        description="Make a portal session, or replay the one that the Idempotency-Key names, and answer with"
        " the address to send the person to. There the live subscription is changed or cancelled. 409"
        " `portal_subscription_required` without one; 409 `request_in_progress` while nothing is known.",
        with_key=True,
        is_write=True,
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        body = Reader(request.body_json)
        return_path = body.path("returnPath")
        body.finish()
        client_key = idempotency_key.required(request)
        checked = paths.require(returnPath=return_path)
        access = self.entity(request, write=True)
        answer = portal.start(
            tenant_id=access.tenant_id,
            entity_id=access.entity.pk,
            client_key=client_key,
            return_path=checked["returnPath"],
            now=clock.now(),
        )
        return Json(answer.body, status=answer.status, headers=answer.headers)
