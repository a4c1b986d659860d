"""GET, POST /api/billing/entities"""

from typing import Any, ClassVar

from django.http import HttpResponse

from billing.api import serializers
from billing.api.base import READ, WRITE, BillingRequest, BillingView
from billing.api.describing import describe
from billing.api.schema import Reader
from billing.queries.entities import LARGEST_ID
from billing.services import entities, policy
from billing.services.policy_refusals import EntityForbidden
from billing.states import EntityType
from settld.api.openapi import BOOL, many, obj, one_of
from settld.api.responses import Json

_ACCESS = obj(serializers.billable_entity.schema["properties"] | {"canManage": BOOL})


class Entities(BillingView):
    """GET, POST /api/billing/entities"""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": READ, "POST": WRITE}

    @describe(
        "List the billable entities that the caller may select",
        answers={200: obj({"entities": many(_ACCESS)})},
        of_entity=False,
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        return Json({"entities": [_access(access) for access in policy.selectable(request.caller)]})

    @describe(
        "Make the billable entity of an organization that the caller owns",
        body=obj({"entityType": one_of("organization"), "organizationId": serializers.ID}),
        answers={200: obj({"billableEntity": _ACCESS})},
        of_entity=False,
        refusals=(409,),
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        body = Reader(request.body_json)
        body.choice("entityType", (EntityType.ORGANIZATION.value,), required=True)
        organization_id = body.integer("organizationId", least=1, most=LARGEST_ID, required=True)
        body.finish()
        if request.caller.user_id is None:
            raise EntityForbidden()
        made = entities.of_organization(organization_id=organization_id, user_id=request.caller.user_id)
        return Json({"billableEntity": _access(policy.EntityAccess(made, can_manage=True))})


def _access(access: policy.EntityAccess) -> dict[str, Any]:
    return serializers.billable_entity(access.entity) | {"canManage": access.can_manage}
