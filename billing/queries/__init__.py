"""Reads of checkout billing."""
