"""The runs workspace: agents' work, what it settled, and what became of the money."""
