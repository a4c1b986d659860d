"""Hashing a document without its own hash."""

from collections.abc import Mapping, Sequence
from typing import Any

from settld.core.hashing import canonical_hash


def document_hash(document: Mapping[str, Any], *, but: Sequence[str]) -> str:
    """Hash a document without some members: its own hash, and what its kind leaves out besides."""
    return canonical_hash({key: value for key, value in document.items() if key not in but})
