"""What the answers of all comparisons have in common: the stored document, and the rows as cases."""

from collections.abc import Sequence
from typing import Any

from reconciliation.queries import triage
from reconciliation.services import rows
from reconciliation.services.keeping import StoredArtifact


def stored(artifact: StoredArtifact | None) -> dict[str, Any] | None:
    """Name the document that a run stored; None when it stored none."""
    if artifact is None:
        return None
    return {
        "artifactId": artifact.artifact_id,
        "artifactHash": artifact.artifact_hash,
        "deliveriesCreated": artifact.deliveries_created,
    }


def queue(tenant_id: str, found: Sequence[rows.QueueRow]) -> dict[str, Any]:
    """Show the rows as cases with the decisions about them, and count those decisions."""
    decisions = triage.overlay(tenant_id=tenant_id, triage_keys=[row.triage_key for row in found])
    overlays = [
        triage.as_overlay(decided, live_hash=row.mismatch_hash)
        if (decided := decisions.get(row.triage_key))
        else None
        for row in found
    ]
    return {
        "triageQueue": [row.as_json(overlay) for row, overlay in zip(found, overlays, strict=True)],
        "triageSummary": rows.triage_summary(overlays),
    }
