"""Comparing what should have been paid with what was, and keeping the cases where they differ."""
