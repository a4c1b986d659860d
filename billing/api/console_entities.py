"""Entities as operators of the deployment see them: external ones, grants, active or not (section 3.6)"""

from typing import ClassVar

from django.http import HttpResponse

from billing.api import serializers
from billing.api.base import READ, WRITE, BillingRequest
from billing.api.console_base import ENTITIES, ConsoleView
from billing.api.describing import describe
from billing.api.schema import Reader
from billing.services import grants
from billing.states import EntityStatus, PrincipalType
from settld.api.openapi import BOOL, INSTANT, TEXT, many, maybe, obj, one_of
from settld.api.responses import Json
from settld.core import tenancy

_ENTITY = obj({"billableEntity": serializers.billable_entity.schema})
_GRANT = obj({"grant": serializers.grant.schema})


class ExternalEntities(ConsoleView):
    """POST /api/console/billing/entities"""

    permission = ENTITIES
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"POST": WRITE}

    @describe(
        "Register somebody outside whom a tenant bills",
        body=obj({"tenantId": TEXT, "namespace": TEXT, "externalId": TEXT}),
        answers={200: _ENTITY},
        of_entity=False,
        description="Register somebody outside whom a tenant bills. Nobody may act for the entity until a"
        " grant says so. Registering it again answers with the same entity.",
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        body = Reader(request.body_json)
        tenant_id = body.text("tenantId", most=200, required=True)
        namespace = body.text("namespace", most=40, required=True)
        external_id = body.text("externalId", most=140, required=True)
        if namespace and not grants.NAMESPACE.fullmatch(namespace):
            body.fault("namespace", "namespace may hold a-z, 0-9, dash and underscore.")
        body.finish()
        entity = grants.register(
            tenant_id=tenant_id, namespace=namespace, external_id=external_id, actor=request.actor
        )
        return Json({"billableEntity": serializers.billable_entity(entity)})


class OneEntity(ConsoleView):
    """PATCH /api/console/billing/entities/{entityId}"""

    permission = ENTITIES
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"PATCH": WRITE}

    @describe(
        "Let an entity be written for, or only read",
        body=obj({"status": one_of(*EntityStatus.values)}),
        answers={200: _ENTITY},
        of_entity=False,
    )
    def patch(self, request: BillingRequest, entity_id: int) -> HttpResponse:
        body = Reader(request.body_json)
        status = body.choice("status", tuple(EntityStatus.values), required=True)
        body.finish()
        entity = grants.set_status(entity_id=entity_id, status=EntityStatus(status), actor=request.actor)
        return Json({"billableEntity": serializers.billable_entity(entity)})


class Grants(ConsoleView):
    """GET, POST /api/console/billing/entities/{entityId}/grants"""

    permission = ENTITIES
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": READ, "POST": WRITE}

    @describe(
        "List who may act for an external entity",
        answers={200: obj({"grants": many(serializers.grant.schema)})},
        of_entity=False,
    )
    def get(self, request: BillingRequest, entity_id: int) -> HttpResponse:
        entity = grants.find(entity_id)
        with tenancy.tenant_scope(entity.tenant_id):
            return Json({"grants": serializers.grant.all(grants.of(entity)[:500])})

    @describe(
        "Let a person or an API client act for an external entity",
        body=obj(
            {
                "principalType": one_of(*PrincipalType.values),
                "principalId": TEXT,
                "canManage": maybe(BOOL),
                "expiresAt": maybe(INSTANT),
            },
            optional=("canManage", "expiresAt"),
        ),
        answers={200: _GRANT},
        refusals=(409,),
        of_entity=False,
        description="Let a principal read an external entity, and write for it with canManage. A person is"
        " named by their user id, an API client by `<tenant>:auth:<key id>`.",
    )
    def post(self, request: BillingRequest, entity_id: int) -> HttpResponse:
        body = Reader(request.body_json)
        principal_type = body.choice("principalType", tuple(PrincipalType.values), required=True)
        principal_id = body.text("principalId", most=191, required=True)
        can_manage = body.boolean("canManage", default=False)
        expires_at = body.instant("expiresAt")
        body.finish()
        grant = grants.give(
            entity_id=entity_id,
            principal_type=PrincipalType(principal_type),
            principal_id=principal_id,
            can_manage=can_manage,
            expires_at=expires_at,
            actor=request.actor,
        )
        return Json({"grant": serializers.grant(grant)})


class GrantRevoke(ConsoleView):
    """POST /api/console/billing/entities/{entityId}/grants/{grantId}/revoke"""

    permission = ENTITIES
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"POST": WRITE}

    @describe("End a grant", answers={200: _GRANT}, of_entity=False, is_write=True)
    def post(self, request: BillingRequest, entity_id: int, grant_id: int) -> HttpResponse:
        Reader(request.body_json).finish()
        grant = grants.revoke(entity_id=entity_id, grant_id=grant_id, actor=request.actor)
        return Json({"grant": serializers.grant(grant)})
