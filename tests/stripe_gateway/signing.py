"""Signing as Stripe signs, written a second time so that the check is not tested against itself."""

import datetime as dt
import hashlib
import hmac

SECRET = "whsec_test_secret"


def digest(payload: bytes, *, timestamp: int, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + payload, hashlib.sha256).hexdigest()


def signed(payload: bytes, *, at: dt.datetime, secret: str = SECRET) -> str:
    timestamp = int(at.timestamp())
    return f"t={timestamp},v1={digest(payload, timestamp=timestamp, secret=secret)}"
