"""Proof that a webhook's bytes come from Stripe and are fresh."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass


class SignatureInvalid(Exception):
    """The header does not prove these bytes; the message says why, for the log only."""


@dataclass(frozen=True)
class SignatureHeader:
    """The parsed header: when it was signed, and the digests offered for it."""

    timestamp: int
    digests: tuple[str, ...]


def verify(
    *, payload: bytes, header: str, secrets: Sequence[str], tolerance_seconds: int, now_seconds: int
) -> None:
    """Let a payload pass that one of our secrets signed close to now; raise SignatureInvalid otherwise.

    The digest covers the exact bytes received. Any of several secrets (rotation) and any of several
    `v1` digests suffices. The age is checked in both directions, boundary included; a tolerance of 0
    switches the age check off. Source: spec/checkout-billing.md 8.1.
    """
    signed = parse_header(header)
    message = str(signed.timestamp).encode() + b"." + payload
    expected = [hmac.new(secret.encode(), message, hashlib.sha256).hexdigest().encode() for secret in secrets]
    offered = [digest.lower().encode() for digest in signed.digests]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in offered]
    if not any(matches):
        raise SignatureInvalid("digest mismatch")
    if tolerance_seconds and abs(now_seconds - signed.timestamp) > tolerance_seconds:
        raise SignatureInvalid("timestamp outside tolerance window")


def parse_header(header: str) -> SignatureHeader:
    """Read `t=<unix>,v1=<hex>[,v1=<hex>...]`; other schemes are passed over."""
    timestamps, digests = [], []
    for item in header.split(","):
        name, _, value = item.strip().partition("=")
        if name == "t":
            timestamps.append(value)
        elif name == "v1" and value:
            digests.append(value)
    if not timestamps:
        raise SignatureInvalid("missing timestamp")
    if not (timestamps[0].isascii() and timestamps[0].isdigit() and len(timestamps[0]) <= 12):
        raise SignatureInvalid("timestamp is invalid")
    if not digests:
        raise SignatureInvalid("missing v1 digest")
    return SignatureHeader(timestamp=int(timestamps[0]), digests=tuple(digests))
