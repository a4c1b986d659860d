"""What stands on accounts, now or at an instant."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

_NOW: Final = """
SELECT coalesce(sum(amount_cents), 0) FROM ledger_balance
WHERE tenant_id = %(tenant)s AND account_id = {account} AND currency = {currency} AND bucket = ''
"""
# Whole days first, then the postings between the instant and the midnight nearer to it.
_SINCE_MIDNIGHT: Final = """
SELECT coalesce(sum(amount_cents), 0) FROM (
  SELECT amount_cents FROM ledger_balance
  WHERE tenant_id = %(tenant)s AND account_id = {account} AND currency = {currency}
    AND bucket > '' AND bucket < %(day)s
  UNION ALL
  SELECT amount_cents FROM ledger_posting
  WHERE tenant_id = %(tenant)s AND account_id = {account} AND currency = {currency}
    AND at >= %(day_start)s AND at <= %(at)s) AS part
"""
_UNTIL_MIDNIGHT: Final = """
SELECT coalesce(sum(amount_cents), 0) FROM (
  SELECT amount_cents FROM ledger_balance
  WHERE tenant_id = %(tenant)s AND account_id = {account} AND currency = {currency}
    AND bucket > '' AND bucket <= %(day)s
  UNION ALL
  SELECT -amount_cents FROM ledger_posting
  WHERE tenant_id = %(tenant)s AND account_id = {account} AND currency = {currency}
    AND at > %(at)s AND at <= %(day_end)s) AS part
"""
_ONE: Final = {"account": "%(account)s", "currency": "%(currency)s"}
_EACH: Final = {"account": "page.account_id", "currency": "page.currency"}
_PAGE: Final = """
SELECT page.account_id, page.currency, account.book, standing.amount_cents
FROM (
  SELECT DISTINCT account_id, currency FROM ledger_balance
  WHERE tenant_id = %(tenant)s AND bucket = '' {only}
  ORDER BY account_id, currency LIMIT %(limit)s OFFSET %(offset)s) AS page
JOIN ledger_account AS account ON account.tenant_id = %(tenant)s AND account.account_id = page.account_id
CROSS JOIN LATERAL ({amount}) AS standing (amount_cents)
ORDER BY page.account_id, page.currency
"""


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """What stands on an account in one currency, in minor units; positive is debit (wallets: money there)."""

    account_id: str
    currency: str
    book: str
    amount_cents: int


def balance(*, tenant_id: str, account_id: str, currency: str, at: dt.datetime | None = None) -> int:
    """Tell what stands on an account, after all postings or after those at or before an instant.

    It is one statement, so it sees the books as of one moment; an account without postings has 0.
    """
    given = {"tenant": tenant_id, "account": account_id, "currency": currency} | _times(at)
    with connection.cursor() as cursor:
        cursor.execute(_amount(at).format(**_ONE), given)
        return int(cursor.fetchone()[0])


def balances(
    *,
    tenant_id: str,
    limit: int,
    offset: int = 0,
    at: dt.datetime | None = None,
    account_id: str | None = None,
) -> list[BalanceRow]:
    """List accounts that have postings, by id and currency; `at` as for `balance`."""
    only = "AND account_id = %(account)s" if account_id is not None else ""
    given = {"tenant": tenant_id, "account": account_id, "limit": limit, "offset": offset} | _times(at)
    with connection.cursor() as cursor:
        cursor.execute(_PAGE.format(only=only, amount=_amount(at).format(**_EACH)), given)
        found = cursor.fetchall()
    return [BalanceRow(account, currency, book, int(cents)) for account, currency, book, cents in found]


def _amount(at: dt.datetime | None) -> str:
    if at is None:
        return _NOW
    return _SINCE_MIDNIGHT if at.astimezone(dt.UTC).hour < 12 else _UNTIL_MIDNIGHT


def _times(at: dt.datetime | None) -> dict[str, Any]:
    if at is None:
        return {}
    start = at.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last = start.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return {"at": at, "day": start.isoformat()[:10], "day_start": start, "day_end": last}
