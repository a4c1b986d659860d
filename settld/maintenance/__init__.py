"""Maintenance: runs under an advisory lock, with their history and state, and what /ops/status tells."""
