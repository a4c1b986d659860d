"""Turn differing rows into queue rows: the identity that triage and later runs meet them by."""

from dataclasses import dataclass
from typing import Any, Final

from reconciliation.states import Severity, SourceType
from settld.core.hashing import canonical_hash, sha256_hex

TRIAGE_STATUSES: Final = ("open", "acknowledged", "in_progress", "resolved", "dismissed")


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

    def as_json(self) -> dict[str, Any]:
        """Show the row as the wire does; nobody has triaged it yet."""
        return {
            "sourceType": self.source_type,
            "period": self.period,
            "providerId": self.provider_id,
            "mismatchType": self.kind.mismatch_type,
            "mismatchKey": self.mismatch_key,
            "mismatchCode": self.kind.mismatch_code,
            "severity": self.kind.severity,
            "title": f"{self.kind.mismatch_type}:{self.mismatch_key}",
            "details": self.details,
            "mismatchHash": self.mismatch_hash,
            "triageKey": self.triage_key,
            "triage": None,
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
        QueueRow(
            source_type=SourceType.MONEY_RAILS.value,
            period=period,
            provider_id=provider_id,
            kind=KINDS[group],
            mismatch_key=_mismatch_key(KINDS[group].mismatch_type, row),
            details=row,
        )
        for group, rows in mismatches.items()
        for row in rows
    ]


def _mismatch_key(mismatch_type: str, row: dict[str, Any]) -> str:
    return row.get("operationId") or row.get("payoutKey") or f"{mismatch_type}_{canonical_hash(row)[:24]}"


def triage_summary(rows: list[QueueRow]) -> dict[str, Any]:
    """Count a queue by triage status; an untriaged row counts as open."""
    by_status = dict.fromkeys(TRIAGE_STATUSES, 0)
    by_status["open"] = len(rows)
    resolved = by_status["resolved"] + by_status["dismissed"]
    return {
        "total": len(rows),
        "byStatus": by_status,
        "unresolved": len(rows) - resolved,
        "resolved": resolved,
    }
