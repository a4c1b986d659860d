"""Short ways to accounts and entries for the ledger's tests."""

import datetime as dt

from django.db import connection

from settld.core import tenancy
from settld.ledger import attribution
from settld.ledger.models import MonthClose, MonthStatus
from settld.ledger.queries import checks
from settld.ledger.services import accounts, journal, months
from settld.ledger.services.journal import EntryDraft, Line, Posted, Share
from settld.ledger.states import Book

TENANT = "tenant_a"
NOW = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
WALLET_A = f"wallet:{TENANT}:wallet_a:available"
WALLET_B = f"wallet:{TENANT}:wallet_b:available"
FUNDING = f"external:{TENANT}:funding"


def open_accounts() -> None:
    """Make the accounts that the tests post on: two wallets, the world outside, the general ones."""
    accounts.ensure_general(tenant_id=TENANT, now=NOW)
    wanted = [(WALLET_A, Book.ESCROW, True), (WALLET_B, Book.ESCROW, True), (FUNDING, Book.ESCROW, False)]
    accounts.ensure(tenant_id=TENANT, accounts=wanted, now=NOW)


def escrow(entry_id, *amounts, at=NOW, currency="USD", **more) -> EntryDraft:
    """Draft an entry of book escrow from (account, amount) pairs; an amount may bring its currency."""
    lines = tuple(Line(account, cents, *(other or [currency])) for account, cents, *other in amounts)
    given = {"memo": "test", "source_type": "test", "source_id": entry_id} | more
    return EntryDraft(entry_id=entry_id, book=Book.ESCROW, at=at, lines=lines, **given)


def general(entry_id, *amounts, at=NOW, currency="USD", shares=None, **more) -> EntryDraft:
    """Draft an entry of book general, each posting wholly the party's that its account speaks of."""
    lines = tuple(
        Line(
            account,
            cents,
            currency,
            (Share(*attribution.party_of(account), cents),) if shares is None else shares[number],
        )
        for number, (account, cents) in enumerate(amounts)
    )
    given = {"memo": "job:run_1 TEST", "source_type": "test", "source_id": entry_id} | more
    return EntryDraft(entry_id=entry_id, book=Book.GENERAL, at=at, lines=lines, **given)


def funding(entry_id, cents, *, wallet=WALLET_A, at=NOW) -> EntryDraft:
    """Draft money that comes into a wallet."""
    return escrow(entry_id, (FUNDING, -cents), (wallet, cents), at=at)


def post(*entries: EntryDraft, now: dt.datetime = NOW) -> Posted:
    """Post for the tenant of the tests."""
    return journal.post(tenant_id=TENANT, entries=entries, now=now)


def close_month(month: str = "2026-03") -> None:
    """Close a month's row as the close does, without its documents."""
    row = months.lock_exclusively(tenant_id=TENANT, month=month, basis="settledAt", now=NOW)
    MonthClose.objects.filter(pk=row.pk).update(
        status=MonthStatus.CLOSED,
        requested_at=NOW,
        closed_at=NOW,
        last_event_id="evt_1",
        last_chain_hash="0" * 64,
    )


def settle_rules() -> None:
    """Have the database look now at what it otherwise looks at with COMMIT."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


def faults(check: str) -> list[tuple[object, ...]]:
    """Run one of the checks of the books for the tenant of the tests."""
    with tenancy.tenant_scope(TENANT), connection.cursor() as cursor:
        cursor.execute(check, {"tenant_id": TENANT})
        return list(cursor.fetchall())


def all_faults() -> list[tuple[object, ...]]:
    """Run every check of the books."""
    return [
        *faults(checks.BALANCES_DIFFER),
        *faults(checks.ENTRIES_UNBALANCED),
        *faults(checks.SHARES_DIFFER),
    ]
