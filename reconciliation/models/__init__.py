"""Reports and mismatches."""

from reconciliation.models.mismatch import Mismatch
from reconciliation.models.report import ReconcileReport

__all__ = ["Mismatch", "ReconcileReport"]
