"""The evidence commands: they see the product over HTTP only, and need no database (spec 7)."""
