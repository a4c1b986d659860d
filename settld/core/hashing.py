"""SHA-256 over bytes, texts and canonical JSON, always as lowercase hex."""

import hashlib
from typing import Any

from settld.core import canonical_json


def sha256_hex(content: bytes | str) -> str:
    """Hash bytes, or a text as UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def canonical_hash(value: Any) -> str:
    """Hash a JSON value by its canonical form, so that equal content has an equal hash."""
    return sha256_hex(canonical_json.dumps(value))


def artifact_hash(artifact: dict[str, Any]) -> str:
    """Hash an artifact without the two members that cannot cover themselves."""
    return canonical_hash(
        {key: value for key, value in artifact.items() if key not in ("artifactHash", "signature")}
    )
