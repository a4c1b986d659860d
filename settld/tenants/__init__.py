"""Tenants, people and their roles, API keys and ops tokens, and finding out who calls."""
