"""Reading disputes."""

from collections import defaultdict

from settld.core import rows
from settld.kernel.models import Dispute, DisputeEvidence


def of_run(*, tenant_id: str, run_id: str) -> list[tuple[Dispute, list[DisputeEvidence]]]:
    """List a run's disputes in the order in which they were opened, each with its evidence."""
    disputes = rows.every(
        Dispute, "tenant_id = %s AND run_id = %s ORDER BY opened_at, id", [tenant_id, run_id]
    )
    evidence: dict[str, list[DisputeEvidence]] = defaultdict(list)
    for piece in rows.every(
        DisputeEvidence,
        "tenant_id = %s AND dispute_id = ANY(%s) ORDER BY submitted_at, id",
        [tenant_id, [dispute.dispute_id for dispute in disputes]],
    ):
        evidence[piece.dispute_id].append(piece)
    return [(dispute, evidence[dispute.dispute_id]) for dispute in disputes]
