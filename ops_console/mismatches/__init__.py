"""Mismatches: where provider and books differ, for reading."""
