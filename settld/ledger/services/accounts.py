"""Making accounts: those that every tenant has, those of wallets, and those a tenant adds."""

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.db import connection, transaction

from settld.audit import services as audit
from settld.core import failpoints, rows, transactions
from settld.core.errors import Conflict, Invalid
from settld.core.principals import Actor
from settld.ledger.models import LedgerAccount
from settld.ledger.states import GENERAL_ACCOUNTS, Book

ACCOUNT_ID: Final = re.compile(r"acct_[a-z0-9_]{1,120}")
MOST_REMEMBERED: Final = 50_000
_ADD: Final = """
INSERT INTO ledger_account (tenant_id, account_id, book, is_exact, display_name, created_at)
VALUES (%s, %s, 'general', false, %s, %s)
ON CONFLICT (tenant_id, account_id) DO NOTHING
"""
_INSERT: Final = """
INSERT INTO ledger_account (tenant_id, account_id, book, is_exact, display_name, created_at)
SELECT %s, given.account_id, given.book, given.is_exact, '', %s
FROM unnest(%s::text[], %s::text[], %s::boolean[]) AS given (account_id, book, is_exact)
WHERE NOT EXISTS (SELECT FROM ledger_account AS old
  WHERE old.tenant_id = %s AND old.account_id = given.account_id)
ORDER BY given.account_id
ON CONFLICT (tenant_id, account_id) DO NOTHING
"""

# By connection to the database, and forgotten with it: the accounts that we know to be committed.
_seen: Final["WeakKeyDictionary[Any, set[tuple[str, str]]]"] = WeakKeyDictionary()


class LedgerAccountExists(Conflict):
    """The tenant has the account already, or every tenant has it."""

    code = "LEDGER_ACCOUNT_EXISTS"
    message = "ledger account exists already"


def ensure(*, tenant_id: str, accounts: Iterable[tuple[str, Book, bool]], now: dt.datetime) -> None:
    """Make the accounts that are not there yet, each given as (account_id, book, is_exact).

    Accounts that this connection has seen committed cost nothing. An account that exists stays as it is;
    one in another book is found out by `journal.post`.
    """
    seen = _remembered()
    missing = {
        account_id: (book, is_exact)
        for account_id, book, is_exact in accounts
        if (tenant_id, account_id) not in seen
    }
    if not missing:
        return
    names = sorted(missing)
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                tenant_id, now, names, [str(missing[name][0]) for name in names],
                [missing[name][1] for name in names], tenant_id,
            ],
        )  # fmt: skip
    transaction.on_commit(lambda: _remember(tenant_id, names))


def ensure_general(*, tenant_id: str, now: dt.datetime) -> None:
    """Make the accounts of book general that every tenant has."""
    if (tenant_id, GENERAL_ACCOUNTS[-1]) not in _remembered():
        ensure(
            tenant_id=tenant_id, accounts=[(name, Book.GENERAL, False) for name in GENERAL_ACCOUNTS], now=now
        )


def open_general(
    *, tenant_id: str, account_id: str, display_name: str, actor: Actor, now: dt.datetime
) -> LedgerAccount:
    """Add an account to the tenant's book general, and audit it as LEDGER_ACCOUNT_OPENED.

    An account is never changed nor removed. Its name also decides which party its postings are attributed to
    when nobody says it (`attribution.role_of`). Raises Invalid, LedgerAccountExists.
    """
    if not ACCOUNT_ID.fullmatch(account_id):
        raise Invalid("accountId must match acct_[a-z0-9_]{1,120}")
    if account_id in GENERAL_ACCOUNTS:
        raise LedgerAccountExists()
    with transactions.joined():
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [tenant_id, account_id, display_name, now])
            if cursor.rowcount != 1:
                raise LedgerAccountExists()
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="LEDGER_ACCOUNT_OPENED",
            target_type="ledger_account",
            target_id=account_id,
            details={"displayName": display_name},
            at=now,
        )
        account = rows.first(LedgerAccount, "tenant_id = %s AND account_id = %s", [tenant_id, account_id])
        failpoints.hit("ledger.open_account.before_commit")
    if account is None:
        raise RuntimeError("the account vanished; accounts are never deleted")
    return account


def _remembered() -> set[tuple[str, str]]:
    connection.ensure_connection()
    return _seen.setdefault(connection.connection, set())


def _remember(tenant_id: str, names: Iterable[str]) -> None:
    seen = _remembered()
    if len(seen) > MOST_REMEMBERED:
        seen.clear()
    seen.update((tenant_id, name) for name in names)
