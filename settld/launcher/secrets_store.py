"""Secrets that a state folder makes for itself at its first start and keeps: readable by its owner alone."""

import dataclasses
import json
import secrets

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settld.launcher.errors import LauncherError
from settld.launcher.home import Home, write_private


@dataclasses.dataclass(frozen=True)
class Secrets:
    """What the demo's settings are made of; a setting given in the environment wins over each."""

    secret_key: str
    key_pepper: str
    ops_token: str
    demo_password: str
    webhook_secret: str
    stripe_key: str
    operation_key_secret: str
    provider_key_secret: str


def load_secrets(home: Home) -> Secrets:
    """Read the folder's secrets, making what is missing; the signing key has a file of its own."""
    if not home.signing_key.exists():
        write_private(home.signing_key, new_signing_key())
    held = _read(home)
    fresh = {
        "secret_key": secrets.token_urlsafe(50),
        "key_pepper": secrets.token_urlsafe(32),
        "ops_token": "ops_" + secrets.token_urlsafe(24),
        "demo_password": secrets.token_urlsafe(12),
        "webhook_secret": "whsec_" + secrets.token_urlsafe(24).replace("-", "a").replace("_", "b"),
        "stripe_key": "sk_test_" + secrets.token_hex(16),
        "operation_key_secret": secrets.token_urlsafe(32),
        "provider_key_secret": secrets.token_urlsafe(32),
    }
    merged = {name: held.get(name, value) for name, value in fresh.items()}
    if merged != held:
        write_private(home.secrets, json.dumps(merged, indent=2) + "\n")
    return Secrets(**merged)


def _read(home: Home) -> dict[str, str]:
    try:
        held = json.loads(home.secrets.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        held = error
    if not isinstance(held, dict):
        raise LauncherError(
            f"{home.secrets} cannot be read: {held}.",
            advice="Put it back from a copy. Without it the stored keys of this folder cannot be checked; "
            "for a new start, use another SETTLD_HOME.",
        )
    return held


def new_signing_key() -> str:
    """A fresh Ed25519 private key, PKCS8 PEM."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode("ascii")
    )
