"""Carry a batch out: chunk by chunk, each chunk whole, so that a crash loses nothing and repeats nothing.

Lock order: the batch first, then the cases as `triage.decide_many` locks them. Whoever holds the batch
works its next chunk, so a request and a worker beside it follow one another.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.db.models import Count

from reconciliation.models import Mismatch, Triage, TriageBatch, TriageBatchRow
from reconciliation.queries import case_queue
from reconciliation.queries import triage as standing_queries
from reconciliation.services import acts, triage
from reconciliation.services.acts import Said
from reconciliation.services.batch_freeze import PREVIEW_LASTS
from reconciliation.services.triage import Change, Decided, Subject, TriageRevisionConflict, Wanted
from reconciliation.states import BatchKind, BatchStatus, RowResult
from settld.audit import services as audit
from settld.core import clock, failpoints, transactions
from settld.core.errors import Conflict, NotFound
from settld.core.principals import Actor
from settld.outbox import services as outbox
from settld.outbox.kinds import GiveUp
from settld.outbox.models import OutboxJob
from settld.outbox.services import leases

KIND: Final = "reconciliation.triage_batch"
LEASE: Final = dt.timedelta(seconds=120)
CHUNK: Final = 200
AT_ONCE: Final = 400  # rows that a request carries out itself before it leaves the rest to a worker
# A worker comes to what a request works on only when the request has died.
HEAD_START: Final = dt.timedelta(seconds=30)


class BatchNotFound(NotFound):
    """There is no such batch in this tenant."""

    message = "triage batch not found"


class BatchStarted(Conflict):
    """The batch was confirmed before, with something else in it."""

    code = "TRIAGE_BATCH_STARTED"
    message = "this batch was confirmed before; its results stand"


class PreviewExpired(Conflict):
    """Too long ago: what it shows is history."""

    code = "TRIAGE_BATCH_EXPIRED"
    message = "this preview is older than a day; make a new one"


def load(*, tenant_id: str, batch_id: uuid.UUID) -> TriageBatch:
    """Find a batch; BatchNotFound."""
    batch = TriageBatch.objects.filter(tenant_id=tenant_id, pk=batch_id).first()
    if batch is None:
        raise BatchNotFound()
    return batch


def start(*, tenant_id: str, batch_id: uuid.UUID, said: Said, actor: Actor, now: dt.datetime) -> bool:
    """Confirm a preview; False when the same was confirmed before, BatchStarted when something else was.

    From here on the rows are owed: the job that carries them out commits with this.
    """
    with transactions.atomic():
        batch = _lock(tenant_id, batch_id)
        change = None if batch.kind == BatchKind.FILE else _spelled(said, batch)
        if batch.status != BatchStatus.PREVIEWED:
            if batch.change != change:
                raise BatchStarted()
            return False
        if batch.created_at < now - PREVIEW_LASTS:
            raise PreviewExpired()
        batch.status = BatchStatus.RUNNING
        batch.change = change
        batch.applied_by, batch.applied_request_id = actor.principal_id, actor.request_id or ""
        batch.applied_at = now
        batch.save()
        is_small = batch.row_count <= AT_ONCE
        outbox.enqueue(
            tenant_id=tenant_id,
            kind=KIND,
            dedupe_key=f"triage_batch:{batch.pk}",
            payload={"batchId": str(batch.pk)},
            available_at=now + HEAD_START if is_small else now,
        )
        _audit(batch, "FINANCE_RECONCILIATION_TRIAGE_BATCH_START", {}, actor=actor, now=now)
        failpoints.hit("triage_batch_start.before_commit")
    failpoints.hit("triage_batch_start.after_commit")
    return True


def _spelled(said: Said, batch: TriageBatch) -> dict[str, str]:
    acts.check(said)
    if said.act != batch.act:
        raise BatchStarted("this preview was made for another act")
    return {
        "act": said.act,
        "reason": acts.clean_note(said.reason),
        "owner": said.owner.strip(),
        "severity": said.severity,
    }


def work(*, tenant_id: str, batch_id: uuid.UUID, most_rows: int, now: dt.datetime) -> bool:
    """Carry out up to about `most_rows` more rows; True when the batch is done."""
    worked = 0
    while worked < most_rows:
        count = _chunk(tenant_id, batch_id, now=now)
        failpoints.hit("triage_batch.after_commit")
        if not count:
            return True
        worked += count
    return not TriageBatch.objects.filter(tenant_id=tenant_id, pk=batch_id, finished_at=None).exists()


def carry_out(job: OutboxJob) -> None:
    """Work a whole batch off for the outbox; another worker goes on where this one was stopped."""
    try:
        batch_id = uuid.UUID(str(job.payload.get("batchId")))
    except ValueError as error:
        raise GiveUp("the job names no batch") from error
    while not work(tenant_id=job.tenant_id, batch_id=batch_id, most_rows=CHUNK, now=clock.now()):
        if not leases.renew(job, now=clock.db_now()):
            raise RuntimeError("the lease is lost; another worker has this batch")


# --- One chunk ------------------------------------------------------------------------------------
@dataclass
class _Verdict:
    """What became of a row."""

    result: RowResult
    why: str = ""
    revision: int | None = None


def _chunk(tenant_id: str, batch_id: uuid.UUID, *, now: dt.datetime) -> int:
    with transactions.atomic():
        batch = _lock(tenant_id, batch_id)
        if batch.status != BatchStatus.RUNNING:
            return 0
        waiting = TriageBatchRow.objects.filter(tenant_id=tenant_id, batch=batch, result=RowResult.WAITING)
        rows = list(waiting.order_by("position")[:CHUNK])
        if rows:
            _write_results(rows, _decide(batch, rows, now=now))
        if len(rows) < CHUNK:
            _finish(batch, now=now)
        failpoints.hit("triage_batch.before_commit")
    return len(rows) if len(rows) == CHUNK else 0


def _decide(batch: TriageBatch, rows: Sequence[TriageBatchRow], *, now: dt.datetime) -> list[_Verdict]:
    keys = [row.triage_key for row in rows]
    cases = case_queue.of_keys(tenant_id=batch.tenant_id, triage_keys=keys)
    standing = standing_queries.overlay(tenant_id=batch.tenant_id, triage_keys=keys)
    verdicts: dict[int, _Verdict] = {}
    wanted: dict[int, Wanted] = {}
    for row in rows:
        case = cases.get(row.triage_key)
        refusal = _refusal(row, case)
        if case is None or refusal:
            verdicts[row.position] = _Verdict(RowResult.REFUSED, refusal)
        else:
            wanted[row.position] = Wanted(
                Subject.of(case),
                _change(batch, row, case, standing.get(row.triage_key)),
                row.seen_revision,
            )
    outcomes = triage.decide_many(
        tenant_id=batch.tenant_id,
        wanted=list(wanted.values()),
        actor=Actor(principal_id=batch.applied_by, request_id=batch.applied_request_id or None),
        now=now,
    )
    for position, outcome in zip(wanted, outcomes, strict=True):
        verdicts[position] = _judged(outcome)
    return [verdicts[row.position] for row in rows]


def _refusal(row: TriageBatchRow, case: Mismatch | None) -> str:
    if case is None:
        return "The case is not there any more."
    if case.mismatch_hash != row.seen_hash:
        return "Its figures have changed since the preview."
    return ""


def _change(batch: TriageBatch, row: TriageBatchRow, case: Mismatch, standing: Triage | None) -> Change:
    action = f"triage_{batch.kind}:{batch.pk}"
    if batch.kind != BatchKind.FILE:
        return acts.change(Said(**(batch.change or {})), case=case, standing=standing, action=action)
    columns: dict[str, Any] = dict(row.change or {})
    if columns.get("status") in ("resolved", "dismissed"):
        columns |= {
            "mismatch_hash": case.mismatch_hash,
            "source_report_hash": case.last_report_hash or None,
            "metadata": acts.closing_metadata(case, standing),
            "sets_metadata": True,
        }
    return Change(**columns, action=action)


def _judged(outcome: Decided | TriageRevisionConflict) -> _Verdict:
    if isinstance(outcome, TriageRevisionConflict):
        current = outcome.details["currentRevision"]
        return _Verdict(
            RowResult.REFUSED, f"Somebody decided about it meanwhile: it is at revision {current}.", current
        )
    result = RowResult.DONE if outcome.changed else RowResult.UNCHANGED
    return _Verdict(result, "", outcome.triage.revision or None)


def _write_results(rows: Sequence[TriageBatchRow], verdicts: Sequence[_Verdict]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE reconciliation_triage_batch_row AS one"
            " SET result = given.result, why = given.why, revision = given.revision"
            " FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::int[])"
            "   AS given (id, result, why, revision)"
            " WHERE one.id = given.id AND one.tenant_id = %s",
            [
                [row.pk for row in rows],
                [verdict.result.value for verdict in verdicts],
                [verdict.why for verdict in verdicts],
                [verdict.revision for verdict in verdicts],
                rows[0].tenant_id,
            ],
        )


def _finish(batch: TriageBatch, *, now: dt.datetime) -> None:
    results = TriageBatchRow.objects.filter(tenant_id=batch.tenant_id, batch=batch)
    counts = dict(results.values_list("result").annotate(number=Count("pk")).order_by())
    batch.status, batch.finished_at = BatchStatus.DONE, now
    batch.save(update_fields=["status", "finished_at"])
    actor = Actor(principal_id=batch.applied_by, request_id=batch.applied_request_id or None)
    _audit(batch, "FINANCE_RECONCILIATION_TRIAGE_BATCH_DONE", counts, actor=actor, now=now)


def _lock(tenant_id: str, batch_id: uuid.UUID) -> TriageBatch:
    batch = TriageBatch.objects.select_for_update().filter(tenant_id=tenant_id, pk=batch_id).first()
    if batch is None:
        raise BatchNotFound()
    return batch


def _audit(
    batch: TriageBatch, action: str, results: dict[str, int], *, actor: Actor, now: dt.datetime
) -> None:
    audit.append(
        tenant_id=batch.tenant_id,
        actor=actor,
        action=action,
        target_type="reconciliation_triage_batch",
        target_id=str(batch.pk),
        details={
            "kind": batch.kind,
            "act": batch.act,
            "change": batch.change,
            "filters": batch.filters,
            "fileName": batch.file_name or None,
            "fileHash": batch.file_hash or None,
            "rowCount": batch.row_count,
            "results": results or None,
        },
        at=now,
    )
