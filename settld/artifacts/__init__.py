"""Artifacts: hashed, signed, immutable documents, each written once."""
