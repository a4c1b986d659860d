"""The app: on start it takes over the findings that the rails make."""

from django.apps import AppConfig


class ReconciliationConfig(AppConfig):
    """Reconciliation runs, reports and mismatches."""

    name = "reconciliation"
    verbose_name = "Reconciliation"

    def ready(self) -> None:
        """Become the sink for facts that the rails could not match."""
        from moneyrails import findings
        from reconciliation.services import filing

        findings.register(filing.note)
