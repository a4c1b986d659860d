"""The maintenance app."""

from django.apps import AppConfig


class MaintenanceConfig(AppConfig):
    """Runs, their history and their state."""

    name = "settld.maintenance"
    label = "maintenance"
    verbose_name = "Maintenance"

    def ready(self) -> None:
        """Tell /healthz when beat last ticked, and /metrics when each kind last ran."""
        from settld.api.discovery import health_details
        from settld.api.metrics import gauge_groups
        from settld.maintenance import gauges, queries

        if queries.health_detail not in health_details:
            health_details.append(queries.health_detail)
        gauge_groups["maintenance"] = gauges.samples
