"""The app: on start it takes over the findings that the rails make."""

from django.apps import AppConfig


class ReconciliationConfig(AppConfig):
    """Reconciliation runs, reports and mismatches."""

    name = "reconciliation"
    verbose_name = "Reconciliation"

    def ready(self) -> None:
        """Become the sink for facts that the rails could not match, and the worker of triage batches."""
        from moneyrails import findings
        from reconciliation import gauges
        from reconciliation.services import batch_run, filing
        from settld.api.metrics import gauge_groups
        from settld.outbox.kinds import register_kind

        findings.register(filing.note)
        gauge_groups["provider_statement"] = gauges.samples
        gauge_groups["invariants"] = gauges.invariants
        register_kind(batch_run.KIND, batch_run.carry_out, lease=batch_run.LEASE)
