"""Reading artifacts."""

import json
from dataclasses import dataclass

from settld.artifacts.models import Artifact
from settld.core import signatures
from settld.core.errors import NotFound
from settld.core.hashing import artifact_hash


class ArtifactNotFound(NotFound):
    """This tenant has no such artifact."""

    message = "artifact not found"


def get(*, tenant_id: str, artifact_id: str) -> Artifact:
    """Give a tenant's artifact; ArtifactNotFound when it has none of that id."""
    found = find(tenant_id=tenant_id, artifact_id=artifact_id)
    if found is None:
        raise ArtifactNotFound()
    return found


def find(*, tenant_id: str, artifact_id: str | None) -> Artifact | None:
    """Give a tenant's artifact, or None."""
    if not artifact_id:
        return None
    return Artifact.objects.filter(tenant_id=tenant_id, artifact_id=artifact_id).first()


@dataclass(frozen=True)
class Verification:
    """What a fresh look at a document found; `has_valid_signature` is None for a key we no longer hold."""

    has_valid_hash: bool
    has_valid_signature: bool | None

    @property
    def is_verified(self) -> bool:
        """Tell whether nothing speaks against the document."""
        return self.has_valid_hash and self.has_valid_signature is not False


def verify(artifact: Artifact) -> Verification:
    """Recompute the hash from the stored text and check the signature over it."""
    recomputed = artifact_hash(json.loads(artifact.body))
    is_whole = recomputed == artifact.artifact_hash == artifact.document.get("artifactHash")
    public_key_pem = signatures.known_public_pem(artifact.signature_key_id)
    is_signed: bool | None = None
    if public_key_pem is not None:
        is_signed = signatures.is_valid(
            hash_hex=recomputed, signature_base64=artifact.signature_base64, public_key_pem=public_key_pem
        )
    return Verification(has_valid_hash=is_whole, has_valid_signature=is_signed)
