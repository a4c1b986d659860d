"""Ed25519 signatures over the raw bytes of a hash."""

import base64
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

from settld.core.hashing import sha256_hex


@dataclass(frozen=True)
class Signature:
    """A signature as artifacts carry it."""

    key_id: str
    signature_base64: str

    def as_json(self) -> dict[str, str]:
        """Shape it for the wire."""
        return {"algorithm": "Ed25519", "keyId": self.key_id, "signatureBase64": self.signature_base64}


def load_private_key(pem: bytes) -> Ed25519PrivateKey:
    """Read a PKCS#8 PEM; ValueError when it holds another kind of key."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("the signing key is not an Ed25519 key")
    return key


def public_pem(key: Ed25519PublicKey) -> str:
    """Write a public key as SPKI PEM, the text that key ids are made from."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def key_id(pem: str) -> str:
    """Name a public key by its PEM text."""
    return f"key_{sha256_hex(pem)[:24]}"


@lru_cache(maxsize=4)
def _server_key(pem: bytes) -> tuple[Ed25519PrivateKey, str]:
    key = load_private_key(pem)
    return key, key_id(public_pem(key.public_key()))


def server_public_pem() -> str:
    """Give out the public half of the server's signing key."""
    return public_pem(_server_key(settings.SIGNING_KEY_PEM)[0].public_key())


def public_pems() -> dict[str, str]:
    """Give the public half of every signing key by its id: the one in use, then those retired."""
    pem = server_public_pem()
    retired: dict[str, str] = settings.RETIRED_SIGNING_KEYS
    return {key_id(pem): pem} | retired


def known_public_pem(name: str) -> str | None:
    """Give the public half of the signing key of a name, in use or retired; None for one we never held."""
    pem = server_public_pem()
    return pem if key_id(pem) == name else settings.RETIRED_SIGNING_KEYS.get(name)


def sign_hash(hash_hex: str) -> Signature:
    """Sign the 32 raw bytes that a hex hash stands for, with the server's key."""
    key, name = _server_key(settings.SIGNING_KEY_PEM)
    return Signature(name, base64.b64encode(key.sign(bytes.fromhex(hash_hex))).decode())


def is_valid(*, hash_hex: str, signature_base64: str, public_key_pem: str) -> bool:
    """Check a signature with only the hash and the signer's public key."""
    key = serialization.load_pem_public_key(public_key_pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        return False
    try:
        key.verify(base64.b64decode(signature_base64, validate=True), bytes.fromhex(hash_hex))
    except (InvalidSignature, ValueError):
        return False
    return True
