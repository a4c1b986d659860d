"""The verbs of the money rails."""
