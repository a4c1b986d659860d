"""Reads of the money rails; the tenant is always the first filter."""
