"""Statements: the months, what each party is owed in one, and the act that makes a payout of it."""
