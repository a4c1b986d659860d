"""Writing a planned import, set by set: the same rows, documents and instructions that single PUTs leave."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from django.db import connection

from settld.artifacts import services as artifacts
from settld.artifacts.services import Sealed
from settld.closing.models import PartyStatement
from settld.closing.services import import_plan, instructions
from settld.closing.services.import_plan import NEW, REPLACED, Plan, Planned, Say
from settld.closing.services.statements import new_row, seal_statement
from settld.core import clock, failpoints
from settld.core.errors import Conflict
from settld.ledger.models import MonthClose

_GIVEN = """
FROM json_to_recordset(%s::json) AS given(
  id uuid, party_id text, party_role text, currency text, payout_cents bigint, payable_after timestamptz,
  "references" jsonb, statement_hash text, artifact_id text, standing_id uuid)
"""
_INSERT = f"""
INSERT INTO party_statement (id, tenant_id, party_id, period, party_role, currency, generation, basis, status,
  source, payout_cents, payable_after, "references", statement_hash, artifact_id, artifact_hash, closed_at,
  created_at, updated_at)
SELECT given.id, %s, given.party_id, %s, given.party_role, given.currency, %s, %s, %s, %s,
  given.payout_cents, given.payable_after, given."references", given.statement_hash, given.artifact_id,
  given.statement_hash, %s::timestamptz, %s, %s
{_GIVEN}
ON CONFLICT DO NOTHING
"""
_UPDATE = f"""
UPDATE party_statement own SET payout_cents = given.payout_cents, payable_after = given.payable_after,
  "references" = given."references", statement_hash = given.statement_hash, artifact_id = given.artifact_id,
  artifact_hash = given.statement_hash, updated_at = %s
{_GIVEN}
WHERE own.tenant_id = %s AND own.id = given.standing_id AND own.status = 'OPEN'
"""  # noqa: S608
_SUPERSEDE = """
UPDATE party_statement SET superseded_at = %s, updated_at = %s
WHERE tenant_id = %s AND id = ANY(%s::uuid[]) AND status = 'OPEN' AND superseded_at IS NULL
"""


class WrittenMeanwhile(Conflict):
    """Somebody wrote a statement of the file while it was imported; nothing of the file was written."""

    code = "STATEMENT_IMPORT_CHANGED"
    message = "the books have changed since the preview; look at it again"


def write(*, plan: Plan, months: Mapping[str, MonthClose], now: dt.datetime, say: Say | None = None) -> None:
    """Write what a plan foresees; the caller holds the months' locks and those of the rows that stand.

    A handful of statements per 2,000 rows. Raises WrittenMeanwhile when a row came into being since.
    """
    waiting = sorted(
        (one for one in plan.planned if one.outcome in (NEW, REPLACED)), key=lambda one: one.row.key
    )
    written = 0
    for period in sorted({one.row.period for one in waiting}):
        of_month = [one for one in waiting if one.row.period == period]
        for chunk in import_plan.chunks(of_month):
            _write(chunk, month=months[period], now=now)
            written += len(chunk)
            failpoints.hit("import.within")
            if say is not None and len(waiting) > import_plan.CHUNK:
                say(f"wrote {written:,} of {len(waiting):,} statements")


def _write(chunk: list[Planned], *, month: MonthClose, now: dt.datetime) -> None:
    drafted = [(one, *_drafted(one, month=month, now=now)) for one in chunk]
    artifacts.store_missing(
        tenant_id=month.tenant_id, documents=[sealed for _, _, sealed in drafted], now=now
    )
    # An earlier close froze what stands in an older generation; it stays as history beside the new row.
    frozen = [one for one in chunk if one.outcome == REPLACED and one.standing_generation < month.generation]
    is_frozen = {one.standing_id for one in frozen}
    if frozen:
        _execute(_SUPERSEDE, [now, now, month.tenant_id, sorted(is_frozen)], expected=len(frozen))
    added = [(one, row) for one, row, _ in drafted if one.outcome == NEW or one.standing_id in is_frozen]
    if added:
        first = added[0][1]
        _execute(
            _INSERT,
            [
                month.tenant_id, month.month, month.generation, import_plan.BASIS, first.status, first.source,
                first.closed_at, now, now, _json(added),
            ],
            expected=len(added),
        )  # fmt: skip
    changed = [
        (one, row) for one, row, _ in drafted if one.outcome == REPLACED and one.standing_id not in is_frozen
    ]
    if changed:
        _execute(_UPDATE, [now, _json(changed), month.tenant_id], expected=len(changed))
    if month.is_closed:
        instructions.write_missing(
            tenant_id=month.tenant_id, subjects=[row for _, row in added], now=now,
            proof=instructions.proof_now(month), generated_at=now,
        )  # fmt: skip


def _drafted(one: Planned, *, month: MonthClose, now: dt.datetime) -> tuple[PartyStatement, Sealed]:
    content = import_plan.content_of(one.row)
    sealed = seal_statement(
        tenant_id=month.tenant_id, party_id=one.row.party_id, period=month.month, content=content
    )
    row = new_row(party_id=one.row.party_id, month=month, content=content, sealed=sealed, now=now)
    return row, sealed


def _json(rows: list[tuple[Planned, PartyStatement]]) -> str:
    return json.dumps(
        [
            {
                "id": str(row.id),
                "party_id": row.party_id,
                "party_role": row.party_role,
                "currency": row.currency,
                "payout_cents": row.payout_cents,
                "payable_after": clock.iso(row.payable_after),
                "references": row.references,
                "statement_hash": row.statement_hash,
                "artifact_id": row.artifact_id,
                "standing_id": one.standing_id or None,
            }
            for one, row in rows
        ],
        ensure_ascii=False,
    )


def _execute(query: str, parameters: list[Any], *, expected: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        if cursor.rowcount != expected:
            raise WrittenMeanwhile()
