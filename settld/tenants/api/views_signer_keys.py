"""/ops/signer-keys"""

from typing import Any

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock
from settld.idempotency.http import idempotent
from settld.tenants.models import SignerKey
from settld.tenants.models.signer_keys import SignerPurpose, SignerStatus
from settld.tenants.services import signer_keys

PURPOSES, STATUSES = tuple(SignerPurpose.values), tuple(SignerStatus.values)
KEY = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "keyId": openapi.TEXT,
        "publicKeyPem": openapi.TEXT,
        "purpose": openapi.one_of(*PURPOSES),
        "status": openapi.one_of(*STATUSES),
        "description": openapi.maybe(openapi.TEXT),
    }
    | {
        name: openapi.maybe(openapi.INSTANT)
        for name in ("validFrom", "validTo", "createdAt", "updatedAt", "rotatedAt", "revokedAt")
    }
)
ONE = openapi.obj({"signerKey": KEY})


def as_json(key: SignerKey) -> dict[str, Any]:
    """Shape a signer key for the wire."""
    return {
        "tenantId": key.tenant_id,
        "keyId": key.key_id,
        "publicKeyPem": key.public_key_pem,
        "purpose": key.purpose,
        "status": key.status,
        "description": key.description or None,
        "validFrom": clock.iso(key.valid_from),
        "validTo": clock.iso(key.valid_to),
        "createdAt": clock.iso(key.created_at),
        "updatedAt": clock.iso(key.updated_at),
        "rotatedAt": clock.iso(key.rotated_at),
        "revokedAt": clock.iso(key.revoked_at),
    }


class SignerKeys(OpsView):
    """GET, POST /ops/signer-keys"""

    scopes = {"GET": ("ops_read",), "POST": ("ops_write",)}

    @openapi.describe(
        "List the tenant's signer keys", answers={200: openapi.obj({"signerKeys": openapi.many(KEY)})}
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        rows = SignerKey.objects.filter(tenant_id=request.tenant_id).order_by("created_at", "key_id")[:1000]
        return Json({"signerKeys": [as_json(key) for key in rows]})

    @openapi.describe(
        "Register an Ed25519 public key; the same again is 200",
        body=openapi.obj(
            {
                "publicKeyPem": openapi.TEXT,
                "keyId": openapi.maybe(openapi.TEXT),
                "purpose": openapi.one_of(*PURPOSES),
                "status": openapi.one_of(*STATUSES),
                "description": openapi.maybe(openapi.TEXT),
                "validFrom": openapi.maybe(openapi.INSTANT),
                "validTo": openapi.maybe(openapi.INSTANT),
            },
            optional=("keyId", "purpose", "status", "description", "validFrom", "validTo"),
        ),
        answers={200: ONE, 201: ONE},
        idempotent=True,
    )
    @idempotent
    def post(self, request: OpsRequest) -> HttpResponse:
        body = Body(request.body_json)
        key, is_new = signer_keys.register(
            tenant_id=request.tenant_id,
            wish=signer_keys.Wish(
                public_key_pem=body.required_text("publicKeyPem", most=4000),
                purpose=str(body.choice("purpose", PURPOSES, default=SignerPurpose.ROBOT.value)),
                status=str(body.choice("status", STATUSES, default=SignerStatus.ACTIVE.value)),
                description=body.text("description") or "",
                valid_from=body.instant("validFrom"),
                valid_to=body.instant("validTo"),
            ),
            key_id=body.text("keyId"),
            actor=request.actor,
            now=request.received_at,
        )
        return Json({"signerKey": as_json(key)}, status=201 if is_new else 200)


class RotateSignerKey(OpsView):
    """POST /ops/signer-keys/{keyId}/rotate"""

    scopes = {"POST": ("ops_write",)}

    @openapi.describe("Take a signer key out of use", answers={200: ONE}, idempotent=True)
    @idempotent
    def post(self, request: OpsRequest, key_id: str) -> HttpResponse:
        key = signer_keys.rotate(
            tenant_id=request.tenant_id, key_id=key_id, actor=request.actor, now=request.received_at
        )
        return Json({"signerKey": as_json(key)})


class RevokeSignerKey(OpsView):
    """POST /ops/signer-keys/{keyId}/revoke"""

    scopes = {"POST": ("ops_write",)}

    @openapi.describe("End a signer key for good", answers={200: ONE}, idempotent=True)
    @idempotent
    def post(self, request: OpsRequest, key_id: str) -> HttpResponse:
        key = signer_keys.revoke(
            tenant_id=request.tenant_id, key_id=key_id, actor=request.actor, now=request.received_at
        )
        return Json({"signerKey": as_json(key)})
