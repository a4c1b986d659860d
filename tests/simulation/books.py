"""What our own database holds, read as its owner: past every fence, and on a session of its own."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.support.servers import admin_connection

_OPERATIONS = """
SELECT o.tenant_id, o.provider_id, o.operation_id, o.provider_mode, o.party_id, o.period, o.state,
  o.amount_cents, o.recovery_applied_cents, o.counterparty_ref, o.provider_ref, o.payout_key,
  a.status AS attempt, a.attempt AS number, a.submitted_by, a.lease_expires_at, a.next_check_at
FROM money_rail_operation o
LEFT JOIN LATERAL (
  SELECT * FROM dispatch_attempt d WHERE d.operation_id = o.id ORDER BY d.attempt DESC LIMIT 1
) a ON true
ORDER BY o.operation_id
"""


class Books:
    """Reads, in an order that the same run repeats."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, parameters or None).fetchall()

    def operations(self) -> list[dict[str, Any]]:
        """Every operation with its newest attempt."""
        return self.rows(_OPERATIONS)


@contextlib.contextmanager
def opened(database: str) -> Iterator[Books]:
    with admin_connection(database) as connection:
        connection.execute("SET statement_timeout = '60s'")
        yield Books(connection)
