"""Finding out who calls /api/billing/*, and charging the right bucket (section 3)."""

from typing import Final

import structlog
from django.conf import settings
from django.http import HttpRequest

from billing.api.errors import AuthenticationRequired, CsrfFailed, ValidationFailed
from billing.services import permissions
from billing.services.principals import Caller
from billing.states import PrincipalType
from settld.api import requests
from settld.api.exchange import exchange
from settld.core.errors import Forbidden, Invalid
from settld.core.principals import Actor, Principal
from settld.tenants import authentication
from settld.tenants.services import keys, memberships

# Django reads the first; clients of other kinds send one of the rest.
CSRF_HEADER: Final = "HTTP_X_CSRFTOKEN"
CSRF_ALIASES: Final = ("HTTP_CSRF_TOKEN", "HTTP_X_CSRF_TOKEN", "HTTP_X_XSRF_TOKEN")


def of(request: HttpRequest) -> Caller:
    """Find the caller; AuthenticationRequired, CsrfFailed or RateLimited.

    A key, a bearer token or an ops token comes before a login. Costs the caller's bucket one token; a
    stranger's address pays for strangers.
    """
    if exchange.rate_limiter is None:
        raise RuntimeError("no rate limiter is registered")
    try:
        client = _client(request)
        caller = _of_client(client, request) if client else _of_login(request)
    except Forbidden as refusal:
        authentication.note_failure(request, refusal)
        exchange.rate_limiter.spend_unauthenticated(request.META.get("REMOTE_ADDR", ""))
        raise (CsrfFailed if refusal.reason == "csrf" else AuthenticationRequired)() from refusal
    exchange.rate_limiter.spend(client or _payer(caller))
    structlog.contextvars.bind_contextvars(principal_id=caller.actor.principal_id)
    return caller


# --- Credentials of a tenant ----------------------------------------------------------------------
def _client(request: HttpRequest) -> Principal | None:
    """Find the key or token that a request shows; a key needs no tenant named beside it."""
    tried = _tenants_meant(request)
    for tenant_id in tried[:-1]:
        try:
            return authentication.by_credential(request, tenant_id=tenant_id)
        except Forbidden:
            continue  # another tenant may have a key of the same id
    return authentication.by_credential(request, tenant_id=tried[-1])


def _tenants_meant(request: HttpRequest) -> list[str]:
    try:
        named = requests.tenant_id(request)
        requests.principal_label(request)
    except Invalid as error:
        raise ValidationFailed({"headers": error.message}) from error
    if request.headers.get("x-proxy-tenant-id", "").strip():
        return [named]
    key_id = authentication.presented_key_id(request)
    return (keys.tenants_of(key_id=key_id) if key_id else []) or [named]


def _of_client(client: Principal, request: HttpRequest) -> Caller:
    return Caller(
        kind=PrincipalType.API_CLIENT,
        actor=_actor(request, client.principal_id, key_id=client.key_id),
        grant_id=f"{client.tenant_id}:{client.principal_id}",
        client=client,
        platform_permissions=permissions.of_client(client),
    )


# --- People ---------------------------------------------------------------------------------------
def _of_login(request: HttpRequest) -> Caller:
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        raise Forbidden("missing")
    user = request.user
    if not user.is_authenticated or not user.is_active:
        raise Forbidden("missing")
    if not request.META.get(CSRF_HEADER):
        sent = next((request.META[name] for name in CSRF_ALIASES if request.META.get(name)), "")
        request.META[CSRF_HEADER] = sent
    authentication.require_csrf(request)
    is_verified = memberships.is_verified(request)
    return Caller(
        kind=PrincipalType.USER,
        actor=_actor(request, f"person:{user.pk}"),
        grant_id=str(user.pk),
        user_id=user.pk,
        has_second_factor=is_verified,
        platform_permissions=_staff_permissions(request, is_verified=is_verified),
    )


def _staff_permissions(request: HttpRequest, *, is_verified: bool) -> frozenset[str]:
    """Give what platform staff may do; they give their second factor first, as in the admin."""
    role = getattr(request.user, "platform_role", "")
    if not role:
        return frozenset()
    if not is_verified and (settings.STAFF_SECOND_FACTOR or memberships.has_second_factor(request)):
        return frozenset()
    return permissions.of_staff(role)


def _actor(request: HttpRequest, principal_id: str, *, key_id: str | None = None) -> Actor:
    return Actor(
        principal_id=principal_id, key_id=key_id, request_id=getattr(request, "request_id", None) or None
    )


def _payer(caller: Caller) -> Principal:
    """Name the bucket that a person's calls come out of: their own, whatever workspace they choose."""
    who = caller.actor.principal_id
    return Principal(kind="person", principal_id=who, tenant_id=who)
