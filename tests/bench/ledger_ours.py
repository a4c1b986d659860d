"""Posting as the product does it: one call of the journal, in a transaction of its own; and the check."""

import datetime as dt
import itertools
import os
import uuid

from django.db import connection

from settld.core import clock, tenancy, transactions
from settld.ledger.queries.checks import BALANCES_DIFFER_ANYWHERE, ENTRIES_UNBALANCED_ANYWHERE
from settld.ledger.services import accounts, journal, months
from settld.ledger.services.journal import EntryDraft, Line, Share
from settld.ledger.states import Book

TENANT = "ledger_ours"
_numbers = itertools.count()


def post(wallet: int, cents: int, now: dt.datetime) -> None:
    """Fund one wallet: an escrow entry and its general twin."""
    name = f"ours_{os.getpid()}_{next(_numbers)}_{uuid.uuid4()}"
    available, funding = f"wallet:{TENANT}:wallet_{wallet}:available", f"external:{TENANT}:funding"
    entry = EntryDraft(
        entry_id=name, book=Book.ESCROW, at=now, memo=name, source_type="bench", source_id=name,
        lines=(Line(funding, -cents, "USD"), Line(available, cents, "USD")),
    )  # fmt: skip
    twin = EntryDraft(
        entry_id=f"jnl_{name}", book=Book.GENERAL, at=now, memo=name, source_type="bench", source_id=name,
        lines=(
            Line("acct_cash", cents, "USD", (Share("pty_platform", "platform", cents),)),
            Line(
                "acct_customer_escrow", -cents, "USD",
                (Share(f"pty_customer:agent_{wallet}", "customer", -cents),),
            ),
        ),
    )  # fmt: skip
    with tenancy.tenant_scope(TENANT):
        posted = journal.post(tenant_id=TENANT, entries=[entry, twin], now=now)
    if len(posted.new_entry_ids) != 2 or (available, "USD") not in posted.balances:
        raise RuntimeError(f"{name} was not posted")


def prepare(tenant_id: str, *, wallets: int, now: dt.datetime) -> None:
    """Make the accounts of one side."""
    with tenancy.tenant_scope(tenant_id):
        accounts.ensure_general(tenant_id=tenant_id, now=now)
        named = [(f"wallet:{tenant_id}:wallet_{n}:available", Book.ESCROW, True) for n in range(wallets)]
        outside = (f"external:{tenant_id}:funding", Book.ESCROW, False)
        accounts.ensure(tenant_id=tenant_id, accounts=[*named, outside], now=now)
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        months.lock_shared(tenant_id=tenant_id, month=clock.period_of(now), basis="settledAt", now=now)


def problems() -> list[str]:
    """Tell what is wrong with the books of both sides."""
    found = []
    with tenancy.platform_scope(reason="bench"), transactions.snapshot(), connection.cursor() as cursor:
        for check in (BALANCES_DIFFER_ANYWHERE, ENTRIES_UNBALANCED_ANYWHERE):
            cursor.execute(check)
            found += [str(row) for row in cursor.fetchmany(10)]
    return found
