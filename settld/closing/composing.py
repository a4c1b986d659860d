"""Documents of which a part was written as canonical JSON elsewhere: by the database, row by row.

A month of a million entries has documents of many megabytes. Their long lists are written by one SQL
statement and come here as finished text, so no object per row is ever made in Python.
"""

from collections.abc import Mapping
from typing import Any

from settld.artifacts.services import Sealed
from settld.core import canonical_json, ids
from settld.core.hashing import sha256_hex
from settld.core.signatures import sign_hash

# Orders as UTF-16 code units do, which hashed lists ask for: characters beyond the basic plane come before
# U+E000 and up. Identifiers in ASCII, the rule, are compared as they are.
_CODE_UNITS = (
    "(CASE WHEN octet_length({0}) = char_length({0}) THEN {0} ELSE "
    "regexp_replace({0}, U&'[\\E000-\\FFFF]', U&'\\+10FFFF\\\\&', 'g') END COLLATE \"C\")"
)


class Written(bytes):
    """A value that is canonical JSON already."""


def in_code_units(column: str) -> str:
    """Write the SQL expression that orders a text column by UTF-16 code units."""
    return _CODE_UNITS.format(column)


def dumps(value: Any) -> bytes:
    """Write a value as canonical JSON; members of the outer object may be `Written`, names must be ASCII."""
    if isinstance(value, Written):
        return bytes(value)
    if not isinstance(value, Mapping):
        return canonical_json.dumps(value)
    return b"{" + b",".join(_member(name, value[name]) for name in sorted(value)) + b"}"


def seal(*, artifact_id: str, artifact_type: str, body: Mapping[str, Any]) -> Sealed:
    """Hash, write and sign a document, as `artifacts.seal` does; its members may be `Written`.

    `artifactHash` sorts before every other member that our documents have, which is relied on here.
    """
    members = b",".join(_member(name, body[name]) for name in sorted(body))
    digest = sha256_hex(b"{" + members + b"}")
    signature = sign_hash(digest)
    period = body.get("period")
    return Sealed(
        row_id=ids.uuid7(),
        artifact_id=artifact_id,
        artifact_type=artifact_type,
        artifact_hash=digest,
        text=(b'{"artifactHash":"' + digest.encode() + b'",' + members + b"}").decode(),
        period=period if isinstance(period, str) else None,
        payout_key=None,
        amount_cents=None,
        currency=None,
        signature_key_id=signature.key_id,
        signature_base64=signature.signature_base64,
    )


def _member(name: str, value: Any) -> bytes:
    written = dumps(value) if isinstance(value, Written) else canonical_json.dumps(value)
    return canonical_json.dumps(name) + b":" + written
