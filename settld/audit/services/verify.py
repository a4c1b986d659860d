"""Walking a chain to prove that no row was changed, removed or added."""

from dataclasses import dataclass

from settld.audit.models import OpsAudit, OpsAuditHead
from settld.audit.models.chain import GENESIS
from settld.core import clock
from settld.core.hashing import canonical_hash, sha256_hex


@dataclass(frozen=True)
class Verdict:
    """What the walk found; `first_bad_seq` is where the chain breaks first."""

    ok: bool
    rows: int
    head_seq: int
    head_hash: str
    first_bad_seq: int | None = None
    reason: str | None = None


def verify(*, tenant_id: str) -> Verdict:
    """Walk a tenant's chain from its first row to its head, in constant memory."""
    head = OpsAuditHead.objects.filter(tenant_id=tenant_id).first()
    head_seq, head_hash = (head.seq, head.row_hash) if head else (0, GENESIS)
    expected_seq, previous = 1, GENESIS
    rows_to_head = OpsAudit.objects.filter(tenant_id=tenant_id, seq__lte=head_seq).order_by("seq")
    for row in rows_to_head.iterator(chunk_size=2000):
        reason = _fault(row, expected_seq=expected_seq, previous=previous)
        if reason:
            return Verdict(False, expected_seq - 1, head_seq, head_hash, expected_seq, reason)
        expected_seq, previous = expected_seq + 1, row.row_hash
    rows = expected_seq - 1
    if rows < head_seq:
        return Verdict(False, rows, head_seq, head_hash, expected_seq, "rows_missing_at_the_end")
    if (rows, previous) != (head_seq, head_hash):
        return Verdict(False, rows, head_seq, head_hash, head_seq + 1, "head_differs")
    return Verdict(True, rows, head_seq, head_hash)


def row_hash(row: OpsAudit) -> str:
    """Compute what a row's hash must be."""
    return canonical_hash(
        {
            "tenantId": row.tenant_id,
            "seq": row.seq,
            "actorKeyId": row.actor_key_id,
            "actorPrincipalId": row.actor_principal_id,
            "action": row.action,
            "targetType": row.target_type,
            "targetId": row.target_id,
            "requestId": row.request_id,
            "at": clock.iso(row.at),
            "detailsHash": row.details_hash,
            "prevHash": row.prev_hash,
        }
    )


def _fault(row: OpsAudit, *, expected_seq: int, previous: str) -> str | None:
    if row.seq != expected_seq:
        return "row_missing"
    if row.prev_hash != previous:
        return "prev_hash_differs"
    if sha256_hex(row.details_text) != row.details_hash:
        return "details_changed"
    if row_hash(row) != row.row_hash:
        return "row_changed"
    return None
