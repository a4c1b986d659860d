"""Making a pack out of what was read: equal records give equal bytes."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops_console.evidence.packs import records, wording
from ops_console.evidence.packs.archive import written, zipped
from ops_console.evidence.packs.chain import Trail
from ops_console.evidence.packs.collecting import Collected
from settld.artifacts.models import Artifact
from settld.core import clock
from settld.core.hashing import artifact_hash, sha256_hex
from settld.core.signatures import sign_hash

TYPE: Final = "EvidencePack.v1"
MANIFEST: Final = "manifest.json"


@dataclass(frozen=True)
class Pack:
    """A finished pack."""

    manifest: dict[str, Any]
    content: bytes = field(repr=False)

    @property
    def artifact_hash(self) -> str:
        """Name the pack by its manifest's hash."""
        return str(self.manifest["artifactHash"])

    @property
    def sha256(self) -> str:
        """Hash the zip itself."""
        return sha256_hex(self.content)


def bind(
    *,
    tenant_id: str,
    subject: Mapping[str, Any],
    found: Collected,
    trail: Trail,
    reports: list[Artifact],
    instructions: list[Artifact],
) -> Pack:
    """Write the members, list and sign them, and zip it all. No clock and no random number is in it."""
    documents: dict[str, Any] = {
        "mismatches.json": records.mismatch_rows(found),
        "audit/rows.json": trail.as_rows(),
        "audit/chain.json": trail.as_chain(),
    }
    for number, operation in enumerate(found.operations, 1):
        for name, value in records.payout_members(found, operation).items():
            documents[f"payouts/{number:04d}/{name}"] = value
    for folder, artifacts in (("reports", reports), ("instructions", instructions)):
        for number, artifact in enumerate(artifacts, 1):
            documents[f"{folder}/{number:04d}.json"] = records.enclosed(artifact)
    members = {name: written(value) for name, value in documents.items()}
    as_of = clock.iso(newest_instant(found, trail, reports))
    members |= wording.pages(
        tenant_id=tenant_id, subject=subject, as_of=as_of, found=found, documents=documents
    )
    manifest = _manifest(tenant_id, subject, as_of, found, members)
    return Pack(manifest, zipped(members | {MANIFEST: written(manifest)}))


def _manifest(
    tenant_id: str,
    subject: Mapping[str, Any],
    as_of: str | None,
    found: Collected,
    members: Mapping[str, bytes],
) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "type": TYPE,
        "v": 1,
        "tenantId": tenant_id,
        "subject": dict(subject),
        "asOf": as_of,
        "cutOff": found.truncated,
        "members": [
            {"path": name, "sha256": sha256_hex(content), "sizeBytes": len(content)}
            for name, content in sorted(members.items())
        ],
    }
    manifest["artifactHash"] = artifact_hash(manifest)
    manifest["signature"] = sign_hash(manifest["artifactHash"]).as_json()
    return manifest


def newest_instant(found: Collected, trail: Trail, reports: list[Artifact]) -> dt.datetime | None:
    """Tell when the newest record was written: what the pack knows of, it knows as of then."""
    instants = [row.updated_at for row in found.operations]
    instants += [row.updated_at for rows in found.attempts.values() for row in rows]
    instants += [row.checked_at for rows in found.checks.values() for row in rows]
    instants += [row.received_at for rows in found.events.values() for row in rows]
    instants += [row.recorded_at for rows in found.movements.values() for row in rows]
    instants += [row.recorded_at for rows in found.entries.values() for row in rows]
    instants += [row.updated_at for row in found.decisions.values()]
    instants += [row.at for row in trail.rows]
    instants += [artifact.created_at for artifact in reports]
    return max(instants, default=None)
