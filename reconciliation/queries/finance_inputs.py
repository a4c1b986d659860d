"""What a month's finance comparison reads: the GL batch, the party statements and the journal behind them.

All of the month's current generation; what a reopening superseded is never read. Rows that belong together
are read under one snapshot, or with the month's row locked: of a closed month nothing changes then.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from settld.closing.comparison import LedgerFigures
from settld.closing.models import DocumentKind
from settld.closing.queries import month_documents
from settld.core.hashing import artifact_hash
from settld.ledger import queries as ledger

BASIS: Final = "settledAt"
_BATCH: Final = """
SELECT kept.artifact_id, artifact.body
FROM month_document AS kept
JOIN artifact ON artifact.tenant_id = kept.tenant_id AND artifact.artifact_id = kept.artifact_id
WHERE kept.tenant_id = %(tenant_id)s AND kept.month = %(period)s AND kept.basis = %(basis)s
  AND kept.kind = 'gl_batch' AND kept.superseded_at IS NULL
"""
_PART: Final = "SELECT body FROM artifact WHERE tenant_id = %(tenant_id)s AND artifact_id = %(artifact_id)s"
_STATEMENTS: Final = """
SELECT stated.artifact_id, artifact.body
FROM party_statement AS stated
JOIN artifact ON artifact.tenant_id = stated.tenant_id AND artifact.artifact_id = stated.artifact_id
WHERE stated.tenant_id = %(tenant_id)s AND stated.period = %(period)s AND stated.basis = %(basis)s
  AND stated.superseded_at IS NULL
ORDER BY stated.artifact_id COLLATE "C"
"""
_ENTRIES: Final = """
SELECT entry_id FROM ledger_entry
WHERE tenant_id = %(tenant_id)s AND book = 'general' AND period = %(period)s
"""
_TOTALS: Final = """
SELECT posting.account_id, posting.currency, sum(posting.amount_cents)
FROM ledger_entry AS entry
JOIN ledger_posting AS posting
  ON posting.tenant_id = entry.tenant_id AND posting.entry_id = entry.entry_id
WHERE entry.tenant_id = %(tenant_id)s AND entry.book = 'general' AND entry.period = %(period)s
GROUP BY posting.account_id, posting.currency
HAVING sum(posting.amount_cents) <> 0
"""


@dataclass(frozen=True)
class Document:
    """A stored document under the id that its row has; `content` is what is stored, faults included."""

    artifact_id: str
    content: dict[str, Any]

    @property
    def artifact_hash(self) -> str | None:
        """Give the hash that the document states of itself."""
        stated = self.content.get("artifactHash")
        return stated if isinstance(stated, str) else None


@dataclass(frozen=True)
class Inputs:
    """What is compared. `batch` is None before the month's close; `ledger` without a close event of ours."""

    batch: Document | None
    statements: list[Document]
    ledger: LedgerFigures | None

    def as_json(self) -> dict[str, Any]:
        """Name the documents as a report does."""
        return {
            "glBatchArtifactId": self.batch.artifact_id if self.batch else None,
            "glBatchArtifactHash": self.batch.artifact_hash if self.batch else None,
            "partyStatementArtifactIds": [one.artifact_id for one in self.statements],
            "partyStatementArtifactHashes": [one.artifact_hash for one in self.statements],
        }


def read(*, tenant_id: str, period: str) -> Inputs:
    """Read what is compared for a month, every row of it."""
    named = {"tenant_id": tenant_id, "period": period, "basis": BASIS}
    with connection.cursor() as cursor:
        cursor.execute(_BATCH, named)
        batch = next((_document(row) for row in cursor.fetchall()), None)
        cursor.execute(_STATEMENTS, named)
        statements = [_document(row) for row in cursor.fetchall()]
    figures = None
    if batch is not None and _names_a_close(batch, tenant_id=tenant_id):
        figures = ledger_figures(tenant_id=tenant_id, period=period)
    return Inputs(batch, statements, figures)


def ledger_figures(*, tenant_id: str, period: str) -> LedgerFigures:
    """Add up the general book of a month from its postings, not from kept balances."""
    named = {"tenant_id": tenant_id, "period": period}
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, named)
        entry_ids = frozenset(row[0] for row in cursor.fetchall())
        cursor.execute(_TOTALS, named)
        totals = {(account_id, currency): int(cents) for account_id, currency, cents in cursor.fetchall()}
    return LedgerFigures(entry_ids=entry_ids, totals=totals)


@dataclass
class Parts:
    """The lines of a batch that is kept in parts, read one part at a time.

    Each part has to be the document that the batch names, hash and all; `faults` has those that are not,
    once the lines have been read.
    """

    tenant_id: str
    named: list[Any]
    faults: list[dict[str, Any]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Any]:
        for part in self.named:
            part = part if isinstance(part, dict) else {}
            content = self._content(str(part.get("artifactId")))
            actual = _hash_of(content)
            if actual is None or not actual == content.get("artifactHash") == part.get("artifactHash"):
                expected = part.get("artifactHash")
                self.faults.append({"part": part.get("artifactId"), "expected": expected, "actual": actual})
            lines = content.get("lines")
            yield from lines if isinstance(lines, list) else []

    def _content(self, artifact_id: str) -> dict[str, Any]:
        with connection.cursor() as cursor:
            cursor.execute(_PART, {"tenant_id": self.tenant_id, "artifact_id": artifact_id})
            found = cursor.fetchone()
        return _document((artifact_id, found[0])).content if found else {}


def parts_of(batch: Document, *, tenant_id: str) -> Parts | None:
    """Give the lines of a batch that is kept in parts; None for one that holds its lines itself."""
    body = batch.content.get("batch")
    named = body.get("parts") if isinstance(body, dict) else None
    return Parts(tenant_id, named) if isinstance(named, list) else None


def _hash_of(content: dict[str, Any]) -> str | None:
    try:
        return artifact_hash(content) if content else None
    except ValueError:
        return None


def periods(*, tenant_id: str, limit: int) -> list[str]:
    """List a tenant's months that have a GL batch of their current generation, newest first."""
    return month_documents.newest_months(tenant_id=tenant_id, kind=DocumentKind.GL_BATCH, limit=limit)


def _document(row: tuple[str, str]) -> Document:
    try:
        content = json.loads(row[1])
    except ValueError:  # somebody wrote over it; the comparison then says what it is not
        content = {}
    return Document(row[0], content if isinstance(content, dict) else {})


def _names_a_close(batch: Document, *, tenant_id: str) -> bool:
    body = batch.content.get("batch")
    named = body.get("monthClose") if isinstance(body, dict) else None
    event_id = named.get("monthCloseEventId") if isinstance(named, dict) else None
    if not isinstance(event_id, str):
        return False
    return ledger.find_event(tenant_id=tenant_id, event_id=event_id) is not None
