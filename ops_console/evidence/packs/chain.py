"""The audit rows of a pack, and what proves their place in the tenant's chain."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q

from ops_console.evidence.packs.collecting import Collected
from settld.audit.models import OpsAudit, OpsAuditCheckpoint, OpsAuditHead
from settld.audit.services import verify

EXPORTED: Final = "EVIDENCE_PACK_EXPORTED"
MOST_AUDIT: Final = 2_000


@dataclass(frozen=True)
class Trail:
    """The audit rows that speak of the pack's subjects, the rows beside them, and where the chain stood.

    The rows before and after come without their details: enough to recompute their hashes and so to see
    the link, and no more of other people's acts than that. The end is the first signed checkpoint at or
    after the last row; where none has been signed yet, the head.
    """

    rows: list[OpsAudit]
    neighbours: list[OpsAudit]
    checkpoint: OpsAuditCheckpoint | None
    head: OpsAuditHead | None

    def as_rows(self) -> list[dict[str, Any]]:
        """Write the subjects' own rows whole."""
        return [header(row) | {"details": row.details} for row in self.rows]

    def as_chain(self) -> dict[str, Any]:
        """Write what proves their place."""
        return {
            "neighbours": [header(row) for row in self.neighbours],
            "checkpoints": [_signed(self.checkpoint)] if self.checkpoint else [],
            "head": {"seq": self.head.seq, "rowHash": self.head.row_hash} if self.head else None,
        }


def trail(found: Collected, *, tenant_id: str) -> Trail:
    """Read the rows that speak of the payouts and cases collected.

    Exports of packs are left out: they speak of the pack, and would change it each time.
    """
    operations = [row.operation_id for row in found.operations]
    cases = [case.triage_key for case in found.cases]
    rows = found.bounded(
        "audit",
        OpsAudit.objects.filter(tenant_id=tenant_id)
        .filter(
            Q(target_type="money_rail_operation", target_id__in=operations)
            | Q(target_type="reconciliation_triage", target_id__in=cases)
        )
        .exclude(action=EXPORTED)
        .order_by("seq"),
        MOST_AUDIT,
    )
    if not rows:
        return Trail([], [], None, OpsAuditHead.objects.filter(tenant_id=tenant_id).first())
    last = rows[-1].seq
    later = OpsAuditCheckpoint.objects.filter(tenant_id=tenant_id, seq__gte=last)
    checkpoint = later.order_by("seq", "id").first()
    ours = {row.seq for row in rows}
    beside = {seq + step for seq in ours for step in (-1, 1)} | ({checkpoint.seq} if checkpoint else set())
    neighbours = OpsAudit.objects.filter(tenant_id=tenant_id, seq__in=sorted(beside - ours)).order_by("seq")
    head = None if checkpoint else OpsAuditHead.objects.filter(tenant_id=tenant_id).first()
    return Trail(rows, list(neighbours), checkpoint, head)


def header(row: OpsAudit) -> dict[str, Any]:
    """Write all of a row that its hash covers, and the hash."""
    return {**verify.header(row), "rowHash": row.row_hash}


def _signed(checkpoint: OpsAuditCheckpoint) -> dict[str, Any]:
    return checkpoint.statement | {
        "artifactHash": checkpoint.artifact_hash,
        "signature": {
            "algorithm": "Ed25519",
            "keyId": checkpoint.key_id,
            "signatureBase64": checkpoint.signature_base64,
        },
    }
