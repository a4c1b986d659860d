"""The rows of a batch, ready to print."""

from dataclasses import dataclass

from django.urls import reverse

from ops_console import people
from ops_console.mismatches import listing, sides
from reconciliation.models import Mismatch, TriageBatch, TriageBatchRow
from reconciliation.queries import case_queue
from reconciliation.states import BatchKind, BatchStatus

RESULT_TONES = {"": "quiet", "done": "good", "unchanged": "quiet", "refused": "bad", "invalid": "bad"}
RESULT_LABELS = {
    "": "Waiting",
    "done": "Done",
    "unchanged": "Unchanged",
    "refused": "Refused",
    "invalid": "Invalid",
}
_PREVIEW_LABELS = RESULT_LABELS | {"": "Chosen"}
_FILE_LABELS = {"": "Will change", "refused": "Stale", "unchanged": "No change", "invalid": "Invalid"}
FIELD_LABELS = {"status": "Status", "owner_principal_id": "Owner", "severity": "Severity", "notes": "Notes"}
_FIELD_NAMES = {
    "status": "status", "owner_principal_id": "owner", "severity": "severity", "notes": "notes"
}  # fmt: skip


@dataclass(frozen=True)
class Diff:
    """One column of a file's row: as it is, and as the file wants it."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Row:
    """One row of a batch."""

    position: int
    triage_key: str
    href: str
    title: str
    about: str
    status: str
    result: str
    tone: str
    why: str
    diffs: list[Diff]


def labels_of(batch: TriageBatch) -> dict[str, str]:
    """Name the results as they read at this moment of a batch."""
    if batch.status != BatchStatus.PREVIEWED:
        return RESULT_LABELS
    return _FILE_LABELS if batch.kind == BatchKind.FILE else _PREVIEW_LABELS


def build(batch: TriageBatch, rows: list[TriageBatchRow], *, tenant_id: str) -> list[Row]:
    """Shape rows; three queries for any number of them, one more when owners are named."""
    keys = [row.triage_key for row in rows if row.triage_key]
    cases = case_queue.of_keys(tenant_id=tenant_id, triage_keys=keys)
    operations = listing.operations_of(tenant_id=tenant_id, cases=list(cases.values()))
    is_preview = batch.status == BatchStatus.PREVIEWED
    labels = labels_of(batch)
    owners = {
        name
        for row in rows
        for name in ((row.before or {}).get("owner"), (row.change or {}).get("owner_principal_id"))
        if name
    }
    names = people.names(owners) if owners else {}

    def shaped(row: TriageBatchRow, case: Mismatch | None) -> Row:
        operation = operations.get(listing.operation_id_of(case)) if case is not None else None
        return Row(
            position=row.position,
            triage_key=row.triage_key,
            href=reverse("console:mismatch", args=[row.triage_key]) if case is not None else "",
            title=sides.title_of(case.mismatch_type) if case is not None else "Unknown",
            about=listing.about(case, operation) if case is not None else row.triage_key,
            status=listing.STATUS_LABELS.get(row.seen_status, ""),
            result=labels.get(row.result, RESULT_LABELS[row.result]),
            tone="info" if is_preview and not row.result else RESULT_TONES[row.result],
            why=row.why,
            diffs=_diffs(row, names),
        )

    return [shaped(row, cases.get(row.triage_key)) for row in rows]


def _diffs(row: TriageBatchRow, names: dict[str, str]) -> list[Diff]:
    before, wanted = row.before or {}, row.change or {}
    found = []
    for field, name in _FIELD_NAMES.items():
        if field not in wanted:
            continue
        was, after = before.get(name, ""), wanted[field]
        if field == "status":
            was, after = listing.STATUS_LABELS.get(was, was), listing.STATUS_LABELS.get(after, after)
        if field == "owner_principal_id":
            was, after = names.get(was, was), names.get(after, after)
        found.append(Diff(FIELD_LABELS[field], was or "none", after or "none"))
    return found
