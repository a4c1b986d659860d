"""GET /artifacts/{artifactId} and GET /artifacts/{artifactId}/status"""

from django.http import HttpResponse

from settld.api import openapi
from settld.api.requests import OpsRequest
from settld.api.responses import Json, to_bytes
from settld.api.views import OpsView
from settld.artifacts import queries
from settld.artifacts.models import Artifact
from settld.core import clock

READERS = ("ops_read", "finance_read", "audit_read")
SIGNATURE = openapi.obj(
    {"algorithm": openapi.one_of("Ed25519"), "keyId": openapi.TEXT, "signatureBase64": openapi.TEXT}
)


def as_stored(artifact: Artifact, *, extra: dict[str, object] | None = None) -> bytes:
    """Write an answer around the stored text, so that its bytes are the ones that were hashed and kept."""
    tail = to_bytes({**(extra or {}), "signature": artifact.signature})
    return b'{"artifact":' + artifact.body.encode() + b"," + tail[1:]


class ArtifactDetail(OpsView):
    """GET /artifacts/{artifactId}"""

    scopes = {"GET": READERS}

    @openapi.describe(
        "Read an artifact as it was stored",
        description="The document byte for byte, with its hash, and the server's signature over that hash.",
        answers={200: openapi.obj({"artifact": openapi.OBJECT, "signature": SIGNATURE})},
    )
    def get(self, request: OpsRequest, artifact_id: str) -> HttpResponse:
        artifact = queries.get(tenant_id=request.tenant_id, artifact_id=artifact_id)
        return Json(as_stored(artifact))


class ArtifactStatus(OpsView):
    """GET /artifacts/{artifactId}/status"""

    scopes = {"GET": READERS}

    @openapi.describe(
        "Read an artifact and check it",
        description="Recomputes the hash from the stored text and checks the server's signature over it.",
        answers={
            200: openapi.obj(
                {
                    "artifact": openapi.OBJECT,
                    "artifactId": openapi.TEXT,
                    "artifactHash": openapi.TEXT,
                    "verified": openapi.BOOL,
                    "verifiedAt": openapi.INSTANT,
                    "signature": SIGNATURE,
                }
            )
        },
    )
    def get(self, request: OpsRequest, artifact_id: str) -> HttpResponse:
        artifact = queries.get(tenant_id=request.tenant_id, artifact_id=artifact_id)
        return Json(
            as_stored(
                artifact,
                extra={
                    "artifactId": artifact.artifact_id,
                    "artifactHash": artifact.artifact_hash,
                    "verified": queries.verify(artifact).is_verified,
                    "verifiedAt": clock.iso(request.received_at),
                },
            )
        )
