"""Write down which cases a batch is about, and what each looked like: the preview."""

import datetime as dt
import uuid
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

from reconciliation.models import Mismatch, TriageBatch, TriageBatchRow
from reconciliation.queries import case_queue
from reconciliation.queries.case_queue import CaseFilter
from reconciliation.services.acts import ACTS, UnknownAct
from reconciliation.states import BatchKind, BatchStatus
from settld.core import ids, transactions
from settld.core.errors import Invalid

MOST_ROWS: Final = 50_000
MOST_SELECTED: Final = 1_000
PREVIEW_LASTS: Final = dt.timedelta(hours=24)
_FORGOTTEN_AT_ONCE: Final = 5
_FREEZE: Final = """
INSERT INTO reconciliation_triage_batch_row
  (tenant_id, batch_id, position, triage_key, seen_revision, seen_hash, seen_status)
SELECT %s, %s, row_number() OVER (), chosen.* FROM ({rows}) AS chosen
"""


class NothingChosen(Invalid):
    """No case was chosen, or none of those that were is there."""

    message = "choose at least one case"


def freeze_selection(
    *, tenant_id: str, act: str, triage_keys: list[str], principal_id: str, now: dt.datetime
) -> TriageBatch:
    """Preview an act on chosen cases; those of another tenant are not there."""
    if not triage_keys:
        raise NothingChosen()
    if len(triage_keys) > MOST_SELECTED:
        raise Invalid(f"at most {MOST_SELECTED:,} cases can be chosen one by one; use a filter")
    rows = Mismatch.objects.filter(tenant_id=tenant_id, triage_key__in=triage_keys)
    return _freeze(
        tenant_id=tenant_id,
        kind=BatchKind.SELECTION,
        act=act,
        rows=rows,
        filters=None,
        principal_id=principal_id,
        now=now,
    )


def freeze_matching(
    *,
    tenant_id: str,
    act: str,
    wanted: CaseFilter,
    filters: dict[str, Any],
    principal_id: str,
    now: dt.datetime,
) -> TriageBatch:
    """Preview an act on every case that matches, the most urgent MOST_ROWS of them.

    `filters` is how the person spelled the filter, kept for whoever looks at the batch later.
    """
    return _freeze(
        tenant_id=tenant_id,
        kind=BatchKind.MATCHING,
        act=act,
        rows=case_queue.matching(tenant_id=tenant_id, wanted=wanted),
        filters=filters,
        principal_id=principal_id,
        now=now,
    )


def _freeze(
    *,
    tenant_id: str,
    kind: BatchKind,
    act: str,
    rows: QuerySet[Mismatch],
    filters: dict[str, Any] | None,
    principal_id: str,
    now: dt.datetime,
) -> TriageBatch:
    if act not in ACTS:
        raise UnknownAct()
    chosen = case_queue.in_order(rows, is_by_age=False).values(
        "triage_key", "triage_revision", "mismatch_hash", "triage_status"
    )
    query, parameters = chosen[: MOST_ROWS + 1].query.sql_with_params()
    with transactions.atomic():
        forget_old(tenant_id=tenant_id, now=now)
        batch = TriageBatch.objects.create(
            id=ids.uuid7(),
            tenant_id=tenant_id,
            kind=kind,
            act=act,
            filters=filters,
            row_count=0,
            created_by=principal_id,
            created_at=now,
        )
        with connection.cursor() as cursor:
            cursor.execute(_FREEZE.format(rows=query), [tenant_id, batch.pk, *parameters])
            found = cursor.rowcount
        if not found:
            raise NothingChosen()
        batch.is_cut = found > MOST_ROWS
        if batch.is_cut:
            TriageBatchRow.objects.filter(tenant_id=tenant_id, batch=batch, position__gt=MOST_ROWS).delete()
        batch.row_count = min(found, MOST_ROWS)
        batch.save(update_fields=["row_count", "is_cut"])
    return batch


def forget_old(*, tenant_id: str, now: dt.datetime) -> None:
    """Delete a few previews that nobody confirmed in time; what was carried out stays."""
    old: list[uuid.UUID] = list(
        TriageBatch.objects.filter(
            tenant_id=tenant_id, status=BatchStatus.PREVIEWED, created_at__lt=now - PREVIEW_LASTS
        )
        .order_by("created_at")
        .select_for_update(skip_locked=True)
        .values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE]
    )
    if old:
        TriageBatchRow.objects.filter(tenant_id=tenant_id, batch_id__in=old).delete()
        TriageBatch.objects.filter(tenant_id=tenant_id, pk__in=old).delete()
