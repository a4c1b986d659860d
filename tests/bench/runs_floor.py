"""The floor of a run: the same rows by plain statements, in as many transactions.

One run is made by the product first and its rows are kept, step by step; each turn writes them again under
ids of its own, locks and changes the two wallets, and moves balances and counters.
"""

import datetime as dt
import os
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from settld.core import ids
from tests.bench import runs_ours
from tests.bench.runs_ours import CENTS, payee, payer

TENANT: Final = "runs_floor"
SAMPLE: Final = 0
BY_RUN: Final = (
    "agent_run", "agent_run_event", "decision_record", "settlement_receipt", "agent_run_settlement",
    "billing_usage_event",
)  # fmt: skip
BY_ENTRY: Final = ("ledger_entry", "ledger_posting", "ledger_allocation")
CHANGING: Final = ("agent_run", "agent_run_settlement")
MADE_IDS: Final = re.compile(r"(evt_|dec_setl_|rcpt_setl_)([0-9a-f-]{32,36})")
_BALANCES: Final = """
INSERT INTO ledger_balance AS b (tenant_id, account_id, currency, bucket, shard, amount_cents)
VALUES {rows} ON CONFLICT (tenant_id, account_id, currency, bucket, shard)
  DO UPDATE SET amount_cents = b.amount_cents + EXCLUDED.amount_cents RETURNING amount_cents
"""
_WALLET: Final = """
UPDATE wallet SET available_cents = available_cents + %s, escrow_locked_cents = escrow_locked_cents + %s,
  total_debited_cents = total_debited_cents + %s, total_credited_cents = total_credited_cents + %s,
  revision = revision + 1 WHERE tenant_id = %s AND agent_id = %s
"""
_COUNTER: Final = """
INSERT INTO billing_usage_counter AS c
  (id, tenant_id, period, event_type, event_count, quantity, amount_cents, updated_at)
VALUES (%s, %s, %s, %s, 1, 1, %s, %s) ON CONFLICT (tenant_id, period, event_type) DO UPDATE SET
  event_count = c.event_count + 1, quantity = c.quantity + 1,
  amount_cents = c.amount_cents + EXCLUDED.amount_cents
"""

Rows = list[dict[str, Any]]


@dataclass
class Step:
    """What one transaction of the sample added and changed, by table."""

    added: dict[str, Rows]
    changed: dict[str, Rows]


_own = threading.local()
_recording = threading.Lock()
_recorded: list[Step] = []
_sample_run = f"sample_{os.getpid()}_{uuid.uuid4().hex}"


def turn(number: int, now: dt.datetime) -> None:
    """Write one run of a pair of agents again, in three transactions."""
    connection = _connection()
    sample = _steps(now)
    fresh = str(uuid.uuid4())
    names = {_sample_run: f"run_{fresh}", payer(SAMPLE): payer(number), payee(SAMPLE): payee(number)}
    for at, step in enumerate(sample):
        with connection.transaction(), connection.cursor() as cursor:
            if at:
                cursor.execute(
                    "SELECT * FROM agent_run WHERE tenant_id = %s AND run_id = %s FOR UPDATE",
                    [TENANT, names[_sample_run]],
                )
            if at != 1:
                _move(cursor, number, is_end=at == 2)
            _write(cursor, step, names=names, fresh=fresh, now=now)


def _move(cursor: Any, number: int, *, is_end: bool) -> None:
    """Lock the wallets of the step and change them."""
    wanted = [payer(number), payee(number)] if is_end else [payer(number)]
    cursor.execute(
        "SELECT * FROM wallet WHERE tenant_id = %s AND agent_id = ANY(%s)"
        " ORDER BY wallet_id FOR NO KEY UPDATE",
        [TENANT, wanted],
    )
    if is_end:
        cursor.execute(_WALLET, [0, -CENTS, CENTS, 0, TENANT, payer(number)])
        cursor.execute(_WALLET, [CENTS, 0, 0, CENTS, TENANT, payee(number)])
    else:
        cursor.execute(_WALLET, [-CENTS, CENTS, 0, 0, TENANT, payer(number)])


def _write(cursor: Any, step: Step, *, names: dict[str, str], fresh: str, now: dt.datetime) -> None:
    for table, rows in step.added.items():
        renamed = [_renamed(row, names, fresh) for row in rows]
        columns = list(rows[0])
        marks = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(renamed))
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks}",
            [row[column] for row in renamed for column in columns],
        )
        if table == "ledger_posting":
            _add_balances(cursor, renamed, now)
        if table == "billing_usage_event":
            for row in sorted(renamed, key=lambda row: row["event_type"], reverse=True):
                amount = row["amount_cents"] or 0
                cursor.execute(_COUNTER, [ids.uuid7(), TENANT, row["period"], row["event_type"], amount, now])
    for table, rows in step.changed.items():
        for row in rows:
            new = _renamed(row, names, fresh)
            columns = [column for column in row if column not in ("id", "tenant_id", "run_id")]
            cursor.execute(
                f"UPDATE {table} SET {', '.join(f'{column} = %s' for column in columns)}"
                " WHERE tenant_id = %s AND run_id = %s",
                [*(new[column] for column in columns), TENANT, new["run_id"]],
            )


def _add_balances(cursor: Any, postings: Rows, now: dt.datetime) -> None:
    shard, day = cursor.connection.info.backend_pid % 16, now.strftime("%Y-%m-%d")
    parts: dict[tuple[str, str, int], int] = {}
    for row in postings:
        account = row["account_id"]
        for bucket in ("", day):
            key = (account, bucket, 0 if account.startswith("wallet:") else shard)
            parts[key] = parts.get(key, 0) + row["amount_cents"]
    values: list[Any] = []
    for (account, bucket, part), cents in sorted(parts.items()):
        values += [TENANT, account, "USD", bucket, part, cents]
    cursor.execute(_BALANCES.format(rows=", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(parts))), values)
    cursor.fetchall()


def _renamed(row: dict[str, Any], names: dict[str, str], fresh: str) -> dict[str, Any]:
    """Give a row of the sample under the ids of this turn."""
    new = {}
    for column, value in row.items():
        if column == "id":
            value = ids.uuid7()
        elif isinstance(value, str):
            for old, name in names.items():
                value = value.replace(old, name)
            value = MADE_IDS.sub(lambda found: f"{found[1]}{fresh[:18]}{found[2][-18:]}", value)
        new[column] = value
    return new


# --- The sample -------------------------------------------------------------------------------------
def _steps(now: dt.datetime) -> list[Step]:
    """Give the steps of the sample run, made once in this process."""
    with _recording:
        if not _recorded:
            before: dict[str, Rows] = {}
            for _ in runs_ours.steps(TENANT, SAMPLE, run_id=_sample_run, now=now):
                after = {table: list(_stored(table)) for table in (*BY_ENTRY, *BY_RUN)}
                _recorded.append(_difference(before, after))
                before = after
        return _recorded


def _difference(before: dict[str, Rows], after: dict[str, Rows]) -> Step:
    added: dict[str, Rows] = {}
    changed: dict[str, Rows] = {}
    for table, rows in after.items():
        known = before.get(table, [])
        if table in CHANGING and known:
            if rows != known:
                changed[table] = rows
        elif new := [row for row in rows if row not in known]:
            added[table] = new
    return Step(added, changed)


def _stored(table: str) -> Iterator[dict[str, Any]]:
    with _connection().cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name = %s AND is_identity = 'NO' AND is_generated = 'NEVER'"
            " AND coalesce(column_default, '') NOT LIKE 'nextval%%'",
            [table],
        )
        columns = ", ".join(row["column_name"] for row in cursor.fetchall())
        where = "run_id = %s" if table in BY_RUN else "entry_id LIKE '%%' || %s || '%%'"
        cursor.execute(
            f"SELECT {columns} FROM {table} WHERE tenant_id = %s AND {where}", [TENANT, _sample_run]
        )
        yield from cursor.fetchall()


def _connection() -> "psycopg.Connection[Any]":
    if not hasattr(_own, "connection"):
        connection = psycopg.connect(
            os.environ["RUNS_FLOOR_URL"], autocommit=True, cursor_factory=psycopg.Cursor
        )
        connection.adapters.register_loader("jsonb", TextLoader)
        _own.connection = connection
    found: psycopg.Connection[Any] = _own.connection
    return found
