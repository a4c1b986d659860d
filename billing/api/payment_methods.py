"""GET /api/billing/payment-methods and POST /api/billing/payment-methods/sync"""

from typing import Any, Final

from django.http import HttpResponse

from billing import clock
from billing.api import serializers
from billing.api.base import WRITE, BillingRequest, BillingView
from billing.api.describing import describe
from billing.api.schema import Reader
from billing.models import BillableEntity
from billing.queries import payment_methods as queries
from billing.services import payment_methods
from settld.api.openapi import INSTANT, INT, many, obj, one_of
from settld.api.responses import Json
from settld.core import clock as wire

LIST: Final = {
    "billableEntity": serializers.billable_entity.schema,
    "paymentMethods": many(serializers.payment_method.schema),
}


class PaymentMethods(BillingView):
    """GET /api/billing/payment-methods"""

    @describe(
        "List the active payment methods, the default one first",
        answers={200: obj(LIST)},
        refusals=(404,),
        description="List what the entity's primary customer can pay with, at most 50; as of the last sync"
        " and the events since.",
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        return Json(_list(self.entity(request).entity))


class SyncPaymentMethods(BillingView):
    """POST /api/billing/payment-methods/sync"""

    scopes = {"POST": WRITE}

    @describe(
        "Read the payment methods again from the provider",
        body=obj({}),
        answers={
            200: obj(
                LIST
                | {
                    "syncedAt": INSTANT,
                    "syncStatus": one_of("succeeded", "skipped"),
                    "fetchedCount": INT,
                }
            )
        },
        refusals=(404, 502),
        description="Bring the payment methods up to what the provider has; `skipped` without a primary"
        " customer. When the provider does not tell all of them, nothing changes: 502"
        " `payment_method_sync_failed`.",
        is_write=True,
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        Reader(request.body_json).finish()
        access = self.entity(request, write=True)
        synced = payment_methods.sync(
            tenant_id=access.tenant_id, entity_id=access.entity.pk, profile="request", now=clock.now()
        )
        told = {
            "syncedAt": wire.iso(synced.synced_at),
            "syncStatus": synced.status.value,
            "fetchedCount": synced.fetched_count,
        }
        return Json(_list(access.entity) | told)


def _list(entity: BillableEntity) -> dict[str, Any]:
    return {
        "billableEntity": serializers.billable_entity(entity),
        "paymentMethods": serializers.payment_method.all(queries.usable(entity)),
    }
