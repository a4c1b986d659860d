"""Programs at a page: a credential in a header, or an ops token that becomes a session of this browser.

The token itself is kept nowhere: a session holds its hash, and each request looks the hash up again, so a
revoked token is out at once. Source: spec/platform-operations.md 3.2, settld-billing-and-finance.md 8.
"""

from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http import HttpRequest

from ops_console import people
from settld.api import requests
from settld.core.errors import Forbidden
from settld.core.hashing import sha256_hex
from settld.core.principals import Principal
from settld.tenants import authentication
from settld.tenants.models import Tenant, User

SESSION_KEY: Final = "ops_token_hash"
TENANT_KEY: Final = "tenant_id"
TOKEN: Final = "opsToken"  # noqa: S105  (the name of a parameter)
HEADERS: Final = ("x-proxy-api-key", "authorization", "x-proxy-ops-token")


@dataclass(frozen=True)
class Visitor:
    """Who looks without a login; `user` only stands in for a person, and is nobody in the database."""

    user: User
    principal: Principal
    tenant: Tenant


def has_session(request: HttpRequest) -> bool:
    """Tell whether this browser came in with an ops token."""
    return SESSION_KEY in request.session


def shows_credential(request: HttpRequest) -> bool:
    """Tell whether a request for a page names a program in a header."""
    return any(request.headers.get(name, "").strip() for name in HEADERS)


def take_token(request: HttpRequest) -> str:
    """Take the token out of a request's address, so that no page, link or login repeats it."""
    if TOKEN not in request.GET:
        return ""
    given = request.GET.copy()
    tokens = given.pop(TOKEN)
    request.GET = given  # type: ignore[assignment]
    request.META["QUERY_STRING"] = given.urlencode()
    return str(tokens[-1]).strip() if settings.OPS_WORKSPACE_QUERY_TOKEN else ""


def admit(request: HttpRequest, *, token: str, tenant_id: str) -> Visitor:
    """Let a program in by its credential; a token in the address becomes this browser's session.

    Raises Forbidden when the credential fits nobody.
    """
    if shows_credential(request):
        wanted = tenant_id or requests.tenant_id(request)
        return _visitor(authentication.authenticate(request, tenant_id=wanted, is_write=False))
    if not token:
        return of_session(request, tenant_id=tenant_id)
    digest = sha256_hex(token.encode("utf-8", "surrogateescape"))
    principal = _by_hash(digest, tenant_id=tenant_id or requests.DEFAULT_TENANT)
    request.session.cycle_key()
    request.session[SESSION_KEY] = digest
    request.session[TENANT_KEY] = principal.tenant_id
    return _visitor(principal)


def of_session(request: HttpRequest, *, tenant_id: str = "") -> Visitor:
    """Give the program whose token opened this session; Forbidden once the token is no good any more."""
    digest = str(request.session.get(SESSION_KEY, ""))
    named = tenant_id or str(request.session.get(TENANT_KEY, "")) or requests.DEFAULT_TENANT
    return _visitor(_by_hash(digest, tenant_id=named))


def _by_hash(digest: str, *, tenant_id: str) -> Principal:
    if not settings.OPS_WORKSPACE_QUERY_TOKEN:
        raise Forbidden("missing")
    principal = authentication.by_token_hash(digest, tenant_id=tenant_id)
    if principal is None:
        raise Forbidden("bad_token")
    return principal


def _visitor(principal: Principal) -> Visitor:
    name = people.names([principal.principal_id])[principal.principal_id]
    tenant = Tenant.objects.filter(tenant_id=principal.tenant_id).first()
    user = User(pk=0, username=name[:150])
    return Visitor(user, principal, tenant or Tenant(tenant_id=principal.tenant_id))
