"""The finance workspace: one month's books, compared, tied out and closed."""
