"""Turn differing rows into queue rows: the identity that triage and later runs meet them by."""

from dataclasses import dataclass
from typing import Any, Final

from reconciliation.states import DECIDED, Severity, SourceType, TriageStatus
from settld.core.hashing import canonical_hash, sha256_hex

TRIAGE_STATUSES: Final = tuple(TriageStatus.values)


@dataclass(frozen=True)
class Kind:
    """How a group of differences is named in the queue."""

    mismatch_type: str
    mismatch_code: str
    severity: str


KINDS: Final = {
    "missingOperations": Kind("missing_operation", "MONEY_RAIL_MISSING_OPERATION", Severity.CRITICAL.value),
    "amountMismatches": Kind("amount_mismatch", "MONEY_RAIL_AMOUNT_MISMATCH", Severity.HIGH.value),
    "currencyMismatches": Kind("currency_mismatch", "MONEY_RAIL_CURRENCY_MISMATCH", Severity.HIGH.value),
    "terminalFailures": Kind("terminal_failure", "MONEY_RAIL_TERMINAL_FAILURE", Severity.CRITICAL.value),
    "unexpectedOperations": Kind(
        "unexpected_operation", "MONEY_RAIL_UNEXPECTED_OPERATION", Severity.HIGH.value
    ),
    "duplicateExpected": Kind("duplicate_expected", "MONEY_RAIL_DUPLICATE_EXPECTED", Severity.MEDIUM.value),
    "indeterminateOperations": Kind(
        "indeterminate_operation", "MONEY_RAIL_INDETERMINATE_OPERATION", Severity.CRITICAL.value
    ),
    "unreferencedMovements": Kind(
        "unreferenced_movement", "MONEY_RAIL_UNREFERENCED_MOVEMENT", Severity.CRITICAL.value
    ),
}
PROVIDER_KINDS: Final = {
    "providerOnlyTransfers": Kind(
        "provider_only_transfer", "MONEY_RAIL_PROVIDER_ONLY_TRANSFER", Severity.CRITICAL.value
    ),
    "missingTransfers": Kind("missing_transfer", "MONEY_RAIL_MISSING_TRANSFER", Severity.CRITICAL.value),
    "transferMismatches": Kind("transfer_mismatch", "MONEY_RAIL_TRANSFER_MISMATCH", Severity.CRITICAL.value),
    "unrecordedTransfers": Kind(
        "unrecorded_transfer", "MONEY_RAIL_UNRECORDED_TRANSFER", Severity.CRITICAL.value
    ),
    "unrecordedReversals": Kind("unrecorded_reversal", "MONEY_RAIL_UNRECORDED_REVERSAL", Severity.HIGH.value),
    "reversalsOnlyHere": Kind("reversal_only_here", "MONEY_RAIL_REVERSAL_ONLY_HERE", Severity.MEDIUM.value),
    "duplicateTransfers": Kind(
        "duplicate_transfer", "MONEY_RAIL_DUPLICATE_TRANSFER", Severity.CRITICAL.value
    ),
}
# In these groups several rows may speak of one operation: a row is known by its transfer.
BY_TRANSFER: Final = frozenset({"providerOnlyTransfers", "duplicateTransfers"})


@dataclass(frozen=True)
class QueueRow:
    """One case as the triage queue shows it."""

    source_type: str
    period: str
    provider_id: str
    kind: Kind
    mismatch_key: str
    details: dict[str, Any]

    @property
    def triage_key(self) -> str:
        """Name the case, the same whichever run finds it."""
        return triage_key(
            source_type=self.source_type,
            period=self.period,
            provider_id=self.provider_id,
            mismatch_type=self.kind.mismatch_type,
            mismatch_key=self.mismatch_key,
        )

    @property
    def mismatch_hash(self) -> str:
        """Hash what differs, so that a decision about other content can be told from this one."""
        return canonical_hash(self.details)

    def as_json(self, triage: dict[str, Any] | None = None) -> dict[str, Any]:
        """Show the row as the wire does, with the decision about it when there is one."""
        return {
            "sourceType": self.source_type,
            "period": self.period or None,
            "providerId": self.provider_id or None,
            "mismatchType": self.kind.mismatch_type,
            "mismatchKey": self.mismatch_key,
            "mismatchCode": self.kind.mismatch_code,
            "severity": self.kind.severity,
            "title": f"{self.kind.mismatch_type}:{self.mismatch_key}",
            "details": self.details,
            "mismatchHash": self.mismatch_hash,
            "triageKey": self.triage_key,
            "triage": triage,
        }


def triage_key(
    *, source_type: str, period: str, provider_id: str, mismatch_type: str, mismatch_key: str
) -> str:
    """Compute a case's identity; a fact that names no month counts as of month 000000.

    Source: spec/money-rails.md 2.6.
    """
    identity = "\n".join([source_type, period, provider_id or "none", mismatch_type, mismatch_key])
    return f"frt_{period.replace('-', '') or '000000'}_{sha256_hex(identity)[:24]}"


def queue(*, period: str, provider_id: str, mismatches: dict[str, list[dict[str, Any]]]) -> list[QueueRow]:
    """List the rows of every group, in the groups' order."""
    return [
        queue_row(period=period, provider_id=provider_id, group=group, row=row)
        for group, rows in mismatches.items()
        for row in rows
    ]


def finance_row(*, period: str, mismatch: dict[str, Any]) -> QueueRow:
    """Shape one mismatch of a finance report; such cases belong to no provider."""
    kind = Kind(mismatch["mismatchType"], mismatch["mismatchCode"], mismatch["severity"])
    return QueueRow(SourceType.FINANCE.value, period, "", kind, mismatch["mismatchKey"], mismatch["details"])


def queue_row(*, period: str, provider_id: str, group: str, row: dict[str, Any]) -> QueueRow:
    """Shape one row of a group, of either comparison."""
    is_of_books = group in KINDS
    kind = KINDS[group] if is_of_books else PROVIDER_KINDS[group]
    source = SourceType.MONEY_RAILS if is_of_books else SourceType.PROVIDER_STATEMENT
    key = row["transferId"] if group in BY_TRANSFER else _mismatch_key(kind.mismatch_type, row)
    return QueueRow(source.value, period, provider_id, kind, key, row)


def _mismatch_key(mismatch_type: str, row: dict[str, Any]) -> str:
    return row.get("operationId") or row.get("payoutKey") or f"{mismatch_type}_{canonical_hash(row)[:24]}"


def triage_summary(overlays: list[dict[str, Any] | None]) -> dict[str, Any]:
    """Count a queue by its decisions: one without counts as open, a drifted one as unresolved."""
    by_status = dict.fromkeys(TRIAGE_STATUSES, 0)
    resolved = 0
    for overlay in overlays:
        status = overlay["status"] if overlay else TriageStatus.OPEN.value
        by_status[status] += 1
        resolved += overlay is not None and status in DECIDED and not overlay["drifted"]
    return {
        "total": len(overlays),
        "byStatus": by_status,
        "unresolved": len(overlays) - resolved,
        "resolved": resolved,
    }
