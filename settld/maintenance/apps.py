"""The maintenance app."""

from django.apps import AppConfig


class MaintenanceConfig(AppConfig):
    """Runs, their history and their state."""

    name = "settld.maintenance"
    label = "maintenance"
    verbose_name = "Maintenance"

    def ready(self) -> None:
        """Tell /healthz when beat last ticked."""
        from settld.api.discovery import health_details
        from settld.maintenance import queries

        if queries.health_detail not in health_details:
            health_details.append(queries.health_detail)
