"""The verbs of tenant plans."""
