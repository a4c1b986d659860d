"""Which Connect account a party's payout goes to (spec 2.5)."""

import datetime as dt

from django.conf import settings
from django.db.models import Q

from moneyrails.models import ConnectAccount

PREFIX = "stripe_connect:"


def is_eligible(account: ConnectAccount, *, now: dt.datetime) -> bool:
    """Tell whether a payout may go to an account now."""
    return account.is_eligible(now=now, max_sync_age_seconds=settings.CONNECT_MAX_SYNC_AGE_SECONDS)


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


def is_payable(*, tenant_id: str, counterparty_ref: str, party_id: str, now: dt.datetime) -> bool:
    """Tell whether the account that an operation names may still receive this party's payout."""
    account = ConnectAccount.objects.filter(
        tenant_id=tenant_id, account_id=counterparty_ref.removeprefix(PREFIX)
    ).first()
    return account is not None and account.party_id in ("", party_id) and is_eligible(account, now=now)
