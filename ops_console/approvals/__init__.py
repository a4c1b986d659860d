"""Approvals: changes that wait for a second person."""
