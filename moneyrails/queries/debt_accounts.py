"""The debt accounts of a tenant: who owes what after reversals, narrowed by the reversals that made it."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from moneyrails.models import ChargebackEntry, PartyBalance
from moneyrails.queries.chargebacks import Account
from moneyrails.states import EntryKind

_SUMS = """
WITH wanted AS (
  SELECT * FROM unnest(%(parties)s::text[], %(currencies)s::text[], %(modes)s::text[])
    AS given(party_id, currency, provider_mode)
), reversal AS (
  SELECT entry.id, entry.party_id, entry.currency, entry.provider_mode, entry.amount_cents, entry.at
  FROM wanted
  JOIN chargeback_entry entry ON entry.tenant_id = %(tenant_id)s AND entry.kind = 'reversal'
    AND (entry.party_id, entry.currency, entry.provider_mode)
      = (wanted.party_id, wanted.currency, wanted.provider_mode)
  JOIN money_rail_operation operation
    ON operation.id = entry.operation_id AND operation.tenant_id = entry.tenant_id
  WHERE (%(provider_id)s = '' OR operation.provider_id = %(provider_id)s)
    AND (%(period)s = '' OR operation.period = %(period)s)
), repaid AS (
  SELECT reversal.id,
    sum(CASE entry.kind WHEN 'recovery' THEN entry.amount_cents WHEN 'release' THEN -entry.amount_cents
      ELSE 0 END) AS recovered_cents,
    sum(CASE entry.kind WHEN 'adjustment' THEN entry.amount_cents ELSE 0 END) AS adjusted_cents
  FROM reversal JOIN chargeback_entry entry
    ON entry.reversal_id = reversal.id AND entry.tenant_id = %(tenant_id)s
  GROUP BY reversal.id
)
SELECT party_id, currency, provider_mode, count(*), sum(amount_cents), coalesce(sum(recovered_cents), 0),
  coalesce(sum(adjusted_cents), 0), max(at)
FROM reversal LEFT JOIN repaid ON repaid.id = reversal.id
GROUP BY party_id, currency, provider_mode
"""


@dataclass(frozen=True)
class AccountFilter:
    """Which accounts, by their parties and reversals; an empty text is any."""

    text: str = ""
    party_id: str = ""
    provider_id: str = ""
    provider_mode: str = ""
    period: str = ""
    only_open: bool = False


@dataclass(frozen=True)
class AccountSums:
    """An account's selected reversals and what repaid them."""

    reversed_count: int
    reversed_cents: int
    recovered_cents: int
    adjusted_cents: int
    latest_reversed_at: dt.datetime | None

    @property
    def open_cents(self) -> int:
        """Give what the selected reversals still have open."""
        return self.reversed_cents - self.recovered_cents - self.adjusted_cents


NOTHING = AccountSums(0, 0, 0, 0, None)


@dataclass(frozen=True)
class Total:
    """The debts of one mode and currency, over every page."""

    provider_mode: str
    currency: str
    account_count: int
    owing_count: int
    outstanding_cents: int


def accounts(*, tenant_id: str, wanted: AccountFilter) -> "QuerySet[PartyBalance]":
    """Select the accounts that ever had a reversal and pass the filter; sort them by debt and id."""
    rows = PartyBalance.objects.filter(tenant_id=tenant_id, last_reversed_at__isnull=False)
    if wanted.only_open:
        rows = rows.filter(outstanding_cents__gt=0)
    if wanted.party_id:
        rows = rows.filter(party_id=wanted.party_id)
    if wanted.provider_mode:
        rows = rows.filter(provider_mode=wanted.provider_mode)
    if wanted.provider_id or wanted.period:
        rows = rows.filter(Exists(_reversals(wanted)))
    if wanted.text:
        named = Q(operation__operation_id__startswith=wanted.text) | Q(operation__provider_ref=wanted.text)
        has_named = Exists(_reversals(AccountFilter()).filter(named))
        rows = rows.filter(Q(party_id__icontains=wanted.text) | has_named)
    return rows


def _reversals(wanted: AccountFilter) -> "QuerySet[ChargebackEntry]":
    rows = ChargebackEntry.objects.filter(
        kind=EntryKind.REVERSAL,
        **{name: OuterRef(name) for name in ("tenant_id", "party_id", "currency", "provider_mode")},
    )
    if wanted.provider_id:
        rows = rows.filter(operation__provider_id=wanted.provider_id)
    if wanted.period:
        rows = rows.filter(operation__period=wanted.period)
    return rows


def totals(*, tenant_id: str, wanted: AccountFilter) -> list[Total]:
    """Sum up what the filter lets through, by mode and currency."""
    rows = (
        accounts(tenant_id=tenant_id, wanted=wanted)
        .values_list("provider_mode", "currency")
        .annotate(
            account_count=Count("pk"),
            owing_count=Count("pk", filter=Q(outstanding_cents__gt=0)),
            cents=Sum("outstanding_cents"),
        )
        .order_by("provider_mode", "currency")
    )
    return [Total(mode, currency, count, owing, int(cents)) for mode, currency, count, owing, cents in rows]


def sums(
    *, tenant_id: str, of: Iterable[PartyBalance], provider_id: str = "", period: str = ""
) -> dict[Account, AccountSums]:
    """Sum up the selected reversals of some accounts: one statement for a whole page."""
    rows = list(of)
    if not rows:
        return {}
    parameters: dict[str, Any] = {
        "tenant_id": tenant_id,
        "parties": [row.party_id for row in rows],
        "currencies": [row.currency for row in rows],
        "modes": [row.provider_mode for row in rows],
        "provider_id": provider_id,
        "period": period,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, parameters)
        found = cursor.fetchall()
    return {
        Account(tenant_id, party_id, currency, mode): AccountSums(
            int(count), int(reversed_cents), int(recovered), int(adjusted), latest
        )
        for party_id, currency, mode, count, reversed_cents, recovered, adjusted, latest in found
    }


def account_of(balance: PartyBalance) -> Account:
    """Name the account of a balance row."""
    return Account(balance.tenant_id, balance.party_id, balance.currency, balance.provider_mode)
