"""/ops/api-keys and its alias /ops/auth-keys"""

from typing import Any

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock
from settld.idempotency.http import idempotent
from settld.tenants.models import AuthKey
from settld.tenants.services import keys

NO_STORE = {"cache-control": "no-store"}
KEY = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "keyId": openapi.TEXT,
        "status": openapi.one_of("active", "rotated", "revoked"),
        "scopes": openapi.many(openapi.TEXT),
        "description": openapi.maybe(openapi.TEXT),
    }
    | {
        name: openapi.maybe(openapi.INSTANT)
        for name in ("expiresAt", "createdAt", "updatedAt", "lastUsedAt", "rotatedAt", "revokedAt")
    }
)
SECRET = {"secret": openapi.maybe(openapi.TEXT), "token": openapi.maybe(openapi.TEXT)}


def as_json(key: AuthKey) -> dict[str, Any]:
    """Shape a key for the wire, without its hash."""
    return {
        "tenantId": key.tenant_id,
        "keyId": key.key_id,
        "status": key.status,
        "scopes": key.scopes,
        "description": key.description or None,
        "expiresAt": clock.iso(key.expires_at),
        "createdAt": clock.iso(key.created_at),
        "updatedAt": clock.iso(key.updated_at),
        "lastUsedAt": clock.iso(key.last_used_at),
        "rotatedAt": clock.iso(key.rotated_at),
        "revokedAt": clock.iso(key.revoked_at),
    }


def without_secret(data: dict[str, Any]) -> dict[str, Any]:
    """Null what may be shown only once, before a reply is stored."""
    return data | {"secret": None, "token": None}


class AuthKeys(OpsView):
    """GET, POST /ops/api-keys"""

    scopes = {"GET": ("ops_read",), "POST": ("ops_write",)}

    @openapi.describe(
        "List the tenant's API keys",
        answers={200: openapi.obj({"apiKeys": openapi.many(KEY), "authKeys": openapi.many(KEY)})},
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        rows = AuthKey.objects.filter(tenant_id=request.tenant_id).order_by("created_at", "key_id")[:1000]
        listed = [as_json(key) for key in rows]
        return Json({"apiKeys": listed, "authKeys": listed})

    @openapi.describe(
        "Make an API key; the secret is shown once",
        body=openapi.obj(
            {
                "scopes": openapi.many(openapi.TEXT),
                "keyId": openapi.maybe(openapi.TEXT),
                "expiresAt": openapi.maybe(openapi.INSTANT),
                "description": openapi.maybe(openapi.TEXT),
            },
            optional=("keyId", "expiresAt", "description"),
        ),
        answers={
            201: openapi.obj(
                {
                    "tenantId": openapi.TEXT,
                    "keyId": openapi.TEXT,
                    **SECRET,
                    "scopes": openapi.many(openapi.TEXT),
                    "expiresAt": openapi.maybe(openapi.INSTANT),
                    "description": openapi.maybe(openapi.TEXT),
                }
            )
        },
        idempotent=True,
    )
    @idempotent(stored_form=without_secret)
    def post(self, request: OpsRequest) -> HttpResponse:
        body = Body(request.body_json)
        scopes = keys.clean_scopes(request.body_json.get("scopes"))
        keys.require_delegable(grantor=request.principal, scopes=scopes)
        made = keys.create(
            tenant_id=request.tenant_id,
            scopes=scopes,
            key_id=body.text("keyId"),
            expires_at=body.instant("expiresAt"),
            description=body.text("description") or "",
            actor=request.actor,
            now=request.received_at,
        )
        return Json(
            {
                "tenantId": made.key.tenant_id,
                "keyId": made.key.key_id,
                "secret": made.secret,
                "token": made.token,
                "scopes": made.key.scopes,
                "expiresAt": clock.iso(made.key.expires_at),
                "description": made.key.description or None,
            },
            status=201,
            headers=NO_STORE,
        )


class RotateAuthKey(OpsView):
    """POST /ops/api-keys/{keyId}/rotate"""

    scopes = {"POST": ("ops_write",)}

    @openapi.describe(
        "Replace an API key; the old one works for graceSeconds more",
        body=openapi.obj(
            {
                "graceSeconds": {"type": "integer", "minimum": 0, "maximum": 86400},
                "expiresAt": openapi.maybe(openapi.INSTANT),
            },
            optional=("graceSeconds", "expiresAt"),
        ),
        answers={
            201: openapi.obj(
                {
                    "tenantId": openapi.TEXT,
                    "rotatedAt": openapi.INSTANT,
                    "oldKeyId": openapi.TEXT,
                    "newKeyId": openapi.TEXT,
                    **SECRET,
                    "scopes": openapi.many(openapi.TEXT),
                }
            )
        },
        idempotent=True,
    )
    @idempotent(stored_form=without_secret)
    def post(self, request: OpsRequest, key_id: str) -> HttpResponse:
        body = Body(request.body_json)
        made = keys.rotate(
            tenant_id=request.tenant_id,
            key_id=key_id,
            grace_seconds=body.integer("graceSeconds", default=0, least=0, most=keys.MAX_GRACE_SECONDS) or 0,
            expires_at=body.instant("expiresAt"),
            has_expiry=body.has("expiresAt"),
            grantor=request.principal,
            actor=request.actor,
            now=request.received_at,
        )
        return Json(
            {
                "tenantId": made.key.tenant_id,
                "rotatedAt": clock.iso(request.received_at),
                "oldKeyId": key_id,
                "newKeyId": made.key.key_id,
                "secret": made.secret,
                "token": made.token,
                "scopes": made.key.scopes,
            },
            status=201,
            headers=NO_STORE,
        )


class RevokeAuthKey(OpsView):
    """POST /ops/api-keys/{keyId}/revoke"""

    scopes = {"POST": ("ops_write",)}

    @openapi.describe(
        "End an API key for good", answers={200: openapi.obj({"authKey": KEY})}, idempotent=True
    )
    @idempotent
    def post(self, request: OpsRequest, key_id: str) -> HttpResponse:
        key = keys.revoke(
            tenant_id=request.tenant_id, key_id=key_id, actor=request.actor, now=request.received_at
        )
        return Json({"authKey": as_json(key)})
