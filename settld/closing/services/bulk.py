"""Adding many statements of one month at once."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from itertools import islice

from django.db import connection

from settld.artifacts import services as artifacts
from settld.audit import services as audit
from settld.closing.models import PartyStatement
from settld.closing.services import instructions
from settld.closing.services.statements import StatementContent, new_row, seal_statement
from settld.core import transactions
from settld.core.principals import Actor
from settld.ledger.models import MonthClose
from settld.ledger.services import months

CHUNK = 2000
_INSERT = """
INSERT INTO party_statement (id, party_id, statement_hash, artifact_id, artifact_hash, tenant_id, period,
  party_role, currency, generation, basis, status, source, payout_cents, payable_after, "references",
  closed_at, created_at, updated_at)
SELECT given.id, given.party_id, given.statement_hash, given.artifact_id, given.statement_hash, %s, %s,
  %s, %s, %s, %s, %s, %s, %s, %s::timestamptz, %s::jsonb, %s::timestamptz, %s, %s
FROM json_to_recordset(%s::json) AS given(id uuid, party_id text, statement_hash text, artifact_id text)
ON CONFLICT DO NOTHING
RETURNING party_id
"""


def add_missing(
    *,
    tenant_id: str,
    period: str,
    party_ids: Iterable[str],
    content: StatementContent,
    actor: Actor,
    now: dt.datetime,
) -> int:
    """Give each party that has no such statement one of equal content; gives how many are new.

    The rules are those of a single PUT: frozen and instructed at once when the month is closed, else
    OPEN. One transaction, two statements per 2,000 parties, one audit row.
    """
    added = 0
    with transactions.atomic():
        month = months.lock_shared(tenant_id=tenant_id, month=period, basis=content.basis, now=now)
        for chunk in _chunks(iter(party_ids)):
            added += _add(month=month, party_ids=chunk, content=content, now=now)
        if added:
            audit.append(
                tenant_id=tenant_id,
                actor=actor,
                action="PARTY_STATEMENT_UPSERT",
                target_type="party_statement",
                target_id=f"*:{period}",
                details={"period": period, "partyRole": content.party_role, "count": added},
                at=now,
            )
    return added


def _add(*, month: MonthClose, party_ids: list[str], content: StatementContent, now: dt.datetime) -> int:
    drafted = []
    for party_id in party_ids:
        sealed = seal_statement(
            tenant_id=month.tenant_id, party_id=party_id, period=month.month, content=content
        )
        drafted.append(
            (new_row(party_id=party_id, month=month, content=content, sealed=sealed, now=now), sealed)
        )
    added = _insert([row for row, _ in drafted], content=content, month=month, now=now)
    new = [(row, sealed) for row, sealed in drafted if row.party_id in added]
    artifacts.store_missing(tenant_id=month.tenant_id, documents=[sealed for _, sealed in new], now=now)
    if month.is_closed and new:
        instructions.write_missing(
            tenant_id=month.tenant_id,
            subjects=[row for row, _ in new],
            proof=instructions.proof_now(month),
            generated_at=now,
            now=now,
        )
    return len(new)


def _insert(
    rows: list[PartyStatement], *, content: StatementContent, month: MonthClose, now: dt.datetime
) -> set[str]:
    """Insert rows of one content in one statement; gives the parties that had none before."""
    varying = [
        {
            "id": str(row.id),
            "party_id": row.party_id,
            "statement_hash": row.statement_hash,
            "artifact_id": row.artifact_id,
        }
        for row in rows
    ]
    first = rows[0]
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                month.tenant_id, month.month, content.party_role, content.currency, month.generation,
                content.basis, first.status, first.source, content.payout_cents, content.payable_after,
                json.dumps(content.references), first.closed_at, now, now,
                json.dumps(varying, ensure_ascii=False),
            ],
        )  # fmt: skip
        return {row[0] for row in cursor.fetchall()}


def _chunks(party_ids: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(dict.fromkeys(islice(party_ids, CHUNK))):
        yield chunk
