"""Which Connect account a party's payout goes to, and the accounts as they stand (spec 2.5)."""

import datetime as dt
from collections.abc import Iterable

from django.conf import settings
from django.db import connection
from django.db.models import Q

from moneyrails.models import ConnectAccount
from settld.core import tenancy

PREFIX = "stripe_connect:"
_HELD = "SELECT * FROM stripe_connect_account WHERE tenant_id = %s AND account_id = %s FOR SHARE"

# Tenants by a walk over the index, a few rows of each, then everybody's first row before anybody's second.
_STALEST = """
WITH RECURSIVE tenants AS (
  (SELECT tenant_id FROM stripe_connect_account ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT next.tenant_id FROM stripe_connect_account next
           WHERE next.tenant_id > tenants.tenant_id ORDER BY next.tenant_id LIMIT 1)
    FROM tenants WHERE tenants.tenant_id IS NOT NULL
)
SELECT due.tenant_id, due.account_id
FROM tenants CROSS JOIN LATERAL (
  SELECT account.tenant_id, account.account_id, account.kyb_last_sync_at,
    row_number() OVER (ORDER BY account.kyb_last_sync_at NULLS FIRST, account.id) AS place
  FROM stripe_connect_account account
  WHERE account.tenant_id = tenants.tenant_id
    AND (account.kyb_last_sync_at IS NULL OR account.kyb_last_sync_at <= %(before)s)
  ORDER BY account.kyb_last_sync_at NULLS FIRST, account.id
  LIMIT %(limit)s
) due
ORDER BY due.place, due.kyb_last_sync_at NULLS FIRST, due.tenant_id
LIMIT %(limit)s
"""


def is_eligible(account: ConnectAccount, *, now: dt.datetime) -> bool:
    """Tell whether a payout may go to an account now."""
    return not obstacles(account, now=now)


def obstacles(account: ConnectAccount, *, now: dt.datetime) -> list[str]:
    """Name what keeps payouts from going to an account now."""
    return account.obstacles(now=now, max_sync_age_seconds=settings.CONNECT_MAX_SYNC_AGE_SECONDS)


def account_for_party(*, tenant_id: str, party_id: str, now: dt.datetime) -> ConnectAccount | None:
    """Resolve the eligible account of a party; None when there is none.

    The party's own account decides, eligible or not. Only a party without one falls back to the
    default account, and only if that belongs to no other party.
    """
    rows = list(ConnectAccount.objects.filter(Q(party_id=party_id) | Q(is_default=True), tenant_id=tenant_id))
    own = [row for row in rows if row.party_id == party_id]
    shared = [row for row in rows if row.is_default and not row.party_id]
    account = next(iter(own or shared), None)
    return account if account is not None and is_eligible(account, now=now) else None


def is_payable(
    *, tenant_id: str, counterparty_ref: str, party_id: str, now: dt.datetime, hold: bool = False
) -> bool:
    """Tell whether the account that an operation names may still receive this party's payout.

    With `hold` the row stays as it is until commit: when a sync that takes an account's permission away
    has been answered, no dispatch that missed it is still on its way.
    """
    account_id = counterparty_ref.removeprefix(PREFIX)
    if hold:
        account = next(iter(ConnectAccount.objects.raw(_HELD, [tenant_id, account_id])), None)
    else:
        account = find(tenant_id=tenant_id, account_id=account_id)
    return account is not None and account.party_id in ("", party_id) and is_eligible(account, now=now)


# --- The configuration as a whole -----------------------------------------------------------------
def accounts(*, tenant_id: str) -> list[ConnectAccount]:
    """List a tenant's accounts by id."""
    return list(ConnectAccount.objects.filter(tenant_id=tenant_id).order_by("account_id"))


def find(*, tenant_id: str, account_id: str) -> ConnectAccount | None:
    """Find one account."""
    return ConnectAccount.objects.filter(tenant_id=tenant_id, account_id=account_id).first()


# --- Over all tenants -----------------------------------------------------------------------------
def stalest(*, before: dt.datetime, limit: int) -> list[tuple[str, str]]:
    """Name (tenant, account) whose last sync is older, never synced first; the tenants take turns."""
    with (
        tenancy.platform_scope(reason="connect sync: find stale accounts"),
        connection.cursor() as cursor,
    ):
        cursor.execute(_STALEST, {"before": before, "limit": limit})
        return [(tenant_id, account_id) for tenant_id, account_id in cursor]


def holders(account_ids: Iterable[str]) -> list[ConnectAccount]:
    """List the rows of every tenant that configured one of some accounts."""
    with tenancy.platform_scope(reason="connect events: find an account's tenants"):
        rows = ConnectAccount.objects.filter(account_id__in=list(account_ids))
        return list(rows.order_by("tenant_id", "account_id"))
