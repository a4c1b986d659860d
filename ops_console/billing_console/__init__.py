"""Checkout billing of the whole deployment, for its operators: events, catalog, operations, reports."""
