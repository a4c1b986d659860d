"""Evidence packs: a payout's or a report's records in one signed zip that verifies far from here."""
