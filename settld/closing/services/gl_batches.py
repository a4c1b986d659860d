"""Writing a month's GL batch: every general entry of the period, line by line."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from settld.artifacts import services as artifacts
from settld.artifacts.services import Sealed
from settld.closing import close_documents
from settld.closing.composing import Written
from settld.closing.queries import period_lines
from settld.closing.queries.period_lines import Owner, Sums
from settld.core.errors import Conflict
from settld.ledger.models import MonthClose
from settld.ledger.queries import StreamProof

# A batch of more lines is kept in parts of PART_LINES: a document of some 40 MB is what readers can still
# take, and a text of the database ends at 1 GB.
MOST_LINES: Final = 100_000
PART_LINES: Final = 50_000


class BatchImbalanced(Conflict):
    """The period's lines do not add up to zero in some currency; nothing is closed on them."""

    code = "GL_BATCH_IMBALANCED"
    message = "GL batch does not net to zero"


def require_balance(sums: Mapping[Owner, Sums]) -> None:
    """Refuse to close a month whose lines do not net to zero per currency."""
    net: dict[str, int] = defaultdict(int)
    for (_, _, currency), own in sums.items():
        net[currency] += sum(own.by_account.values())
    odd = {currency: cents for currency, cents in sorted(net.items()) if cents}
    if odd:
        raise BatchImbalanced(details={"netCentsByCurrency": odd})


def write(
    *,
    month: MonthClose,
    sums: Mapping[Owner, Sums],
    monthly_statement_hash: str,
    proof: StreamProof,
    generated_at: dt.datetime,
    now: dt.datetime,
    most_lines: int = MOST_LINES,
    part_lines: int = PART_LINES,
) -> Sealed:
    """Write the `GLBatch.v1` of a close, in parts when it has more than `most_lines` lines."""
    tenant_id = month.tenant_id
    line_count = sum(own.line_count for own in sums.values())
    is_whole = line_count <= most_lines
    lines = Written(b"")
    parts: list[dict[str, Any]] = []
    found = period_lines.gl_lines(
        tenant_id=tenant_id, period=month.month, part_size=most_lines if is_whole else part_lines
    )
    for count, text in found if line_count else ():
        if is_whole:
            lines = text
            continue
        part = close_documents.gl_batch_part(
            month=month, number=len(parts) + 1, lines=text, proof=proof, generated_at=generated_at
        )
        artifacts.store_one(tenant_id=tenant_id, sealed=part, now=now)
        parts.append(_named(part, count))
    batch = close_documents.gl_batch(
        month=month,
        sums=sums,
        lines=lines,
        parts=None if is_whole else parts,
        monthly_statement_hash=monthly_statement_hash,
        proof=proof,
        generated_at=generated_at,
    )
    artifacts.store_one(tenant_id=tenant_id, sealed=batch, now=now)
    return batch


def _named(part: Sealed, count: int) -> dict[str, Any]:
    return {"artifactId": part.artifact_id, "artifactHash": part.artifact_hash, "lineCount": count}
