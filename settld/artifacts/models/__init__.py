"""Stored artifacts."""

from settld.artifacts.models.artifact import Artifact

__all__ = ["Artifact"]
