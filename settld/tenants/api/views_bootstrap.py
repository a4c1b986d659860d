"""POST /ops/tenants/bootstrap"""

from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock
from settld.core.errors import Forbidden, Invalid
from settld.idempotency.http import idempotent
from settld.tenants.services import bootstrap as bootstrapping
from settld.tenants.services import keys

TOKEN_VARIABLE = "$SETTLD_API_KEY"  # noqa: S105  (a shell variable, not a secret)
INVALID = "invalid tenant bootstrap payload"
DEFAULT_SCOPES = ["ops_read", "ops_write", "finance_read", "finance_write", "audit_read"]
PLANS = ("free", "builder", "growth", "enterprise")
PROFILE = {"name": "name", "contactEmail": "contact_email", "billingEmail": "billing_email"}


def without_secret(data: dict[str, Any]) -> dict[str, Any]:
    """Null the secret wherever the answer repeats it."""
    made = data["bootstrap"]
    if made["apiKey"] is None:
        return data
    env = made["env"] | {"SETTLD_API_KEY": None}
    shown = {name: value for name, value in env.items() if value is not None}
    return data | {
        "bootstrap": made
        | {
            "apiKey": made["apiKey"] | {"secret": None, "token": None},
            "env": env,
            "exportCommands": bootstrapping.export_commands(shown),
            "next": _next_steps(env.get("SETTLD_BASE_URL"), token=TOKEN_VARIABLE, tenant_id=data["tenantId"]),
        }
    }


class BootstrapTenant(OpsView):
    """POST /ops/tenants/bootstrap"""

    scopes = {"POST": ("ops_write",)}
    makes_tenant = True

    @openapi.describe(
        "Make a tenant ready to work: its row, an API key, its plan",
        body=openapi.OBJECT,
        answers={201: openapi.obj({"tenantId": openapi.TEXT, "bootstrap": openapi.OBJECT})},
        idempotent=True,
    )
    @idempotent(stored_form=without_secret)
    def post(self, request: OpsRequest) -> HttpResponse:
        billing = _billing_wish(request.body_json)
        if request.principal.kind == "api_key" and not billing.is_empty:
            raise Forbidden("billing_needs_ops_token")
        if request.principal.kind == "person" and not request.principal.is_platform:
            raise Forbidden("bootstrap_needs_platform_staff")
        key = _key_wish(request.body_json)
        if key is not None:
            keys.require_delegable(grantor=request.principal, scopes=key.scopes)
            _require_future(key, request)
        made = bootstrapping.bootstrap(
            tenant_id=request.tenant_id,
            key=key,
            billing=billing,
            profile=_profile(request.body_json),
            actor=request.actor,
            now=request.received_at,
        )
        return Json(_answer(request, made), status=201, headers={"cache-control": "no-store"})


def _require_future(key: bootstrapping.KeyWish, request: OpsRequest) -> None:
    try:
        keys.require_future(key.expires_at, now=request.received_at)
    except Invalid as refusal:
        raise Invalid(INVALID, details={"message": refusal.message}) from refusal


def _billing_wish(values: dict[str, Any]) -> bootstrapping.BillingWish:
    given = Body(values["billing"] if isinstance(values.get("billing"), dict) else values, message=INVALID)
    return bootstrapping.BillingWish(
        plan=given.choice("plan", PLANS), hard_limit_enforced=given.boolean("hardLimitEnforced")
    )


def _key_wish(values: dict[str, Any]) -> bootstrapping.KeyWish | None:
    top = Body(values, message=INVALID)
    nested = Body(top.object("apiKey") or {}, message=INVALID)
    creates = nested.boolean("create", default=True) and top.boolean("createApiKey", default=True)
    wanted = nested.values.get("scopes", values.get("scopes"))
    try:
        scopes = keys.clean_scopes(DEFAULT_SCOPES if wanted is None else wanted)
    except Invalid as refusal:
        detail = refusal.details["scope"] if refusal.details else ""
        raise Invalid(INVALID, details={"message": f"{refusal.message} {detail}".strip()}) from refusal
    key_id = nested.text("keyId") or top.text("keyId")
    if key_id is not None and not keys.KEY_ID.fullmatch(key_id):
        raise Invalid(INVALID, details={"message": "invalid keyId"})
    description = nested.text("description") or top.text("description") or "tenant bootstrap"
    expires_at = nested.instant("expiresAt") or top.instant("expiresAt")
    return bootstrapping.KeyWish(sorted(scopes), key_id, expires_at, description) if creates else None


def _profile(values: dict[str, Any]) -> dict[str, str]:
    given = Body(values, message=INVALID)
    profile = {}
    for key, field in PROFILE.items():
        value = given.text(key, most=200 if key == "name" else 320)
        if value is not None:
            if field != "name" and "@" not in value:
                raise Invalid(INVALID, details={"message": f"{key} must be an email address"})
            profile[field] = value if field == "name" else value.lower()
    return profile


def _answer(request: OpsRequest, made: bootstrapping.Bootstrap) -> dict[str, Any]:
    base_url = settings.PUBLIC_API_BASE_URL or _request_base(request)
    env: dict[str, str] = {"SETTLD_TENANT_ID": request.tenant_id}
    if base_url:
        env["SETTLD_BASE_URL"] = base_url
    key = None
    if made.key is not None:
        env["SETTLD_API_KEY"] = made.key.token
        key = {
            "keyId": made.key.key.key_id,
            "secret": made.key.secret,
            "token": made.key.token,
            "scopes": made.key.key.scopes,
            "expiresAt": clock.iso(made.key.key.expires_at),
            "description": made.key.key.description,
        }
    return {
        "tenantId": request.tenant_id,
        "bootstrap": {
            "tenantId": request.tenant_id,
            "apiBaseUrl": base_url,
            "apiKey": key,
            "billing": {key: made.billing[key] for key in ("plan", "hardLimitEnforced", "resolvedPlan")},
            "env": env,
            "exportCommands": bootstrapping.export_commands(env),
            "next": _next_steps(
                base_url, token=made.key.token if made.key else TOKEN_VARIABLE, tenant_id=request.tenant_id
            ),
        },
    }


def _request_base(request: OpsRequest) -> str | None:
    """Give the address that the client used, if the deployment answers to it by name."""
    if "*" in settings.ALLOWED_HOSTS and settings.IS_PRODUCTION:
        return None
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return None


def _next_steps(base_url: str | None, *, token: str, tenant_id: str) -> dict[str, str]:
    root = base_url or "$SETTLD_BASE_URL"
    return {
        "healthcheckCurl": f"curl -sS {root}/healthz",
        "sdkFirstRunCommand": (
            f"curl -sS {root}/ops/status"
            f" -H 'authorization: Bearer {token}' -H 'x-proxy-tenant-id: {tenant_id}'"
        ),
    }
