"""Appending to the chain."""

import datetime as dt
import re
from typing import Any

from django.db import DatabaseError, connection

from settld.core import canonical_json, clock, transactions
from settld.core.errors import Refusal
from settld.core.hashing import sha256_hex
from settld.core.principals import Actor

SECRET_KEYS = re.compile(r"secret|token|password|authorization|api[-_]?key", re.IGNORECASE)
ABOUT_SECRETS = re.compile(
    r"([a-z](Ids?|Created|Count|At)|_(ids?|created|count|at))$"
)  # apiKeyId names, not opens
REDACTED = "[REDACTED]"
_FUNCTION = "ops_audit_append"
_APPEND = f"SELECT {_FUNCTION}(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


class AuditLogFailed(Refusal):
    """The audit row could not be written, so the effect did not happen."""

    status = 500
    code = "AUDIT_LOG_FAILED"
    message = "audit log failed"


def append(
    *,
    tenant_id: str,
    actor: Actor,
    action: str,
    target_type: str,
    target_id: str,
    details: dict[str, Any] | None = None,
    at: dt.datetime | None = None,
) -> None:
    """Add a row to the tenant's chain as the last act of the open transaction.

    The chain's head is locked only then. Values under secret-looking keys are redacted before they
    are hashed. Raises AuditLogFailed, which rolls the effect back.
    """
    text = _details_text(details)
    instant = at or clock.now()
    row = _row(
        tenant_id=tenant_id, actor=actor, action=action, target_type=target_type,
        target_id=target_id, details_text=text, at=instant,
    )  # fmt: skip
    transactions.before_commit(lambda: transactions.send_with_commit(_APPEND, row, explain=_explain))


def append_now(
    *,
    tenant_id: str,
    actor: Actor,
    action: str,
    target_type: str,
    target_id: str,
    details: dict[str, Any] | None = None,
    at: dt.datetime | None = None,
) -> int:
    """Add a row at once and give its id, for callers that record which audit row speaks of them."""
    return _write(
        _row(
            tenant_id=tenant_id, actor=actor, action=action, target_type=target_type,
            target_id=target_id, details_text=_details_text(details), at=at or clock.now(),
        )
    )  # fmt: skip


def _write(row: list[Any]) -> int:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_APPEND, row)
            return int(cursor.fetchone()[0])
    except DatabaseError as error:
        raise AuditLogFailed() from error


def _explain(error: DatabaseError) -> AuditLogFailed | None:
    """Tell a failure to append from any other failure of the transaction."""
    diagnosis = getattr(error.__cause__, "diag", None)
    where = (getattr(diagnosis, "context", None), getattr(diagnosis, "message_primary", None))
    return AuditLogFailed() if any(_FUNCTION in text for text in where if text) else None


def _row(
    *,
    tenant_id: str,
    actor: Actor,
    action: str,
    target_type: str,
    target_id: str,
    details_text: str,
    at: dt.datetime,
) -> list[Any]:
    return [
        tenant_id, actor.key_id, actor.principal_id, action, target_type, target_id,
        actor.request_id, at, sha256_hex(details_text), details_text,
    ]  # fmt: skip


def _details_text(details: dict[str, Any] | None) -> str:
    try:
        return canonical_json.dumps(_redacted(details)).decode()
    except canonical_json.CanonicalJsonError:
        return '{"error":"DETAILS_UNSERIALIZABLE"}'


def _is_secret(key: str, value: Any) -> bool:
    """Tell whether a value must not be kept; a number or a switch under such a name speaks of a secret."""
    if not isinstance(value, str | dict | list | tuple) or not value:
        return False
    return SECRET_KEYS.search(key) is not None and ABOUT_SECRETS.search(key) is None


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: REDACTED if _is_secret(str(key), member) else _redacted(member)
            for key, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redacted(member) for member in value]
    return value
