"""Read how a tenant's invariants stand."""

from dataclasses import dataclass
from typing import Any, Final

from reconciliation.invariants import INVARIANTS, Invariant
from reconciliation.models import InvariantCheck, Mismatch
from reconciliation.models.mismatch import OPEN
from reconciliation.states import CheckStatus, SourceType
from settld.core import clock

NOT_CHECKED: Final = "not_checked"


@dataclass(frozen=True)
class Standing:
    """An invariant and the last look at it; None when it was never looked at."""

    invariant: Invariant
    check: InvariantCheck | None

    @property
    def status(self) -> str:
        """Say how it stands."""
        return str(self.check.status) if self.check is not None else NOT_CHECKED

    def as_json(self) -> dict[str, Any]:
        """Show it as the wire does."""
        invariant, check = self.invariant, self.check
        return {
            "name": invariant.name,
            "severity": invariant.severity.value,
            "means": invariant.means,
            "stopsPayouts": invariant.stops_payouts,
            "status": self.status,
            "rowCount": check.row_count if check else 0,
            "triageKey": check.triage_key if check else None,
            "brokenSince": clock.iso(check.broken_since) if check else None,
            "checkedAt": clock.iso(check.checked_at) if check else None,
            "sweptAt": clock.iso(check.swept_at) if check else None,
            "runtimeMs": check.runtime_ms if check else None,
            "code": check.code if check else None,
        }


def standings(*, tenant_id: str) -> list[Standing]:
    """List every invariant with its last look, in the order in which they are looked at."""
    checks = {row.name: row for row in InvariantCheck.objects.filter(tenant_id=tenant_id)}
    return [Standing(invariant, checks.get(invariant.name)) for invariant in INVARIANTS]


def overall(found: list[Standing]) -> str:
    """Sum up: broken before not looked at, that before whole."""
    statuses = {one.status for one in found}
    for status in (CheckStatus.FAIL.value, CheckStatus.ERROR.value, NOT_CHECKED):
        if status in statuses:
            return status
    return CheckStatus.PASS.value


def open_cases(*, tenant_id: str, most: int = 20) -> list[Mismatch]:
    """List the cases of broken invariants that wait for a person, the gravest first."""
    rows = Mismatch.objects.filter(OPEN, tenant_id=tenant_id, source_type=SourceType.INVARIANT)
    return list(rows.order_by("severity_rank", "first_seen_at", "id")[:most])
