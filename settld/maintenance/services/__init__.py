"""Verbs of the maintenance room."""

from settld.maintenance.services.recording import beat, note_state
from settld.maintenance.services.runs import (
    Finished,
    MaintenanceAlreadyRunning,
    MaintenanceRunFailed,
    Plan,
    run_exclusively,
)

__all__ = [
    "Finished",
    "MaintenanceAlreadyRunning",
    "MaintenanceRunFailed",
    "Plan",
    "beat",
    "note_state",
    "run_exclusively",
]
