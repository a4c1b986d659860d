"""Adding many statements of one month at once."""

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import islice

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
    place = {"tenant_id": month.tenant_id, "period": month.month, "superseded_at": None}
    taken = PartyStatement.objects.filter(
        **place, party_role=content.party_role, currency=content.currency, party_id__in=party_ids
    )
    known = set(taken.values_list("party_id", flat=True))
    rows, documents = [], []
    for party_id in party_ids:
        if party_id in known:
            continue
        sealed = seal_statement(
            tenant_id=month.tenant_id, party_id=party_id, period=month.month, content=content
        )
        documents.append(sealed)
        rows.append(new_row(party_id=party_id, month=month, content=content, sealed=sealed, now=now))
    artifacts.store_missing(tenant_id=month.tenant_id, documents=documents, now=now)
    PartyStatement.objects.bulk_create(rows)
    if month.is_closed and rows:
        instructions.write_missing(
            tenant_id=month.tenant_id,
            subjects=rows,
            proof=instructions.proof_now(month),
            generated_at=now,
            now=now,
        )
    return len(rows)


def _chunks(party_ids: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(dict.fromkeys(islice(party_ids, CHUNK))):
        yield chunk
