"""The accounts of book general that a tenant may post on."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from settld.ledger.states import GENERAL_ACCOUNTS

_PAGE: Final = """
SELECT account_id, display_name, created_at FROM (
  SELECT account_id, display_name, created_at FROM ledger_account
  WHERE tenant_id = %(tenant)s AND book = 'general'
  UNION ALL
  SELECT given, '', NULL FROM unnest(%(general)s::text[]) AS given
  WHERE NOT EXISTS (
    SELECT FROM ledger_account WHERE tenant_id = %(tenant)s AND account_id = given)) AS account
ORDER BY account_id COLLATE "C" LIMIT %(limit)s OFFSET %(offset)s
"""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account of book general; `created_at` is None for one that every tenant has and nobody used yet."""

    account_id: str
    display_name: str
    created_at: dt.datetime | None

    @property
    def is_own(self) -> bool:
        """Tell whether the tenant added it."""
        return self.account_id not in GENERAL_ACCOUNTS


def general_accounts(*, tenant_id: str, limit: int, offset: int = 0) -> list[AccountRow]:
    """List them by id: those that every tenant has and those that this one added."""
    given: dict[str, Any] = {
        "tenant": tenant_id,
        "general": list(GENERAL_ACCOUNTS),
        "limit": limit,
        "offset": offset,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAGE, given)
        return [AccountRow(*row) for row in cursor.fetchall()]
