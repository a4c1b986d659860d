"""The outbox app."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    """Jobs with leases and fencing."""

    name = "settld.outbox"
    label = "outbox"
    verbose_name = "Outbox"

    def ready(self) -> None:
        """Tell /healthz how much waits."""
        from settld.api.discovery import health_details
        from settld.outbox import queries

        if queries.health_detail not in health_details:
            health_details.append(queries.health_detail)
