"""Every SQL check that the product has of a tenant's money, over all of its rows at once."""

import datetime as dt
from typing import Any

from django.db import connection

from reconciliation.invariants import INVARIANTS
from settld.core import clock
from settld.kernel.queries import checks as kernel_checks
from settld.kernel.queries import payout_checks
from settld.ledger.queries import checks as ledger_checks

_EVERYTHING, _LAST_KEY = 1_000_000, "\U0010ffff"
# The monitor's invariants say the rest of what these modules say.
_PLAIN = {
    "BALANCES_DIFFER": ledger_checks.BALANCES_DIFFER,
    "ESCROW_UNLIKE_HOLDINGS": kernel_checks.ESCROW_UNLIKE_HOLDINGS,
}
_REST = {
    "ENTRIES_UNBALANCED": ledger_checks.ENTRIES_UNBALANCED,
    "SHARES_DIFFER": ledger_checks.SHARES_DIFFER,
    "WALLETS_UNLIKE_LEDGER": kernel_checks.WALLETS_UNLIKE_LEDGER,
    **{check.code: check.sql for check in payout_checks.CHECKS},
}


def breaches(*, tenant_id: str, now: dt.datetime, is_quick: bool = False) -> dict[str, list[Any]]:
    """Give the rows that break a rule, by its name; the caller is in the tenant's scope.

    `is_quick` leaves out statements that say in other words what one of the monitor's says.
    """
    yesterday = now - dt.timedelta(days=1)
    named = {
        "tenant_id": tenant_id, "limit": 50, "after": "", "batch": _EVERYTHING, "suspects": [],
        "upto": _LAST_KEY, "since": now,
        "periods": [clock.period_of(now)], "today": clock.day_key(now), "yesterday": clock.day_key(yesterday),
        "today_period": clock.period_of(now),
    }  # fmt: skip
    found: dict[str, list[Any]] = {}
    with connection.cursor() as cursor:
        for name, sql in (_PLAIN if is_quick else _PLAIN | _REST).items():
            cursor.execute(sql, {"tenant_id": tenant_id})
            found[name] = cursor.fetchall()
        for invariant in INVARIANTS:
            cursor.execute(invariant.statement, named)
            found[invariant.name] = cursor.fetchall()
    return {name: rows for name, rows in found.items() if rows}
