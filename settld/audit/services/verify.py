"""Walking a chain to prove that no row was changed, removed or added."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from settld.audit.models import OpsAudit, OpsAuditCheckpoint, OpsAuditHead
from settld.audit.models.chain import GENESIS
from settld.core import clock
from settld.core.hashing import canonical_hash, sha256_hex
from settld.core.signatures import is_valid, known_public_pem

BITE: Final = 2000


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
    """Walk a tenant's chain from its first row to its head, in constant memory.

    Each signed checkpoint must stand on the row that it names, so an end that was cut off together with
    its head shows as well.
    """
    head = OpsAuditHead.objects.filter(tenant_id=tenant_id).first()
    head_seq, head_hash = (head.seq, head.row_hash) if head else (0, GENESIS)
    expected_seq, previous = 1, GENESIS
    for row in _rows(tenant_id=tenant_id, head_seq=head_seq):
        reason = _fault(row, expected_seq=expected_seq, previous=previous)
        if reason:
            return Verdict(False, expected_seq - 1, head_seq, head_hash, expected_seq, reason)
        expected_seq, previous = expected_seq + 1, row.row_hash
    rows = expected_seq - 1
    if rows < head_seq:
        return Verdict(False, rows, head_seq, head_hash, expected_seq, "rows_missing_at_the_end")
    if (rows, previous) != (head_seq, head_hash):
        return Verdict(False, rows, head_seq, head_hash, head_seq + 1, "head_differs")
    unmet = _unmet_checkpoint(tenant_id=tenant_id)
    if unmet is not None:
        return Verdict(False, rows, head_seq, head_hash, *unmet)
    return Verdict(True, rows, head_seq, head_hash)


def _rows(*, tenant_id: str, head_seq: int) -> Iterator[OpsAudit]:
    """Read the chain in bites; pooled connections rule out a cursor at the server."""
    seen = 0
    chain = OpsAudit.objects.filter(tenant_id=tenant_id, seq__lte=head_seq).order_by("seq")
    while bite := list(chain.filter(seq__gt=seen)[:BITE]):
        yield from bite
        seen = bite[-1].seq


def _unmet_checkpoint(*, tenant_id: str) -> tuple[int, str] | None:
    """Find the first checkpoint that the chain contradicts, or that was not signed as it stands."""
    for checkpoint in OpsAuditCheckpoint.objects.filter(tenant_id=tenant_id).order_by("seq"):
        if canonical_hash(checkpoint.statement) != checkpoint.artifact_hash:
            return checkpoint.seq, "checkpoint_changed"
        public_key_pem = known_public_pem(checkpoint.key_id)
        if public_key_pem is not None and not is_valid(
            hash_hex=checkpoint.artifact_hash,
            signature_base64=checkpoint.signature_base64,
            public_key_pem=public_key_pem,
        ):
            return checkpoint.seq, "checkpoint_signature_wrong"
        standing = OpsAudit.objects.filter(tenant_id=tenant_id, seq=checkpoint.seq)
        if checkpoint.seq and not standing.filter(row_hash=checkpoint.row_hash).exists():
            return checkpoint.seq, "checkpoint_differs"
    return None


def header(row: OpsAudit) -> dict[str, Any]:
    """Write all of a row that its hash covers."""
    return {
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


def row_hash(row: OpsAudit) -> str:
    """Compute what a row's hash must be."""
    return canonical_hash(header(row))


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
