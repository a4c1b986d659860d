"""Reports, mismatches, decisions about them, and the provider's statement."""

from reconciliation.models.alert import MismatchAlert
from reconciliation.models.batch import TriageBatch, TriageBatchRow
from reconciliation.models.mismatch import Mismatch
from reconciliation.models.provider_statement import ProviderPeriod, ProviderTransfer, StatementCursor
from reconciliation.models.report import ReconcileReport
from reconciliation.models.triage import Triage, TriageAction

__all__ = [
    "Mismatch",
    "MismatchAlert",
    "ProviderPeriod",
    "ProviderTransfer",
    "ReconcileReport",
    "StatementCursor",
    "Triage",
    "TriageAction",
    "TriageBatch",
    "TriageBatchRow",
]
