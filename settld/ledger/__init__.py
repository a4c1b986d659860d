"""The ledger: periods and the event stream that says how they opened and closed."""
