"""What rooms above supply to the HTTP layer: who is calling, and whether they call too often."""

from dataclasses import dataclass
from typing import Protocol

from django.http import HttpRequest

from settld.core.errors import NotFound
from settld.core.principals import Principal


class Authenticator(Protocol):
    """Finds out who calls; raises Forbidden when nobody we know."""

    def __call__(self, request: HttpRequest, *, tenant_id: str, is_write: bool) -> Principal: ...


class RateLimiter(Protocol):
    """Takes a token from the caller's buckets; raises RateLimited when one is empty."""

    def spend(self, principal: Principal) -> None: ...

    def spend_unauthenticated(self, address: str) -> None: ...


class TenantMaker(Protocol):
    """Makes a tenant that a write named and nobody knows, or refuses it with TENANT_NOT_FOUND."""

    def __call__(self, tenant_id: str) -> None: ...


class PlatformReadNote(Protocol):
    """Writes the audit row of a platform-wide read."""

    def __call__(self, principal: Principal, *, request_id: str, target_id: str) -> None: ...


def _refuse_tenant(tenant_id: str) -> None:
    raise NotFound()


def _note_nothing(principal: Principal, *, request_id: str, target_id: str) -> None:
    """No audit room has registered."""


@dataclass
class Exchange:
    """The registered suppliers; set once in AppConfig.ready()."""

    authenticate: Authenticator | None = None
    rate_limiter: RateLimiter | None = None
    make_tenant: TenantMaker = _refuse_tenant
    note_platform_read: PlatformReadNote = _note_nothing


exchange = Exchange()
