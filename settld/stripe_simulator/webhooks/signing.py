"""The `Stripe-Signature` header."""

import hashlib
import hmac


def signature_header(*, payload: bytes, secret: str, timestamp: int) -> str:
    """`t=...,v1=...`: HMAC-SHA-256 over `t.payload` with the endpoint's secret."""
    signed = f"{timestamp}.".encode() + payload
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
