"""Carrying a verb out without its effect: its transactions are undone, and what they wrote is told.

For an operator who wants to see what an event would change before he has it applied again. Reads at the
provider are real. Of a verb with several transactions each begins from what is stored, not from what the one
before it would have left.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.db import connection

from settld.core import tenancy
from settld.core.transactions import atomic

T = TypeVar("T")
Rows = dict[tuple[str, int], dict[str, Any]]
UNTOLD: Final = frozenset({"id", "tenant_id", "created_at", "updated_at", "revision"})
_OF_ENTITY: Final = (
    "billing_customers",
    "billing_subscriptions",
    "billing_request_idempotency",
    "billing_checkout_sessions",
    "billing_invoices",
    "billing_payment_methods",
    "billing_payment_method_sync_events",
    "billing_subscription_remediations",
    "billing_outbox_jobs",
)
_OF_PARENT: Final = (
    ("billing_subscription_items", "subscription_id", "billing_subscriptions"),
    ("billing_payments", "invoice_id", "billing_invoices"),
)
_log: ContextVar["list[_Attempt] | None"] = ContextVar("billing_rehearsal", default=None)


class Rehearsed(Exception):
    """Ends a rehearsed transaction, which is undone; carries what its work gave."""

    def __init__(self, result: Any) -> None:
        super().__init__("rehearsed")
        self.result = result


@dataclass(frozen=True)
class Change:
    """One row that would be written: `before` is empty for a new one, `after` for one that would go."""

    table: str
    id: int
    before: dict[str, Any]
    after: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Give the change as the console shows it; the id of a new row is not known yet."""
        kind = "created" if not self.before else "deleted" if not self.after else "changed"
        row_id = None if kind == "created" else self.id
        return {"table": self.table, "id": row_id, "kind": kind, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class _Attempt:
    tenant_id: str
    entity_id: int
    rows: Rows


def rehearse(verb: Callable[[], T]) -> tuple[T, list[Change]]:
    """Run a verb that writes through `transactions.retried`; gives what it gave and what it would write."""
    with _recording() as attempts:
        result = verb()
    changes: list[Change] = []
    for attempt in attempts:
        with tenancy.tenant_scope(attempt.tenant_id), atomic():
            changes += _difference(_rows(attempt.entity_id), attempt.rows)
    return result, changes


def end(result: Any, *, tenant_id: str) -> None:
    """Close a transaction's work: nothing, unless this is a rehearsal, which then raises Rehearsed.

    Rules that wait for the commit are asked here, so that a rehearsal fails where the act would.
    """
    attempts = _log.get()
    if attempts is None:
        return
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SELECT current_setting('billing.locked_entity', true)")
        locked = cursor.fetchone()[0]
    if locked:
        attempts.append(_Attempt(tenant_id, int(locked), _rows(int(locked))))
    raise Rehearsed(result)


@contextmanager
def _recording() -> Iterator[list[_Attempt]]:
    attempts: list[_Attempt] = []
    token = _log.set(attempts)
    try:
        yield attempts
    finally:
        _log.reset(token)


def _rows(entity_id: int) -> Rows:
    """Read every row of the entity that the scope in force may see."""
    found: Rows = {}
    with connection.cursor() as cursor:
        for table in _OF_ENTITY:
            cursor.execute(
                f"SELECT id, to_jsonb(row) FROM {table} AS row WHERE billable_entity_id = %s",  # noqa: S608
                [entity_id],
            )
            found |= {(table, row_id): _told(values) for row_id, values in cursor.fetchall()}
        for table, column, parent in _OF_PARENT:
            cursor.execute(
                f"SELECT row.id, to_jsonb(row) FROM {table} AS row"  # noqa: S608
                f" JOIN {parent} AS parent ON parent.id = row.{column}"
                " WHERE parent.billable_entity_id = %s",
                [entity_id],
            )
            found |= {(table, row_id): _told(values) for row_id, values in cursor.fetchall()}
    return found


def _told(values: Any) -> dict[str, Any]:
    row = json.loads(values) if isinstance(values, str) else values
    return {name: value for name, value in row.items() if name not in UNTOLD}


def _difference(before: Rows, after: Rows) -> list[Change]:
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, {}), after.get(key, {})
        if old and new:
            names = {name for name in old if old[name] != new.get(name)}
            old, new = ({name: row.get(name) for name in sorted(names)} for row in (old, new))
        if old or new:
            changes.append(Change(key[0], key[1], old, new))
    return changes
