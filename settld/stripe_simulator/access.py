"""Who may call: test secret keys only, from this machine. A live key never gets further than here."""

import base64
import binascii
import ipaddress
import time

from settld.stripe_simulator.errors import StripeError, rate_limited


def check_key(headers: dict[str, str]) -> None:
    """Raise unless the call carries a test secret key, as bearer or as basic user name."""
    key = _key(headers.get("authorization", ""))
    if not key:
        message = "You did not provide an API key. Send it in the Authorization header, as a bearer token."
        raise StripeError(message, status=401)
    if key.startswith(("sk_live_", "rk_live_", "pk_live_")):
        message = "This is the Stripe simulator. It refuses live keys: use a key that begins with sk_test_."
        raise StripeError(message, status=403, code="livemode_mismatch")
    if key.startswith("pk_test_"):
        message = "This call cannot be made with a publishable key. Use a secret key."
        raise StripeError(message, status=401, code="secret_key_required")
    if not key.startswith(("sk_test_", "rk_test_")) or len(key) < len("sk_test_") + 4:
        raise StripeError(f"Invalid API Key provided: {key[:3]}****", status=401)


def _key(header: str) -> str:
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def is_loopback_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class RateLimit:
    """A token bucket over all API calls, in real time; 0 per second means no limit."""

    def __init__(self, *, per_second: int) -> None:
        self.configure(per_second=per_second)

    def configure(self, *, per_second: int) -> None:
        self.per_second = per_second
        self._tokens = float(per_second)
        self._filled_at = time.monotonic()

    def take(self) -> None:
        if self.per_second <= 0:
            return
        now = time.monotonic()
        filled = self._tokens + (now - self._filled_at) * self.per_second
        self._tokens, self._filled_at = min(float(self.per_second), filled), now
        if self._tokens < 1:
            raise rate_limited()
        self._tokens -= 1
