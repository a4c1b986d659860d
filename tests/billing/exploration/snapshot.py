"""Everything that the product knows about the entity of a story, read in one statement."""

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from django.db import connection

from settld.core import tenancy
from tests.billing.exploration.stage import Stage

Row = dict[str, Any]
REQUESTS: Final = "billing_request_idempotency"
SESSIONS: Final = "billing_checkout_sessions"
SUBSCRIPTIONS: Final = "billing_subscriptions"
CUSTOMERS: Final = "billing_customers"
ITEMS: Final = "billing_subscription_items"
INVOICES: Final = "billing_invoices"
PAYMENTS: Final = "billing_payments"
METHODS: Final = "billing_payment_methods"
REMEDIATIONS: Final = "billing_subscription_remediations"
JOBS: Final = "billing_outbox_jobs"
EVENTS: Final = "events"
TABLES: Final = (
    REQUESTS, SESSIONS, SUBSCRIPTIONS, CUSTOMERS, ITEMS, INVOICES, PAYMENTS, METHODS, REMEDIATIONS, JOBS,
)  # fmt: skip
ORDERED: Final = (REQUESTS, SESSIONS, SUBSCRIPTIONS)  # whose order of insertion the product may look at
_EVENTS: Final = """
SELECT 'events', c.id, to_jsonb(c) || jsonb_build_object('event', e.provider_event_id, 'type', e.event_type)
FROM billing_webhook_event_consumptions c JOIN billing_webhook_events e ON e.id = c.event_id
WHERE c.consumer = 'checkout'
"""
_READ: Final = "\nUNION ALL ".join(
    [f"SELECT '{name}', t.id, to_jsonb(t) FROM {name} t WHERE tenant_id = %(tenant)s" for name in TABLES]
    + [_EVENTS]
)
# What says who wrote when and how often, and nothing about what happens next. Row numbers are replaced.
_FORGOTTEN: Final = frozenset(
    {
        "id", "tenant_id", "billable_entity_id", "updated_at", "revision", "lease_version", "lease_owner",
        "pending_last_heartbeat_at", "event_id", "detail", "processing_started_at", "finished_at", "outcome",
        "last_attempt_at", "attempts", "operation_key_hash",
    }
)  # fmt: skip
_UNDATED: Final = frozenset(TABLES) - {REQUESTS, SESSIONS} | {EVENTS}
_NAMES: Final = {
    "idempotency_row_id": (REQUESTS, "operation_key"),
    "billing_customer_id": (CUSTOMERS, "provider_customer_id"),
    "subscription_id": (SUBSCRIPTIONS, "provider_subscription_id"),
    "canonical_subscription_id": (SUBSCRIPTIONS, "provider_subscription_id"),
    "invoice_id": (INVOICES, "provider_invoice_id"),
}
_ROW_NUMBER: Final = re.compile(r'\\?"idempotency_row_id\\?": ?\\?"\d+\\?"')


class Snapshot:
    """The rows of every table, by its name, as JSON."""

    def __init__(self, stage: Stage) -> None:
        self.tables: dict[str, dict[int, Row]] = {name: {} for name in (*TABLES, EVENTS)}
        with tenancy.tenant_scope(stage.tenant), connection.cursor() as cursor:
            cursor.execute(_READ, {"tenant": stage.tenant})
            for table, number, row in cursor.fetchall():
                self.tables[table][number] = row if isinstance(row, dict) else json.loads(row)

    def rows(self, table: str) -> list[Row]:
        """Give a table's rows in the order of their insertion."""
        return [row for _, row in sorted(self.tables[table].items())]

    def text(self) -> str:
        """Write down all that decides how things go on; row numbers and who wrote when are left out."""
        return _ROW_NUMBER.sub("", json.dumps(dict(self._written()), sort_keys=True))

    def _written(self) -> Iterator[tuple[str, list[str]]]:
        for table in self.tables:
            rows = [json.dumps(self._known(table, row), sort_keys=True) for row in self.rows(table)]
            yield table, rows if table in ORDERED else sorted(rows)

    def _known(self, table: str, row: Row) -> Row:
        kept = {name: value for name, value in row.items() if name not in _FORGOTTEN and value is not None}
        if table in _UNDATED:
            kept.pop("created_at", None)
        if table == EVENTS and kept["status"] == "done":
            return {"event": kept["event"], "status": "done"}
        for name, (target, key) in _NAMES.items():
            if name in kept:
                kept[name] = self.tables[target][kept[name]][key]
        return kept


def fingerprint(stage: Stage, known: Snapshot) -> bytes:
    """Give a digest of the state of a story: the time, what we know, and everything at the provider.

    Stories with equal fingerprints go on alike. Numbers of rows, and identifiers that the provider has not
    given out yet, may differ between them; nothing depends on those.
    """
    digest = hashlib.sha256(f"{stage.now.isoformat()} {known.text()}".encode())
    store = stage.world.store
    for sql in (
        "SELECT kind, id, body FROM objects ORDER BY kind, id",
        "SELECT scope, key, status FROM idempotency_keys",
        "SELECT kind, object_id, at FROM timers",
    ):
        for row in store.execute(sql).fetchall():
            digest.update(_digest(row))
    return digest.digest()


@functools.lru_cache(maxsize=20_000)
def _digest(row: tuple[Any, ...]) -> bytes:
    return hashlib.sha256(_ROW_NUMBER.sub("", repr(row)).encode()).digest()
