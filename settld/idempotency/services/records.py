"""Finding and storing replies."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from settld.core import ids, transactions
from settld.core.canonical_json import CanonicalJsonError
from settld.core.errors import Conflict, Invalid
from settld.core.hashing import canonical_hash, sha256_hex

KEEP = dt.timedelta(days=45)


class IdempotencyConflict(Conflict):
    """The key was used for another request."""

    code = "IDEMPOTENCY_CONFLICT"
    message = "idempotency key conflict"

    def __init__(self) -> None:
        super().__init__(details="request differs from initial use of this key")


class IdempotencyInProgress(Conflict):
    """The first request with this key still runs."""

    code = "IDEMPOTENCY_IN_PROGRESS"
    message = "a request with this idempotency key is still running"

    def __init__(self) -> None:
        super().__init__(headers={"retry-after": "1"})


@dataclass(frozen=True)
class Identity:
    """Which effect a caller names, and what the request covered."""

    tenant_id: str
    principal_id: str
    route: str
    key: str
    request_hash: str

    @property
    def hash(self) -> str:
        """Name the identity in 64 characters."""
        return sha256_hex("\n".join((self.tenant_id, self.principal_id, self.route, self.key)))


@dataclass(frozen=True)
class Reply:
    """A stored answer, byte for byte."""

    status: int
    body: str


def identity(
    *,
    tenant_id: str,
    principal_id: str,
    method: str,
    path: str,
    key: str | None,
    body: Any,
    query: dict[str, Any] | None = None,
    expected_prev_chain_hash: str | None = None,
) -> Identity | None:
    """Make the identity of a request; None without a key. Raises Invalid for a malformed key.

    `expected_prev_chain_hash` is where in a chain the caller appends; only appends have one.
    """
    if key is None:
        return None
    key = key.strip()
    if not 1 <= len(key) <= 500 or any(character in key for character in "\r\n\x00"):
        raise Invalid("invalid idempotency key")
    covered = {
        "method": method,
        "path": path,
        "expectedPrevChainHash": expected_prev_chain_hash,
        "body": body,
    }
    try:
        request_hash = canonical_hash(covered | ({"query": query} if query else {}))
    except CanonicalJsonError as error:
        raise Invalid("invalid JSON body", details={"message": str(error)}) from error
    return Identity(tenant_id, principal_id, f"{method} {path}", key, request_hash)


def claim(wanted: Identity) -> Reply | None:
    """Wait for other requests with this identity, then find the reply of an earlier one.

    Held until the transaction ends, so two effects under one identity cannot be. Raises
    IdempotencyConflict when the key covered another request, IdempotencyInProgress when the other
    request takes longer than a lock may be waited for.
    """
    try:
        return _read(wanted, "SELECT * FROM idempotency_claim(%s, %s)")
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise IdempotencyInProgress() from error
        raise


def find(wanted: Identity) -> Reply | None:
    """Find the reply of an earlier request, without waiting for one that runs."""
    return _read(
        wanted,
        "SELECT request_hash, status, body FROM idempotency_record"
        " WHERE tenant_id = %s AND identity_hash = %s",
    )


def _read(wanted: Identity, query: str) -> Reply | None:
    with connection.cursor() as cursor:
        cursor.execute(query, [wanted.tenant_id, wanted.hash])
        row = cursor.fetchone()
    if row is None:
        return None
    if row[0] != wanted.request_hash:
        raise IdempotencyConflict()
    return Reply(status=row[1], body=row[2])


def store(wanted: Identity, *, status: int, body: str, now: dt.datetime) -> None:
    """Keep a reply in the transaction of its effect; only 2xx are kept."""
    if not 200 <= status < 300:
        return
    transactions.send_with_commit(
        "INSERT INTO idempotency_record (id, tenant_id, principal_id, route, key, identity_hash,"
        " request_hash, status, body, created_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            ids.uuid7(), wanted.tenant_id, wanted.principal_id, wanted.route, wanted.key, wanted.hash,
            wanted.request_hash, status, body, now, now + KEEP,
        ],
    )  # fmt: skip
