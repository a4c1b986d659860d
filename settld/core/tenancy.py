"""Which tenant's rows the database lets this piece of work see.

Row-level security compares every tenant row with the setting `settld.tenant_id`. The scope lives in
a context variable; the database backend sends it with each transaction, never with the session, so
a pooled connection carries nothing from one request to the next.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import structlog
from django.db import connection
from prometheus_client import Counter

log = structlog.get_logger(__name__)
PLATFORM_READS = Counter("platform_reads_total", "Platform-wide read scopes entered", ["reason"])


@dataclass(frozen=True)
class Scope:
    """What the current work may see: one tenant's rows, or (reads only) every tenant's."""

    tenant_id: str = ""
    is_platform: bool = False


NOBODY = Scope()
_scope: ContextVar[Scope] = ContextVar("tenant_scope", default=NOBODY)


def current() -> Scope:
    """Give the scope in force; outside any scope it is NOBODY, who sees no tenant row."""
    return _scope.get()


@contextlib.contextmanager
def tenant_scope(tenant_id: str) -> Iterator[None]:
    """Work on one tenant's rows."""
    if not tenant_id or "\x00" in tenant_id:
        raise ValueError("a tenant scope needs a tenant id")
    with _entered(Scope(tenant_id=tenant_id)):
        yield


@contextlib.contextmanager
def platform_scope(*, reason: str) -> Iterator[None]:
    """Read every tenant's rows, for a stated reason; the database refuses writes in this mode.

    Each entry is logged and counted. A caller that acts for a person or a token also writes the
    audit row PLATFORM_READ.
    """
    PLATFORM_READS.labels(reason=reason).inc()
    log.debug("platform_read", reason=reason)
    with _entered(Scope(is_platform=True)):
        yield


@contextlib.contextmanager
def _entered(scope: Scope) -> Iterator[None]:
    """Swap the scope, and tell a transaction that is already open."""
    token = _scope.set(scope)
    open_transaction = connection.in_atomic_block
    if open_transaction:
        announce()
    try:
        yield
    finally:
        _scope.reset(token)
        if open_transaction and connection.in_atomic_block and not connection.needs_rollback:
            with contextlib.suppress(Exception):  # a failed transaction is about to be rolled back
                announce()


def announce() -> None:
    """Send the scope in force to the open transaction."""
    scope = current()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('settld.tenant_id', %s, true), set_config('settld.platform', %s, true)",
            [scope.tenant_id, "on" if scope.is_platform else ""],
        )
