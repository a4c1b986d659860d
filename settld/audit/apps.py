"""The audit app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Who did what, provably."""

    name = "settld.audit"
    label = "audit"
    verbose_name = "Audit"
