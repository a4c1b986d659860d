"""Locking a month: shared by whoever adds to its books, exclusively by whoever closes or reopens it."""

import datetime as dt

from django.db import connection

from settld.core import ids
from settld.ledger.models import MonthClose

_ENSURE = """
INSERT INTO month_close
  (id, tenant_id, month, basis, status, request_pending, generation, created_at, updated_at)
VALUES (%s, %s, %s, %s, 'OPEN', false, 1, %s, %s)
ON CONFLICT (tenant_id, month, basis) DO NOTHING
"""


def lock_exclusively(*, tenant_id: str, month: str, basis: str, now: dt.datetime) -> MonthClose:
    """Lock a month for a change of its status; makes the row first, so that there is one to lock."""
    _ensure(tenant_id=tenant_id, month=month, basis=basis, now=now)
    return MonthClose.objects.select_for_update().get(tenant_id=tenant_id, month=month, basis=basis)


def lock_shared(*, tenant_id: str, month: str, basis: str, now: dt.datetime) -> MonthClose:
    """Lock a month against closing while something is added to it; others may add at the same time."""
    month_row = _locked_shared(tenant_id=tenant_id, month=month, basis=basis)
    if month_row is None:
        _ensure(tenant_id=tenant_id, month=month, basis=basis, now=now)
        month_row = _locked_shared(tenant_id=tenant_id, month=month, basis=basis)
    if month_row is None:
        raise RuntimeError("the month's row vanished; rows of months are never deleted")
    return month_row


def _ensure(*, tenant_id: str, month: str, basis: str, now: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ENSURE, [ids.uuid7(), tenant_id, month, basis, now, now])


def _locked_shared(*, tenant_id: str, month: str, basis: str) -> MonthClose | None:
    rows = MonthClose.objects.raw(
        "SELECT * FROM month_close WHERE tenant_id = %s AND month = %s AND basis = %s FOR SHARE",
        [tenant_id, month, basis],
    )
    return next(iter(rows), None)
