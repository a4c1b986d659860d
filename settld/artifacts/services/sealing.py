"""Giving a document its hash, its text and its signature."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from settld.core import canonical_json, ids, money
from settld.core.hashing import sha256_hex
from settld.core.signatures import sign_hash

_UNHASHED = ("artifactHash", "signature")


@dataclass(frozen=True, slots=True)
class Draft:
    """A document to be stored; `body` is without artifactHash and signature."""

    artifact_id: str
    artifact_type: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A document ready to be stored."""

    row_id: uuid.UUID
    artifact_id: str
    artifact_type: str
    artifact_hash: str
    text: str
    period: str | None
    payout_key: str | None
    amount_cents: int | None
    currency: str | None
    signature_key_id: str
    signature_base64: str

    @property
    def document(self) -> dict[str, Any]:
        """Give the document as JSON, members in the stored order."""
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


def seal(draft: Draft) -> Sealed:
    """Hash, write and sign a document. Raises CanonicalJsonError when it has no canonical form.

    Each member is written once and the members are then joined twice, with and without the hash:
    at the close of a month with many statements this is where the time goes.
    """
    members = {
        _written(name): _written(value) if isinstance(value, str) else canonical_json.dumps(value)
        for name, value in draft.body.items()
        if name not in _UNHASHED
    }
    digest = sha256_hex(_joined(members))
    members[b'"artifactHash"'] = b'"' + digest.encode() + b'"'
    signature = sign_hash(digest)
    payout = draft.body.get("payout")
    payout = payout if isinstance(payout, Mapping) else {}
    amount_cents = payout.get("amountCents")
    return Sealed(
        row_id=ids.uuid7(),
        artifact_id=draft.artifact_id,
        artifact_type=draft.artifact_type,
        artifact_hash=digest,
        text=_joined(members).decode(),
        period=_text(draft.body.get("period")),
        payout_key=_text(draft.body.get("payoutKey")),
        amount_cents=amount_cents if money.is_minor(amount_cents) else None,
        currency=_text(payout.get("currency")),
        signature_key_id=signature.key_id,
        signature_base64=signature.signature_base64,
    )


@lru_cache(maxsize=4096)
def _written(text: str) -> bytes:
    """Write a text; the names of members and many of their values come again in document after document."""
    return canonical_json.dumps(text)


def _joined(members: dict[bytes, bytes]) -> bytes:
    """Join written members in RFC 8785 order; our top-level names are ASCII, where all orders agree."""
    return b"{" + b",".join(name + b":" + members[name] for name in sorted(members)) + b"}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
