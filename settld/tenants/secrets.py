"""Hashing API key secrets: HMAC-SHA-256 with a pepper; older forms verify and are re-hashed."""

import base64
import hashlib
import hmac
import secrets as random_source

from django.conf import settings

from settld.core.hashing import sha256_hex

MISSING = "hmac256$none$" + "A" * 43


def new_secret() -> str:
    """Make 32 random bytes, base64url."""
    return random_source.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Hash with the current pepper."""
    pepper_id = next(iter(settings.KEY_PEPPERS))
    return f"hmac256${pepper_id}${_hmac(secret, settings.KEY_PEPPERS[pepper_id])}"


def is_match(secret: str, stored: str) -> bool:
    """Compare a secret with a stored hash of any known form, in constant time."""
    kind, _, rest = stored.partition("$")
    if kind == "hmac256":
        pepper_id, _, digest = rest.partition("$")
        pepper = settings.KEY_PEPPERS.get(pepper_id, "no such pepper")
        return hmac.compare_digest(_hmac(secret, pepper), digest) and pepper_id in settings.KEY_PEPPERS
    if kind == "scrypt":
        return _scrypt_matches(secret, rest)
    if len(stored) == 64:
        return hmac.compare_digest(sha256_hex(f"settld_auth_key_secret_v1:{secret}"), stored)
    return False


def needs_rehash(stored: str) -> bool:
    """Tell whether a stored hash is not of the current form and pepper."""
    return not stored.startswith(f"hmac256${next(iter(settings.KEY_PEPPERS))}$")


def _hmac(secret: str, pepper: str) -> str:
    digest = hmac.new(pepper.encode(), secret.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _scrypt_matches(secret: str, rest: str) -> bool:
    try:
        n, r, p, salt, digest = rest.split("$")
        wanted = base64.b64decode(digest + "=" * (-len(digest) % 4), altchars=b"-_")
        made = hashlib.scrypt(
            f"settld_auth_key_secret_v2:{secret}".encode(),
            salt=base64.b64decode(salt + "=" * (-len(salt) % 4), altchars=b"-_"),
            n=int(n), r=int(r), p=int(p), dklen=len(wanted), maxmem=256 * 1024 * 1024,
        )  # fmt: skip
    except ValueError:
        return False
    return hmac.compare_digest(made, wanted)
