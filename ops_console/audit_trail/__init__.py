"""Audit: the tenant's chain of privileged acts, for reading."""
