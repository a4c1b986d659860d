"""Workspace billing: what a tenant subscribes to, buys, pays with and uses."""
