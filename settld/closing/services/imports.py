"""Importing a file of statements: preview it, keep it until it is confirmed, carry it out once."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from django.db import connection

from settld.audit import services as audit
from settld.closing import statement_file
from settld.closing.models import StatementImport, StatementUpload
from settld.closing.services import import_plan, import_writes
from settld.closing.services.import_plan import BASIS, NEW, REPLACED, UNCHANGED, Plan, Planned, Say
from settld.closing.statement_file import StatementFile
from settld.core import failpoints, transactions
from settld.core.errors import Conflict, Invalid, NotFound
from settld.core.principals import Actor
from settld.ledger.models import MonthClose
from settld.ledger.services import months as ledger_months

KEPT_FOR: Final = dt.timedelta(days=1)
MOST_SHOWN: Final = 50
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('statement_import:' || %s, 0))"


class ImportFaulty(Invalid):
    """Rows of the file cannot be read; nothing was written."""

    code = "STATEMENT_IMPORT_FAULTY"
    message = "the file has rows that cannot be read"


class ImportConflict(Conflict):
    """Rows of the file contradict closed statements; nothing was written."""

    code = "STATEMENT_IMPORT_CONFLICT"
    message = "the file contradicts closed statements"


class ImportChanged(Conflict):
    """The books have changed since the preview; nothing was written."""

    code = "STATEMENT_IMPORT_CHANGED"
    message = "the books have changed since the preview; look at it again"


class UploadNotFound(NotFound):
    """No such upload, or it was removed a day after it came."""

    message = "statement upload not found"


@dataclass(frozen=True)
class Preview:
    """What a file would do, and the import that has done it already, if there is one."""

    file: StatementFile
    plan: Plan
    earlier: StatementImport | None

    @property
    def is_clean(self) -> bool:
        """Tell whether it could be carried out now."""
        return self.file.fault_count == 0 and not self.plan.conflicts


@dataclass(frozen=True)
class Imported:
    """The import of a file; `is_repeat` says that it was carried out before and nothing was done now."""

    record: StatementImport
    is_repeat: bool
    plan: Plan | None = None


@dataclass(frozen=True)
class Change:
    """A row of which something else becomes now than was foreseen."""

    planned: Planned
    foreseen: str


def preview(*, tenant_id: str, content: bytes, say: Say | None = None) -> Preview:
    """Read a file and hold it against the books; nothing is written. Raises UnreadableFile."""
    file = statement_file.read(content)
    periods = sorted({row.period for row in file.rows})
    found = MonthClose.objects.filter(tenant_id=tenant_id, basis=BASIS, month__in=periods)
    months: dict[str, MonthClose | None] = {month.month: month for month in found}
    plan = import_plan.make(
        tenant_id=tenant_id, file_hash=file.file_hash, rows=file.rows, months=months, say=say
    )
    return Preview(file, plan, find(tenant_id=tenant_id, file_hash=file.file_hash))


def find(*, tenant_id: str, file_hash: str) -> StatementImport | None:
    """Give the import of a file of this content."""
    return StatementImport.objects.filter(tenant_id=tenant_id, file_hash=file_hash).first()


def carry_out(
    *,
    tenant_id: str,
    file: StatementFile,
    file_name: str,
    actor: Actor,
    now: dt.datetime,
    expected_plan_hash: str | None = None,
    say: Say | None = None,
) -> Imported:
    """Write every row of a file, or none: one transaction, by the rules of a single PUT.

    A file of the same content is carried out once. With `expected_plan_hash` it must do what the preview
    of that hash foresaw. Raises ImportFaulty, ImportConflict, ImportChanged: nothing was written.
    """
    if file.fault_count:
        raise ImportFaulty(details={"faultCount": file.fault_count})
    with transactions.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_ONE_AT_A_TIME, [tenant_id])
        earlier = find(tenant_id=tenant_id, file_hash=file.file_hash)
        if earlier is not None:
            return Imported(earlier, is_repeat=True)
        rows = sorted(file.rows, key=lambda row: row.key)
        months = {
            period: ledger_months.lock_shared(tenant_id=tenant_id, month=period, basis=BASIS, now=now)
            for period in sorted({row.period for row in rows})
        }
        plan = import_plan.make(
            tenant_id=tenant_id, file_hash=file.file_hash, rows=rows, months=months, is_locking=True, say=say
        )
        _require_possible(plan, expected_plan_hash)
        import_writes.write(plan=plan, months=months, now=now, say=say)
        record = _record(plan, file, tenant_id=tenant_id, file_name=file_name, actor=actor, now=now)
        _audit(record, actor=actor, now=now)
        failpoints.hit("import.before_commit")
    failpoints.hit("import.after_commit")
    return Imported(record, is_repeat=False, plan=plan)


def _require_possible(plan: Plan, expected_plan_hash: str | None) -> None:
    conflicts = plan.conflicts
    if conflicts:
        raise ImportConflict(
            details={
                "conflictCount": len(conflicts),
                "lines": [one.row.line for one in conflicts[:MOST_SHOWN]],
            }
        )
    if expected_plan_hash is not None and plan.hash != expected_plan_hash:
        raise ImportChanged(details={"expectedPlanHash": expected_plan_hash, "planHash": plan.hash})


def _record(
    plan: Plan, file: StatementFile, *, tenant_id: str, file_name: str, actor: Actor, now: dt.datetime
) -> StatementImport:
    counts = plan.counts
    record = StatementImport(
        tenant_id=tenant_id,
        file_name=clean_name(file_name),
        file_hash=file.file_hash,
        byte_count=file.byte_count,
        row_count=len(plan.planned),
        new_count=counts[NEW],
        replaced_count=counts[REPLACED],
        unchanged_count=counts[UNCHANGED],
        totals=[total.as_json() for total in plan.totals],
        periods=[
            {
                "period": month.period,
                "status": month.status,
                "newCount": month.counts[NEW],
                "replacedCount": month.counts[REPLACED],
                "unchangedCount": month.counts[UNCHANGED],
            }
            for month in plan.months
        ],
        imported_by=actor.principal_id,
        imported_by_key_id=actor.key_id or "",
        request_id=actor.request_id or "",
        imported_at=now,
    )
    record.save(force_insert=True)
    return record


def _audit(record: StatementImport, *, actor: Actor, now: dt.datetime) -> None:
    """Say which file did what; for each month in the words of the single PUT as well."""
    audit.append(
        tenant_id=record.tenant_id,
        actor=actor,
        action="PARTY_STATEMENT_IMPORT",
        target_type="statement_import",
        target_id=str(record.pk),
        details={
            "fileName": record.file_name,
            "fileHash": record.file_hash,
            "rowCount": record.row_count,
            "newCount": record.new_count,
            "replacedCount": record.replaced_count,
            "unchangedCount": record.unchanged_count,
            "totals": record.totals,
            "periods": record.periods,
        },
        at=now,
    )
    for month in record.periods:
        count = month["newCount"] + month["replacedCount"]
        if count:
            audit.append(
                tenant_id=record.tenant_id,
                actor=actor,
                action="PARTY_STATEMENT_UPSERT",
                target_type="party_statement",
                target_id=f"*:{month['period']}",
                details={"period": month["period"], "count": count, "importId": str(record.pk)},
                at=now,
            )


# --- Uploads ------------------------------------------------------------------------------------------
def keep_upload(
    *, tenant_id: str, file_name: str, content: bytes, seen: Preview, actor: Actor, now: dt.datetime
) -> StatementUpload:
    """Keep a previewed file until it is confirmed; what came more than a day ago is removed."""
    with transactions.atomic():
        StatementUpload.objects.filter(tenant_id=tenant_id, uploaded_at__lt=now - KEPT_FOR).delete()
        upload = StatementUpload(
            tenant_id=tenant_id,
            file_name=clean_name(file_name),
            file_hash=seen.file.file_hash,
            byte_count=len(content),
            content=content,
            foreseen=seen.plan.foreseen,
            uploaded_by=actor.principal_id,
            uploaded_at=now,
        )
        upload.save(force_insert=True)
    return upload


def upload(*, tenant_id: str, upload_id: uuid.UUID) -> StatementUpload:
    """Give an upload; UploadNotFound when there is none."""
    found = StatementUpload.objects.filter(tenant_id=tenant_id, pk=upload_id).first()
    if found is None:
        raise UploadNotFound()
    return found


def changes(plan: Plan, foreseen: str) -> list[Change]:
    """Name the rows of which something else becomes now than an earlier preview of the file foresaw."""
    before = foreseen.split("\n")
    if len(before) != len(plan.planned):
        return []
    return [Change(one, old) for one, old in zip(plan.planned, before, strict=True) if one.mark != old]


def clean_name(name: str) -> str:
    """Keep of a file's name what can be shown and stored."""
    plain = "".join(letter for letter in name.replace("\\", "/").rsplit("/", 1)[-1] if letter.isprintable())
    return plain.strip()[:200] or "statements.csv"
