"""What rooms above supply to the HTTP layer: who is calling, and whether they call too often."""

from dataclasses import dataclass
from typing import Protocol

from django.http import HttpRequest

from settld.core.principals import Principal


class Authenticator(Protocol):
    """Finds out who calls; raises Forbidden when nobody we know."""

    def __call__(self, request: HttpRequest, *, tenant_id: str, is_write: bool) -> Principal: ...


class RateLimiter(Protocol):
    """Takes a token from the caller's buckets; raises RateLimited when one is empty."""

    def spend(self, principal: Principal) -> None: ...

    def spend_unauthenticated(self, address: str) -> None: ...


@dataclass
class Exchange:
    """The registered suppliers; set once in AppConfig.ready()."""

    authenticate: Authenticator | None = None
    rate_limiter: RateLimiter | None = None


exchange = Exchange()
