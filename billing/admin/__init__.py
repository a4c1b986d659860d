"""Checkout billing in the admin: for looking, but for what operators keep by hand."""

from billing.admin import kept, looking

__all__ = ["kept", "looking"]
