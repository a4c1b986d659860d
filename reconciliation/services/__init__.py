"""Verbs: reconcile a rail, file what nobody could match."""
