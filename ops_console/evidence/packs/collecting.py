"""Reading everything about some payouts: a fixed number of queries, each of them bounded."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from moneyrails.models import (
    ChargebackEntry,
    DispatchAttempt,
    DispatchCheck,
    Movement,
    Operation,
    ProviderEvent,
)
from reconciliation.models import Mismatch, Triage, TriageAction
from reconciliation.queries import reports as report_queries
from reconciliation.queries import triage as triage_queries
from reconciliation.states import Side
from settld.artifacts.models import Artifact
from settld.closing import documents
from settld.stripe_gateway.models import StripeEvent

MOST_OPERATIONS: Final = 100
MOST_ROWS: Final = 2_000
MOST_CASES: Final = 1_000

_SHARE: Final = """
SELECT 1 FROM money_rail_operation WHERE tenant_id = %s AND id = ANY(%s) ORDER BY id FOR SHARE
"""

Row = TypeVar("Row", bound=Any)


@dataclass
class Collected:
    """The rows behind some payouts; `truncated` names what a bound cut off."""

    operations: list[Operation]
    attempts: dict[UUID, list[DispatchAttempt]] = field(default_factory=dict)
    checks: dict[UUID, list[DispatchCheck]] = field(default_factory=dict)
    events: dict[UUID, list[ProviderEvent]] = field(default_factory=dict)
    movements: dict[UUID, list[Movement]] = field(default_factory=dict)
    entries: dict[UUID, list[ChargebackEntry]] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    raw_hashes: dict[str, str] = field(default_factory=dict)
    cases: list[Mismatch] = field(default_factory=list)
    decisions: dict[str, Triage] = field(default_factory=dict)
    history: dict[str, list[TriageAction]] = field(default_factory=dict)
    truncated: list[dict[str, Any]] = field(default_factory=list)

    def bounded(self, what: str, rows: "QuerySet[Row]", most: int) -> list[Row]:
        """Read at most so many rows, and remember when there were more."""
        found = list(rows[: most + 1])
        if len(found) > most:
            self.truncated.append({"what": what, "kept": most})
        return found[:most]


def load_steady(*, tenant_id: str, wanted: "QuerySet[Operation]") -> list[Operation]:
    """Read operations and keep them as they are until the transaction ends.

    Each verb on an operation locks its row first. We share these locks, in the order of their keys, and
    take no other after them, so that readers let each other pass and nobody waits in a ring.
    """
    pks = sorted(wanted.values_list("pk", flat=True)[:MOST_OPERATIONS])
    if not pks:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_SHARE, [tenant_id, pks])
    return list(Operation.objects.filter(tenant_id=tenant_id, pk__in=pks))


def collect(
    *, tenant_id: str, operations: Sequence[Operation], cases: "QuerySet[Mismatch] | None" = None
) -> Collected:
    """Read what hangs on some operations. `cases` are the mismatches wanted; by default those naming them."""
    found = Collected(sorted(operations, key=lambda row: (row.operation_id, row.provider_id)))
    pks = [row.pk for row in found.operations]
    of_ours = {"tenant_id": tenant_id, "operation__in": pks}
    found.attempts = _by_operation(
        found.bounded(
            "attempts", DispatchAttempt.objects.filter(**of_ours).order_by("operation", "attempt"), MOST_ROWS
        )
    )
    found.checks = _checks(found, tenant_id, pks)
    found.events = _by_operation(
        found.bounded(
            "events", ProviderEvent.objects.filter(**of_ours).order_by("received_at", "id"), MOST_ROWS
        )
    )
    found.movements = _by_operation(
        found.bounded(
            "movements", Movement.objects.filter(**of_ours).order_by("recorded_at", "id"), MOST_ROWS
        )
    )
    found.entries = _entries(found, tenant_id)
    found.artifacts = artifacts_named(
        tenant_id, [name for row in found.operations for name in documents_of(row)]
    )
    found.raw_hashes = _raw_hashes(found)
    if cases is None:
        cases = Mismatch.objects.filter(
            tenant_id=tenant_id, subject_hash__in=[subject_hash(row) for row in found.operations]
        )
    found.cases = found.bounded("mismatches", cases.order_by("triage_key"), MOST_CASES)
    keys = [case.triage_key for case in found.cases]
    found.decisions = triage_queries.overlay(tenant_id=tenant_id, triage_keys=keys)
    found.history = triage_queries.history(tenant_id=tenant_id, triage_keys=keys) if keys else {}
    return found


def documents_of(operation: Operation) -> tuple[str, str]:
    """Name the artifacts of a payout: its statement, then its instruction."""
    statement = (
        f"pstmt_{operation.tenant_id}_{operation.party_id}_{operation.period}_{operation.statement_hash}"
    )
    instruction = operation.metadata.get("payoutArtifactId")
    if not isinstance(instruction, str):
        instruction = documents.instruction_id(
            tenant_id=operation.tenant_id,
            party_id=operation.party_id,
            period=operation.period,
            statement_hash=operation.statement_hash,
        )
    return statement, instruction


def subject_hash(operation: Operation) -> str:
    """Compute the column by which a case names its operation."""
    return hashlib.md5(operation.operation_id.encode(), usedforsecurity=False).hexdigest()


def artifacts_named(tenant_id: str, names: Iterable[str]) -> dict[str, Artifact]:
    """Read some artifacts by id."""
    rows = Artifact.objects.filter(tenant_id=tenant_id, artifact_id__in=list(names))
    return {row.artifact_id: row for row in rows}


def newest_reports(*, tenant_id: str, period: str, provider_id: str) -> list[Artifact]:
    """Give the newest stored report about a month at a provider, of each side that has one."""
    newest = (
        report_queries.newest_of(tenant_id=tenant_id, period=period, provider_id=provider_id, side=side.value)
        for side in Side
    )
    names = [report.artifact_id for report in newest if report is not None]
    found = artifacts_named(tenant_id, names)
    return [found[name] for name in names if name in found]


def _by_operation(rows: Iterable[Row]) -> dict[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.operation_id].append(row)
    return found


def _checks(found: Collected, tenant_id: str, pks: list[UUID]) -> dict[UUID, list[DispatchCheck]]:
    """Give what was found out about each payout's attempts."""
    rows = found.bounded(
        "checks",
        DispatchCheck.objects.filter(tenant_id=tenant_id, attempt__operation__in=pks)
        .select_related("attempt")
        .order_by("checked_at", "id"),
        MOST_ROWS,
    )
    checks: dict[UUID, list[DispatchCheck]] = defaultdict(list)
    for row in rows:
        checks[row.attempt.operation_id].append(row)
    return checks


def _entries(found: Collected, tenant_id: str) -> dict[UUID, list[ChargebackEntry]]:
    """Give each payout its reversal, what was withheld from it, and what repaid its reversal."""
    pks = {row.pk for row in found.operations}
    by_key = {row.payout_key: row.pk for row in found.operations}
    rows = found.bounded(
        "chargebacks",
        ChargebackEntry.objects.filter(tenant_id=tenant_id)
        .filter(Q(operation__in=pks) | Q(payout_key__in=list(by_key)) | Q(reversal__operation__in=pks))
        .select_related("reversal")
        .order_by("recorded_at", "id"),
        MOST_ROWS,
    )
    entries: dict[UUID, list[ChargebackEntry]] = defaultdict(list)
    for row in rows:
        owners = {
            row.operation_id,
            by_key.get(row.payout_key),
            row.reversal.operation_id if row.reversal else None,
        }
        for owner in owners:
            if owner in pks:
                entries[owner].append(row)
    return entries


def _raw_hashes(found: Collected) -> dict[str, str]:
    """Give the hash of what Stripe signed, for events that came through the one intake."""
    named = {event.event_id for events in found.events.values() for event in events if event.event_id}
    rows = StripeEvent.objects.filter(provider_event_id__in=named)
    return dict(rows.values_list("provider_event_id", "payload_sha256")) if named else {}
