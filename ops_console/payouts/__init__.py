"""Payouts: the list, its file, one payout's story, and the two acts on it."""
