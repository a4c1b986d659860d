"""Routes of payouts and operations."""
