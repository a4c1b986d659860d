"""Verbs of the artifacts room."""

from settld.artifacts.services.sealing import Draft, Sealed, seal
from settld.artifacts.services.storing import ArtifactConflict, get_or_create, store_missing, store_one

__all__ = ["ArtifactConflict", "Draft", "Sealed", "get_or_create", "seal", "store_missing", "store_one"]
