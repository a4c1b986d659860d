"""Owing an effect."""

import datetime as dt
import json
from typing import Any

from django.db import connection
from django.db.models import F

from settld.core import clock, ids
from settld.outbox import bell
from settld.outbox.models import OutboxJob
from settld.outbox.states import JobStatus

_INSERT = """
INSERT INTO outbox_job (id, tenant_id, kind, dedupe_key, payload, status, available_at, lease_owner,
                        lease_version, attempt_count, last_error, created_at)
VALUES (%s, %s, %s, %s, %s::jsonb, 'pending', %s, '', 0, 0, '', %s)
ON CONFLICT (tenant_id, dedupe_key) DO NOTHING
"""


def enqueue(
    *,
    tenant_id: str,
    kind: str,
    dedupe_key: str,
    payload: dict[str, Any],
    available_at: dt.datetime | None = None,
) -> bool:
    """Owe an effect in the caller's transaction; False when the key is known and nothing was added.

    The job exists iff the transaction commits. A worker is woken after the commit.
    """
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [ids.uuid7(), tenant_id, kind, dedupe_key, json.dumps(payload), available_at or now, now],
        )
        is_new = int(cursor.rowcount) == 1
    bell.ring_on_commit(tenant_id=tenant_id)
    return is_new


def requeue(*, tenant_id: str, dedupe_key: str, now: dt.datetime | None = None) -> bool:
    """Make a job due at once, with its attempts counted anew; False when it is done, leased or unknown.

    This is how a person brings a dead letter back, and how a repeated request hurries a waiting job.
    """
    waiting = OutboxJob.objects.filter(
        tenant_id=tenant_id,
        dedupe_key=dedupe_key,
        status__in=(JobStatus.PENDING, JobStatus.FAILED, JobStatus.DEAD_LETTER),
    )
    is_due = bool(
        waiting.update(
            status=JobStatus.PENDING,
            available_at=now or clock.now(),
            attempt_count=0,
            lease_version=F("lease_version") + 1,
        )
    )
    if is_due:
        bell.ring_on_commit(tenant_id=tenant_id)
    return is_due
