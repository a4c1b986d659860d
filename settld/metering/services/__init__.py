"""Verbs of the metering room."""
