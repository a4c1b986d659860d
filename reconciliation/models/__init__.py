"""Reports, mismatches, decisions about them, the provider's statement, and the invariants."""

from reconciliation.models.alert import MismatchAlert
from reconciliation.models.batch import TriageBatch, TriageBatchRow
from reconciliation.models.invariant import InvariantCheck, InvariantStop
from reconciliation.models.mismatch import Mismatch
from reconciliation.models.provider_statement import ProviderPeriod, ProviderTransfer, StatementCursor
from reconciliation.models.report import ReconcileReport
from reconciliation.models.triage import Triage, TriageAction

__all__ = [
    "InvariantCheck",
    "InvariantStop",
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
