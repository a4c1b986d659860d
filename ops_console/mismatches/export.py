"""The queue as a table: the columns that a file may change first, then what they are about."""

from collections.abc import Iterator
from typing import Final

from moneyrails.models import Operation
from ops_console.mismatches import listing, sides
from reconciliation.models import Mismatch, Triage
from reconciliation.queries import case_queue
from reconciliation.queries import triage as queries
from reconciliation.queries.case_queue import CaseFilter, Place
from reconciliation.services import triage_file
from settld.core import clock, tenancy

MOST_ROWS: Final = 20_000  # as many as a file may bring back
BATCH: Final = 1_000
# Each column and how wide a workbook shows it. From `revision` on to `notes` a file may be edited.
COLUMNS: Final[dict[str, int]] = {
    "triageKey": 36, "revision": 9, "status": 14, "owner": 22, "severity": 10, "notes": 44,
    "about": 34, "kind": 26, "expected": 18, "actual": 18, "period": 9, "providerId": 16,
    "foundSeverity": 13, "isOpen": 8, "isDrifted": 9, "firstSeenAt": 25, "lastSeenAt": 25,
    "sourceType": 22, "mismatchType": 24, "mismatchCode": 36, "mismatchKey": 60,
}  # fmt: skip


def batches(*, tenant_id: str, wanted: CaseFilter, is_by_age: bool) -> Iterator[list[list[str]]]:
    """Give the queue's rows, batch by batch; memory does not grow with the file.

    The tenant's scope is entered for each batch, never across a yield, because whoever consumes the
    rows may do so outside of the request.
    """
    place: Place | None = None
    for _ in range(MOST_ROWS // BATCH):
        with tenancy.tenant_scope(tenant_id):
            page = case_queue.page(
                tenant_id=tenant_id, wanted=wanted, is_by_age=is_by_age, place=place, limit=BATCH
            )
            keys = [case.triage_key for case in page.rows]
            standing = queries.overlay(tenant_id=tenant_id, triage_keys=keys)
            operations = listing.operations_of(tenant_id=tenant_id, cases=page.rows)
        yield [
            _row(case, standing.get(case.triage_key), operations.get(listing.operation_id_of(case)))
            for case in page.rows
        ]
        place = page.following
        if place is None:
            return


def _row(case: Mismatch, standing: Triage | None, operation: Operation | None) -> list[str]:
    currency = operation.currency if operation is not None else ""
    expected, actual = sides.headline(case, currency=currency)
    edited = triage_file.values_of(standing)
    return [
        case.triage_key,
        str(standing.revision if standing is not None else 0),
        edited["status"],
        edited["owner"],
        edited["severity"],
        edited["notes"],
        listing.about(case, operation),
        sides.title_of(case.mismatch_type),
        expected,
        actual,
        case.period,
        case.provider_id,
        case.severity,
        "yes" if case.is_open else "no",
        "yes" if case.is_drifted else "no",
        clock.iso(case.first_seen_at) or "",
        clock.iso(case.last_seen_at) or "",
        case.source_type,
        case.mismatch_type,
        case.mismatch_code,
        case.mismatch_key,
    ]
