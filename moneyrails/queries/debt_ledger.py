"""One party's debt account, entry by entry: reversals, what repaid them, and what was owed when."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from moneyrails.models import ChargebackEntry, PartyBalance
from moneyrails.queries.chargebacks import Account
from moneyrails.states import EntryKind

_REPAID = """
SELECT reversal_id,
  coalesce(sum(amount_cents) FILTER (WHERE kind = 'recovery'), 0)
    - coalesce(sum(amount_cents) FILTER (WHERE kind = 'release'), 0),
  coalesce(sum(amount_cents) FILTER (WHERE kind = 'adjustment'), 0),
  count(*)
FROM chargeback_entry WHERE tenant_id = %s AND reversal_id = ANY(%s) GROUP BY reversal_id
"""


@dataclass(frozen=True)
class Repaid:
    """What a reversal got back, and in how many entries."""

    recovered_cents: int = 0
    adjusted_cents: int = 0
    entry_count: int = 0


def balance(account: Account) -> PartyBalance | None:
    """Give an account that ever had a reversal."""
    return PartyBalance.objects.filter(**account.filter(), last_reversed_at__isnull=False).first()


def entries(account: Account) -> "QuerySet[ChargebackEntry]":
    """List an account's entries with their operations; sort them by seq."""
    rows = ChargebackEntry.objects.filter(**account.filter())
    return rows.select_related("operation", "reversal__operation")


def reversals(account: Account) -> "QuerySet[ChargebackEntry]":
    """List an account's reversals with their operations; sort them by seq."""
    rows = ChargebackEntry.objects.filter(**account.filter(), kind=EntryKind.REVERSAL)
    return rows.select_related("operation")


def repaid(*, tenant_id: str, of: Iterable[ChargebackEntry]) -> dict[object, Repaid]:
    """Sum up what repaid some reversals, by their ids."""
    with connection.cursor() as cursor:
        cursor.execute(_REPAID, [tenant_id, [row.pk for row in of]])
        return {
            key: Repaid(int(recovered), int(adjusted), int(count))
            for key, recovered, adjusted, count in cursor.fetchall()
        }


def newest_repayments(
    *, tenant_id: str, of: Iterable[ChargebackEntry], most: int
) -> dict[object, list[ChargebackEntry]]:
    """Give the newest entries about each of some reversals, oldest first, at most so many of each."""
    rows = (
        ChargebackEntry.objects.filter(tenant_id=tenant_id, reversal__in=[row.pk for row in of])
        .annotate(place=Window(RowNumber(), partition_by=F("reversal_id"), order_by=F("seq").desc()))
        .filter(place__lte=most)
        .select_related("operation")
        .order_by("seq")
    )
    found: dict[object, list[ChargebackEntry]] = {}
    for row in rows:
        found.setdefault(row.reversal_id, []).append(row)
    return found


def levels(account: Account, *, most: int) -> list[tuple[dt.datetime, int]]:
    """Give the newest changes of what was owed, oldest first: when recorded, and owed from there on."""
    rows = ChargebackEntry.objects.filter(**account.filter()).order_by("-seq")
    return list(rows.values_list("recorded_at", "outstanding_after_cents")[:most])[::-1]
