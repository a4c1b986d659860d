"""Taking secrets out of text that is going to be logged, stored or answered."""

import re
from collections.abc import Iterable
from typing import Final

REDACTED: Final = "[REDACTED]"
SHORTEST_SECRET: Final = 8
_TELLTALE: Final = re.compile(
    r"\b(?:sk|rk|pk)_(?:test|live)_[A-Za-z0-9_*]+"  # provider keys
    r"|\bwhsec_[A-Za-z0-9_*+/=]+"
    r"|(?<=Bearer )\S+"
    r"|(?<=Basic )[A-Za-z0-9+/=]{8,}"
    r"|\b(?:pi|seti|src|cuss|cs(?:_test|_live)?)_[A-Za-z0-9]+_secret_[A-Za-z0-9]+"  # client secrets
    r"|\bv[01]=[0-9a-fA-F]{16,}"  # webhook signatures
)
_CLIENT_SECRET: Final = re.compile(
    r"""(["']client_secret["']\s*:\s*)(?:"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+')"""
)


def blanked(text: str, *, known: Iterable[str] = ()) -> str:
    """Blank what looks like a key, a bearer value, a client secret or a signature, and the known secrets."""
    for secret in known:
        if len(secret) >= SHORTEST_SECRET and secret in text:
            text = text.replace(secret, REDACTED)
    text = _TELLTALE.sub(REDACTED, text)
    return without_client_secrets(text)


def without_client_secrets(text: str) -> str:
    """Blank client secrets in JSON text; every other character stays."""
    return _CLIENT_SECRET.sub(rf'\1"{REDACTED}"', text)
