"""Ids that look like Stripe's and depend only on the seed and on how many came before."""

import hashlib
import string

from settld.stripe_simulator.store import Store

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTHS = {"acct": 16, "req": 14, "whsec": 32}
DEFAULT_LENGTH = 24


def scatter(*parts: object) -> int:
    """A large number that looks random and is the same for the same parts, in any process."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def fraction(*parts: object) -> float:
    """A reproducible draw from [0, 1)."""
    return (scatter(*parts) >> 203) / float(1 << 53)


def render(*, seed: int, prefix: str, number: int) -> str:
    """The `number`th id of a prefix, for example `tr_1dK...`."""
    length = LENGTHS.get(prefix, DEFAULT_LENGTH)
    digest = scatter(seed, prefix, number).to_bytes(32, "big")
    body = "".join([ALPHABET[byte % len(ALPHABET)] for byte in digest[:length]])
    return f"{prefix}_{body}" if prefix in ("req", "whsec") else f"{prefix}_1{body[1:]}"


class Ids:
    """Hands out ids; the counters live in the store, so a restart goes on where it stopped."""

    def __init__(self, *, store: Store, seed: int) -> None:
        self.store = store
        self.seed = seed

    def next(self, prefix: str) -> str:
        number = self.store.bump(f"id:{prefix}")
        return render(seed=self.seed, prefix=prefix, number=number)
