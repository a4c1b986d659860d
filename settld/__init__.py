"""Settld: a finance-operations control plane."""
