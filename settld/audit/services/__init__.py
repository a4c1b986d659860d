"""Verbs of the audit room."""

from settld.audit.services.append import AuditLogFailed, append, append_now

__all__ = ["AuditLogFailed", "append", "append_now"]
