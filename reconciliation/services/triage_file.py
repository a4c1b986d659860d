"""The queue as a file that people edit and bring back: what it would change, row by row.

Only the decision's own columns are read. Which case a row means is its triage key in this tenant; the
revision says which decision the writer saw. Every other column is for reading and never believed.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from reconciliation.models import Mismatch, Triage, TriageBatch, TriageBatchRow
from reconciliation.queries import case_queue
from reconciliation.queries import triage as standing_queries
from reconciliation.services import sheets
from reconciliation.services.acts import MOST_NOTES, MOST_OWNER, clean_note
from reconciliation.services.batch_freeze import forget_old
from reconciliation.services.sheets import FileInvalid, Line
from reconciliation.states import BatchKind, RowResult, Severity, TriageStatus
from settld.core import ids, transactions
from settld.core.hashing import sha256_hex

KEY: Final = "triageKey"
REVISION: Final = "revision"
# The columns that a file may change, and the field of the decision that each sets.
EDITED: Final = {
    "status": "status",
    "owner": "owner_principal_id",
    "severity": "severity",
    "notes": "notes",
}
ACT: Final = "file"
_READ_AT_ONCE: Final = 1_000
_KEY: Final = re.compile(r"frt_[0-9]{6}_[0-9a-f]{24}")
_MOST_REVISION: Final = 2**31 - 1


@dataclass(frozen=True)
class _Effect:
    """What one line comes to."""

    line: Line
    result: RowResult
    why: str = ""
    key: str = ""
    revision: int = 0
    case: Mismatch | None = None
    before: dict[str, str] | None = None
    change: dict[str, str] | None = None


def preview(
    *, tenant_id: str, content: bytes, file_name: str, principal_id: str, now: dt.datetime
) -> TriageBatch:
    """Work out what a file would change, without changing anything. Raises FileInvalid or FileTooLarge."""
    sheet = sheets.read(content)
    columns = _columns(sheet.columns)
    if not sheet.lines:
        raise FileInvalid("the file has a header and no rows")
    with transactions.atomic():
        forget_old(tenant_id=tenant_id, now=now)
        batch = TriageBatch.objects.create(
            id=ids.uuid7(),
            tenant_id=tenant_id,
            kind=BatchKind.FILE,
            act=ACT,
            file_name=file_name.replace("\x00", "")[:200],
            file_hash=sha256_hex(content),
            row_count=len(sheet.lines),
            created_by=principal_id,
            created_at=now,
        )
        lines, seen = iter(sheet.lines), dict[str, int]()
        while some := list(islice(lines, _READ_AT_ONCE)):
            effects = _effects(tenant_id, columns, some, seen)
            TriageBatchRow.objects.bulk_create(_row(batch, effect) for effect in effects)
    return batch


def _columns(names: list[str]) -> dict[str, str]:
    """Find our columns whatever their case: our name to the file's."""
    given = {name.lower(): name for name in names}
    found = {name: given[name.lower()] for name in (KEY, REVISION, *EDITED) if name.lower() in given}
    missing = [name for name in (KEY, REVISION) if name not in found]
    if missing:
        raise FileInvalid(f"the column {' and '.join(missing)} is missing; start from a downloaded file")
    if len(found) == 2:
        raise FileInvalid(f"none of the columns {', '.join(EDITED)} is there: nothing to change")
    return found


def _effects(
    tenant_id: str, columns: dict[str, str], lines: list[Line], seen: dict[str, int]
) -> Iterator[_Effect]:
    keys = [line.cells[columns[KEY]].strip() for line in lines]
    known = [key for key in keys if _KEY.fullmatch(key)]
    cases = case_queue.of_keys(tenant_id=tenant_id, triage_keys=known)
    standing = standing_queries.overlay(tenant_id=tenant_id, triage_keys=known)
    for line, key in zip(lines, keys, strict=True):
        effect = _effect(line, columns, key, cases.get(key), standing.get(key), seen)
        if effect.result != RowResult.INVALID:
            seen[key] = line.number
        yield effect


def _effect(
    line: Line,
    columns: dict[str, str],
    key: str,
    case: Mismatch | None,
    standing: Triage | None,
    seen: dict[str, int],
) -> _Effect:
    def fault(why: str) -> _Effect:
        return _Effect(line, RowResult.INVALID, why, key=key.replace("\x00", "")[:64])

    if not key:
        return fault("The triageKey is blank.")
    if case is None:
        return fault("This tenant has no case with this triageKey.")
    if key in seen:
        return fault(f"Line {seen[key]} is about the same case.")
    revision = _revision(line.cells[columns[REVISION]])
    if revision is None:
        return fault("The revision is not a whole number.")
    before = values_of(standing)
    change = {}
    for name in EDITED:
        if name not in columns:
            continue
        value, why = _wanted(name, line.cells[columns[name]], before[name])
        if why:
            return fault(why)
        if value != before[name]:
            change[name] = value
    shared: dict[str, Any] = {"key": key, "revision": revision, "case": case, "before": before}
    if not change:
        return _Effect(line, RowResult.UNCHANGED, **shared)
    current = standing.revision if standing is not None else 0
    if revision != current:
        why = f"Changed since the file was made: the file has revision {revision}, it is at {current}."
        return _Effect(line, RowResult.REFUSED, why, change=change, **shared)
    return _Effect(line, RowResult.WAITING, change=change, **shared)


def values_of(standing: Triage | None) -> dict[str, str]:
    """Give the columns that a file may change, as it shows them."""
    if standing is None:
        return {"status": TriageStatus.OPEN.value, "owner": "", "severity": "", "notes": ""}
    return {
        "status": standing.status,
        "owner": standing.owner_principal_id,
        "severity": standing.severity,
        "notes": standing.notes,
    }


def _revision(text: str) -> int | None:
    text = text.strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None
    return number if number is not None and number <= _MOST_REVISION else None


def _wanted(name: str, cell: str, standing: str) -> tuple[str, str]:
    """Read one cell: the value it asks for, and what is wrong with it.

    A cell that shows what stands, as either kind of file would show it, asks for nothing.
    """
    shown = {standing, sheets.guarded(standing), sheets.for_workbook(standing)}
    if cell in shown or clean_note(cell) in {clean_note(text) for text in shown}:
        return standing, ""
    value = clean_note(sheets.unguarded(cell))
    if "\x00" in value:
        return "", f"The {name} holds a character that cannot be kept."
    if name == "status":
        value = value.lower().replace(" ", "_")
        if not value:
            return standing, ""
        if value not in TriageStatus.values:
            return "", f"The status must be one of {', '.join(TriageStatus.values)}."
    if name == "severity":
        value = value.lower()
        if value not in ("", *Severity.values):
            return "", f"The severity must be blank or one of {', '.join(Severity.values)}."
    most = {"owner": MOST_OWNER, "notes": MOST_NOTES}.get(name)
    if most is not None and len(value) > most:
        return "", f"The {name} has more than {most:,} characters."
    return value, ""


def _row(batch: TriageBatch, effect: _Effect) -> TriageBatchRow:
    change = {EDITED[name]: value for name, value in (effect.change or {}).items()}
    case = effect.case
    return TriageBatchRow(
        tenant_id=batch.tenant_id,
        batch=batch,
        position=effect.line.number,
        triage_key=effect.key,
        seen_revision=effect.revision,
        seen_hash=case.mismatch_hash if case is not None else "",
        seen_status=case.triage_status if case is not None else "",
        before=effect.before,
        change=change or None,
        result=effect.result,
        why=effect.why,
    )
