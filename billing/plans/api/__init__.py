"""The routes of plans."""
