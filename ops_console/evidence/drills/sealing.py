"""Hashing and signing evidence, and writing it so that a reader finds all of it or nothing."""

import base64
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ops_console.evidence.drills.errors import DrillStopped
from settld.core.canonical_json import CanonicalJsonError
from settld.core.hashing import artifact_hash
from settld.core.signatures import load_private_key


@dataclass(frozen=True)
class Signer:
    """Who vouches for the evidence: a key, and the name given for it (none unless asked for)."""

    key: Ed25519PrivateKey
    key_id: str | None

    def sign(self, digest: str) -> dict[str, Any]:
        """Sign the 32 raw bytes of a hash."""
        signature = self.key.sign(bytes.fromhex(digest))
        return {
            "algorithm": "Ed25519",
            "keyId": self.key_id,
            "signatureBase64": base64.b64encode(signature).decode(),
        }


def load_signer(path: str | None, *, key_id: str | None) -> Signer | None:
    """Read the signing key, before anything is called; None when the evidence is not to be signed."""
    if path is None:
        if key_id is not None:
            raise DrillStopped("--signature-key-id needs --signing-key-file")
        return None
    try:
        return Signer(load_private_key(Path(path).read_bytes()), key_id)
    except OSError as error:
        raise DrillStopped(f"--signing-key-file cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise DrillStopped(
            "--signing-key-file is not an unencrypted PKCS#8 PEM with an Ed25519 key"
        ) from None


def seal(document: dict[str, Any], signer: Signer | None) -> dict[str, Any]:
    """Add the hash, and the signature when there is a signer."""
    try:
        digest = artifact_hash(document)
    except CanonicalJsonError as error:
        raise DrillStopped(f"what the server answered cannot be hashed: {error}") from None
    sealed = document | {"artifactHash": digest}
    return sealed | {"signature": signer.sign(digest)} if signer else sealed


def text_of(document: dict[str, Any]) -> str:
    """Write a document as commands print and store it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def require_writable(path: str | None) -> None:
    """Refuse a place that cannot be written to, before the first call."""
    if path is None:
        return
    target = Path(path)
    if not target.name or "\x00" in path or target.is_dir():
        raise DrillStopped("--out must name a file")
    standing = next((folder for folder in target.absolute().parents if folder.exists()), None)
    try:
        with tempfile.TemporaryFile(dir=standing):
            pass
    except OSError:
        raise DrillStopped("the folder of --out cannot be written to") from None


def write(path: str, text: str) -> None:
    """Write a file whole or not at all, with the folders it needs."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DrillStopped(f"cannot write {path}: {error.strerror}") from None
