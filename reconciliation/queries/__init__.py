"""Reads: the comparison itself, and the cases that it left."""
