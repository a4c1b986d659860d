"""Idempotency (P4): the caller's key, the effect and the stored reply commit together."""
