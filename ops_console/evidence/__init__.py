"""Evidence: drills that prove a live deployment, and packs that carry a payout's records outside."""
