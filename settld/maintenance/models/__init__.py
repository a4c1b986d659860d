"""Runs and their state."""

from settld.maintenance.models.run import MaintenanceRun
from settld.maintenance.models.state import MaintenanceState

__all__ = ["MaintenanceRun", "MaintenanceState"]
