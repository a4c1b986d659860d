"""Verbs of the ledger: locking months and adding to their streams."""
