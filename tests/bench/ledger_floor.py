"""The floor of posting: the same rows into the same tables by plain statements, one transaction each."""

import datetime as dt
import itertools
import os
import threading
import uuid
from typing import Any

import psycopg

TENANT = "ledger_floor"
_ENTRIES = """
INSERT INTO ledger_entry (tenant_id, entry_id, book, period, at, memo, source_type, source_id, reason,
  posting_count, share_count, content_hash, recorded_at)
VALUES (%s, %s, 'escrow', %s, %s, %s, 'bench', %s, '', 2, 0, %s, %s),
  (%s, %s, 'general', %s, %s, %s, 'bench', %s, '', 2, 2, %s, %s)
"""
_POSTINGS = """
INSERT INTO ledger_posting (tenant_id, entry_id, posting_no, account_id, book, currency, amount_cents,
  period, at)
VALUES (%s, %s, 0, %s, 'escrow', 'USD', %s, %s, %s), (%s, %s, 1, %s, 'escrow', 'USD', %s, %s, %s),
  (%s, %s, 0, 'acct_cash', 'general', 'USD', %s, %s, %s),
  (%s, %s, 1, 'acct_customer_escrow', 'general', 'USD', %s, %s, %s)
"""
_SHARES = """
INSERT INTO ledger_allocation (tenant_id, entry_id, posting_no, account_id, party_id, party_role, currency,
  amount_cents, period)
VALUES (%s, %s, 0, 'acct_cash', 'pty_platform', 'platform', 'USD', %s, %s),
  (%s, %s, 1, 'acct_customer_escrow', %s, 'customer', 'USD', %s, %s)
"""
_BALANCES = f"""
INSERT INTO ledger_balance AS b (tenant_id, account_id, currency, bucket, shard, amount_cents)
VALUES {", ".join(["(%s, %s, 'USD', %s, %s, %s)"] * 8)}
ON CONFLICT (tenant_id, account_id, currency, bucket, shard)
  DO UPDATE SET amount_cents = b.amount_cents + EXCLUDED.amount_cents
RETURNING amount_cents
"""
_HASH = "0" * 64
_own = threading.local()
_numbers = itertools.count()


def post(wallet: int, cents: int, now: dt.datetime) -> None:
    """Fund one wallet: an escrow entry and its general twin."""
    connection = _connection()
    name = f"floor_{os.getpid()}_{next(_numbers)}_{uuid.uuid4()}"
    twin, period, day = f"jnl_{name}", now.strftime("%Y-%m"), now.strftime("%Y-%m-%d")
    shard = connection.info.backend_pid % 16
    available, funding = f"wallet:{TENANT}:wallet_{wallet}:available", f"external:{TENANT}:funding"
    amounts = [
        ("acct_cash", cents, shard),
        ("acct_customer_escrow", -cents, shard),
        (funding, -cents, shard),
        (available, cents, 0),
    ]
    balances: list[Any] = []
    for account, change, part in amounts:
        balances += [TENANT, account, "", part, change, TENANT, account, day, part, change]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            _ENTRIES,
            [
                TENANT,
                name,
                period,
                now,
                name,
                name,
                _HASH,
                now,
                TENANT,
                twin,
                period,
                now,
                name,
                name,
                _HASH,
                now,
            ],
        )
        cursor.execute(
            _POSTINGS,
            [
                TENANT, name, funding, -cents, period, now, TENANT, name, available, cents, period, now,
                TENANT, twin, cents, period, now, TENANT, twin, -cents, period, now,
            ],
        )  # fmt: skip
        cursor.execute(
            _SHARES,
            [TENANT, twin, cents, period, TENANT, twin, f"pty_customer:agent_{wallet}", -cents, period],
        )
        cursor.execute(_BALANCES, balances)
        cursor.fetchall()


def _connection() -> "psycopg.Connection[Any]":
    if not hasattr(_own, "connection"):
        _own.connection = psycopg.connect(
            os.environ["LEDGER_FLOOR_URL"], autocommit=True, cursor_factory=psycopg.Cursor
        )
    connection: psycopg.Connection[Any] = _own.connection
    return connection
