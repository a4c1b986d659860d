"""The journal workspace: entries, accounts, and where each came from."""
