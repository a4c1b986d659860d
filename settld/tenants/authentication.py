"""Finding out who calls (platform-operations 3.2): key, bearer, ops token, then login."""

import datetime as dt
import hmac
from dataclasses import replace
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter
from rest_framework.authentication import CSRFCheck

from settld.api.requests import principal_label
from settld.core import clock, tenancy
from settld.core.errors import Forbidden, Invalid, NotFound, Refusal
from settld.core.hashing import sha256_hex
from settld.core.principals import Principal
from settld.tenants import secrets
from settld.tenants.models import AuthKey, OpsToken
from settld.tenants.models.credentials import KeyStatus
from settld.tenants.models.tenant import TenantStatus
from settld.tenants.services import memberships, tenants

FAILED = Counter("auth_failed_total", "Failed authentications", ["reason"])
log = structlog.get_logger(__name__)


class TenantSuspended(Refusal):
    """The tenant is not active."""

    status = 403
    code = "TENANT_SUSPENDED"
    message = "tenant is not active"


class TenantRequired(Invalid):
    """A login with several memberships must say which tenant it means."""

    code = "TENANT_REQUIRED"
    message = "name the tenant in x-proxy-tenant-id"


def authenticate(request: HttpRequest, *, tenant_id: str, is_write: bool) -> Principal:
    """Find the principal of a request; Forbidden when there is none, whatever the reason."""
    try:
        principal = _find(request, tenant_id=tenant_id)
    except Forbidden as refusal:
        note_failure(request, refusal)
        raise
    return _require_tenant(principal, is_write=is_write)


def note_failure(request: HttpRequest, refusal: Forbidden) -> None:
    """Count and log that nobody was found, with the name that the caller gives itself."""
    FAILED.labels(reason=refusal.reason).inc()
    log.info("auth_failed", reason=refusal.reason, claimed_principal=principal_label(request) or None)


def _find(request: HttpRequest, *, tenant_id: str) -> Principal:
    if principal := by_credential(request, tenant_id=tenant_id):
        return principal
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        return _by_login(request, tenant_id=tenant_id)
    raise Forbidden("bad_token" if _bearer(request.headers.get("authorization", "")) else "missing")


def by_credential(request: HttpRequest, *, tenant_id: str) -> Principal | None:
    """Find the machine that calls for a tenant: key, bearer, then ops token; None when it shows none.

    Forbidden for a key or an ops token that does not fit; a bearer that is no token of ours counts as none.
    """
    headers = request.headers
    bearer = _bearer(headers.get("authorization", ""))
    for presented in (headers.get("x-proxy-api-key", "").strip(), bearer):
        if "." in presented:
            return _by_key(presented, tenant_id=tenant_id)
        if presented and (principal := _by_token(presented, tenant_id=tenant_id)):
            return principal
    token = headers.get("x-proxy-ops-token", "").strip()
    if token:
        if principal := _by_token(token, tenant_id=tenant_id):
            return principal
        raise Forbidden("bad_token")
    return None


def _bearer(header: str) -> str:
    scheme, _, credential = header.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def presented_key_id(request: HttpRequest) -> str:
    """Read the id of the API key that a request shows, unproven; empty when it shows none."""
    bearer = _bearer(request.headers.get("authorization", ""))
    shown = (request.headers.get("x-proxy-api-key", "").strip(), bearer)
    presented = next((text for text in shown if text), "")
    return presented.partition(".")[0] if "." in presented else ""


# --- API keys -------------------------------------------------------------------------------------
def _by_key(presented: str, *, tenant_id: str) -> Principal:
    key_id, _, secret = presented.partition(".")
    now = clock.now()
    key = None
    if key_id and "\x00" not in key_id:
        with tenancy.tenant_scope(tenant_id):
            key = AuthKey.objects.filter(tenant_id=tenant_id, key_id=key_id).first()
    # An unknown id costs the same hash as a known one.
    is_match = secrets.is_match(secret, key.secret_hash if key else secrets.MISSING)
    if key is None:
        raise Forbidden("unknown_key")
    if not _is_usable(key, now=now):
        raise Forbidden("expired" if key.status == KeyStatus.ACTIVE else "key_inactive")
    if not is_match:
        raise Forbidden("bad_secret")
    _touch(key, secret=secret, now=now)
    return Principal(
        kind="api_key",
        principal_id=f"auth:{key.key_id}",
        tenant_id=tenant_id,
        scopes=frozenset(key.scopes),
        key_id=key.key_id,
    )


def _is_usable(key: AuthKey, *, now: dt.datetime) -> bool:
    if key.expires_at is not None and key.expires_at <= now:
        return False
    if key.status == KeyStatus.ACTIVE:
        return True
    in_grace = key.grace_expires_at is not None and key.grace_expires_at > now
    return key.status == KeyStatus.ROTATED and in_grace


def _touch(key: AuthKey, *, secret: str, now: dt.datetime) -> None:
    """Note the use, seldom, and never at the request's cost."""
    pause = dt.timedelta(seconds=settings.AUTH_KEY_TOUCH_MIN_SECONDS)
    changes: dict[str, Any] = {}
    if key.last_used_at is None or key.last_used_at + pause <= now:
        changes["last_used_at"] = now
    if secrets.needs_rehash(key.secret_hash):
        changes["secret_hash"] = secrets.hash_secret(secret)
    if not changes:
        return
    try:
        with tenancy.tenant_scope(key.tenant_id):
            AuthKey.objects.filter(pk=key.pk, updated_at=F("updated_at")).update(**changes)
    except DatabaseError:
        log.warning("auth_key_touch_failed", key_id=key.key_id)


# --- Ops tokens -----------------------------------------------------------------------------------
def _by_token(token: str, *, tenant_id: str) -> Principal | None:
    return _by_hash(sha256_hex(token.encode("utf-8", "surrogateescape")), tenant_id=tenant_id)


def by_token_hash(token_hash: str, *, tenant_id: str) -> Principal | None:
    """Find the ops token that a browser's session was opened with; None when it is no good any more.

    TenantSuspended where the tenant may not be looked at.
    """
    principal = _by_hash(token_hash, tenant_id=tenant_id)
    return _require_tenant(principal, is_write=False) if principal is not None else None


def _by_hash(token_hash: str, *, tenant_id: str) -> Principal | None:
    scopes: frozenset[str] | None = None
    is_limited = False
    for known, its_scopes in settings.OPS_TOKENS.items():
        if hmac.compare_digest(sha256_hex(known), token_hash):
            scopes = its_scopes
    if scopes is None and (row := _stored(token_hash, tenant_id=tenant_id)):
        scopes, is_limited = frozenset(row.scopes), bool(row.tenant_ids)
    if scopes is None:
        return None
    return Principal(
        kind="ops_token",
        principal_id=f"ops_token:{token_hash[:12]}",
        tenant_id=tenant_id,
        scopes=scopes,
        is_platform=not is_limited,  # a token of a few tenants reads nothing of the others
    )


def _stored(token_hash: str, *, tenant_id: str) -> OpsToken | None:
    row = OpsToken.objects.filter(token_hash=token_hash).first()
    if row is None or row.revoked_at is not None:
        return None
    if row.expires_at is not None and row.expires_at <= clock.now():
        return None
    if row.tenant_ids and tenant_id not in row.tenant_ids:
        return None
    return row


# --- People ---------------------------------------------------------------------------------------
def _by_login(request: HttpRequest, *, tenant_id: str) -> Principal:
    if not request.user.is_authenticated or not request.user.is_active:
        raise Forbidden("missing")
    user = request.user
    require_csrf(request)
    named = bool(request.headers.get("x-proxy-tenant-id", "").strip())
    if not named and not user.platform_role:
        mine = memberships.active_tenants(user=user)
        if not mine:
            raise Forbidden("no_membership")
        if len(mine) > 1:
            raise TenantRequired()
        tenant_id = mine[0]
    return memberships.principal(
        user=user, tenant_id=tenant_id, has_second_factor=memberships.is_verified(request)
    )


def require_csrf(request: HttpRequest) -> None:
    """Refuse a browser's write that does not come from a page of ours."""
    check = CSRFCheck(lambda _request: None)  # type: ignore[arg-type]
    check.process_request(request)
    if check.process_view(request, lambda: HttpResponse(), (), {}):
        raise Forbidden("csrf")


# --- The tenant -----------------------------------------------------------------------------------
def _require_tenant(principal: Principal, *, is_write: bool) -> Principal:
    """Refuse a tenant that may not act, and say whether there is one."""
    status = tenants.status_of(tenant_id=principal.tenant_id)
    is_active = status == TenantStatus.ACTIVE
    if status is not None and not is_active and (is_write or not principal.is_platform):
        FAILED.labels(reason="tenant_suspended").inc()
        raise TenantSuspended()
    if status is None and principal.kind == "person":
        raise NotFound()
    return principal if status is not None else replace(principal, is_tenant_known=False)


def make_tenant(tenant_id: str) -> None:
    """Make the tenant that an admitted write named; TenantNotFound where none may be made so."""
    if not settings.IMPLICIT_TENANTS:
        raise tenants.TenantNotFound()
    tenants.create_implicit(tenant_id=tenant_id, now=clock.now())
