"""Today: what needs a person now, and what the day moved."""
