"""The routes of checkout billing."""
