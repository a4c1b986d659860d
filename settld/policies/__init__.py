"""Settlement policies: their normal form, their hashes and what they decide about a run's money."""
