"""Reconcile a month's books: its GL batch with its party statements, and both with the journal.

Source: spec/settld-billing-and-finance.md 6.1.
"""

import datetime as dt
import itertools
from dataclasses import dataclass, replace
from typing import Any, Final

from reconciliation.queries import finance_inputs
from reconciliation.queries.finance_inputs import BASIS, Inputs
from reconciliation.services import alerts, keeping, rows
from reconciliation.states import (
    FINANCE_REPORT_SCHEMA,
    SEVERITY_RANKS,
    ReportStatus,
    Severity,
    Side,
    SourceType,
)
from settld.closing import comparison
from settld.core import canonical_json, clock, failpoints, transactions
from settld.core.canonical_json import CanonicalJsonError
from settld.core.errors import NotFound
from settld.core.hashing import canonical_hash, sha256_hex
from settld.core.principals import Actor
from settld.ledger.services import months

ACTOR: Final = Actor.system("reconciliation")


class BatchNotFound(NotFound):
    """The month has no GL batch of its current generation."""

    message = "GL batch not found"


class StatementsNotFound(NotFound):
    """The month has no party statement of its current generation."""

    message = "party statements not found"


@dataclass(frozen=True)
class FinanceReport:
    """What a comparison concluded, and the artifact that holds it when it was stored.

    `core` is the report itself, which an external verifier comes to from the same documents; `queue` holds
    its rows as cases, one for each thing that is at fault.
    """

    tenant_id: str
    period: str
    core: dict[str, Any]
    report_hash: str
    inputs: dict[str, Any]
    queue: list[rows.QueueRow]
    artifact: keeping.StoredArtifact | None = None

    @property
    def status(self) -> str:
        """Tell whether everything agrees."""
        return (ReportStatus.PASS if self.core["ok"] else ReportStatus.FAIL).value

    @property
    def mismatch_count(self) -> int:
        """Count the rows of the report."""
        return len(self.core.get("mismatches", ()))


def reconcile(
    *, tenant_id: str, period: str, persist: bool, now: dt.datetime, actor: Actor = ACTOR
) -> FinanceReport:
    """Compare, and with `persist` keep the report and its cases in one transaction.

    Looking only reads in one REPEATABLE READ snapshot and writes nothing. Persisting runs about one month
    follow one another, and hold the month's row shared: nobody closes or reopens the month under them, so
    all that they read and write is about one generation. Equal documents and books give an equal
    `report_hash`. Raises BatchNotFound, StatementsNotFound; no transaction may be open without `persist`.
    """
    if not persist:
        with transactions.snapshot():
            return _compare(tenant_id=tenant_id, period=period)[0]
    subject = keeping.subject_name(source_type=SourceType.FINANCE, provider_id="")
    with transactions.atomic():
        keeping.lock_subject(tenant_id=tenant_id, period=period, provider_id=subject)
        months.lock_shared(tenant_id=tenant_id, month=period, basis=BASIS, now=now)
        report, inputs = _compare(tenant_id=tenant_id, period=period)
        document = _document(report, inputs)
        stored = keeping.keep(tenant_id=tenant_id, document=document, queue=report.queue, now=now)
        alerts.give_if_due(tenant_id=tenant_id, actor=actor, now=now)
        failpoints.hit("finance_reconcile.before_commit")
    failpoints.hit("finance_reconcile.after_commit")
    return replace(report, artifact=stored)


def _compare(*, tenant_id: str, period: str) -> tuple[FinanceReport, Inputs]:
    inputs = finance_inputs.read(tenant_id=tenant_id, period=period)
    if inputs.batch is None:
        raise BatchNotFound()
    if not inputs.statements:
        raise StatementsNotFound()
    parts = finance_inputs.parts_of(inputs.batch, tenant_id=tenant_id)
    core = comparison.reconcile(
        inputs.batch.content,
        [one.content for one in inputs.statements],
        lines=parts,
        ledger=inputs.ledger,
    )
    if parts is not None and parts.faults:
        core = _with_faulty_parts(core, parts.faults, batch_id=inputs.batch.artifact_id)
    core = _writable(core)
    report = FinanceReport(
        tenant_id=tenant_id,
        period=period,
        core=core,
        report_hash=sha256_hex(canonical_json.dumps(core) + b"\n"),
        inputs=inputs.as_json(),
        queue=cases_of(period=period, mismatches=core.get("mismatches", [])),
    )
    return report, inputs


def _with_faulty_parts(
    core: dict[str, Any], faults: list[dict[str, Any]], *, batch_id: str
) -> dict[str, Any]:
    """Add that parts of the batch are not the documents that it names; an earlier fault stays the first."""
    error = "glBatch artifactHash mismatch"
    row = {
        "mismatchType": "gl_batch",
        "mismatchKey": batch_id,
        "mismatchCode": "GL_BATCH_HASH_MISMATCH",
        "severity": Severity.CRITICAL.value,
        "details": {"error": error, "parts": faults},
    }
    rest = {name: value for name, value in core.items() if not core["ok"]}
    told = rest or {"ok": False, "error": error, "parts": faults}
    found = sorted(
        [*core.get("mismatches", []), row], key=lambda one: (one["mismatchCode"], one["mismatchKey"])
    )
    return told | {
        "mismatchCodes": sorted({one["mismatchCode"] for one in found}),
        "mismatches": found,
    }


def _writable(core: dict[str, Any]) -> dict[str, Any]:
    """Write as text what canonical JSON has no form for; only a document that was tampered with has it."""
    try:
        canonical_json.dumps(core)
    except CanonicalJsonError:
        return {name: _written(value) for name, value in core.items()}
    return core


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {_written(name): _written(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_written(held) for held in value]
    try:
        canonical_json.dumps(value)
    except CanonicalJsonError:
        return ascii(value)
    return value


def cases_of(*, period: str, mismatches: list[dict[str, Any]]) -> list[rows.QueueRow]:
    """Make one case of all that a report says about one thing.

    A case's identity has no code in it (6.2), so a statement with two faults is one case: it carries the
    code, severity and details of its gravest fault, and names the others in `alsoFound`.
    """
    ordered = sorted(
        mismatches,
        key=lambda row: (
            row["mismatchType"], row["mismatchKey"], SEVERITY_RANKS[row["severity"]], row["mismatchCode"]
        ),
    )  # fmt: skip
    cases = []
    for _, same in itertools.groupby(ordered, key=lambda row: (row["mismatchType"], row["mismatchKey"])):
        first, *others = same
        if others:
            more = [{"mismatchCode": row["mismatchCode"], "details": row["details"]} for row in others]
            first = first | {"details": first["details"] | {"alsoFound": more}}
        cases.append(rows.finance_row(period=period, mismatch=first))
    return sorted(cases, key=lambda case: (case.kind.mismatch_code, case.mismatch_key))


def _document(report: FinanceReport, inputs: Inputs) -> keeping.Document:
    """Make the `ReconcileReport.v1`: the same inputs and figures give the same bytes."""
    content = {"inputs": report.inputs, "reportHash": report.report_hash}
    artifact_id = f"reconcile_{report.period}_{canonical_hash(content)[:24]}"
    body = {
        "schemaVersion": FINANCE_REPORT_SCHEMA,
        "artifactType": FINANCE_REPORT_SCHEMA,
        "artifactId": artifact_id,
        "tenantId": report.tenant_id,
        "period": report.period,
        "basis": BASIS,
        "generatedAt": _generated_at(inputs, report.period),
        "inputs": report.inputs,
        "reportHash": report.report_hash,
        "reconcile": report.core,
    }
    summary = {
        "mismatchCodes": report.core.get("mismatchCodes", []),
        "mismatchCount": report.mismatch_count,
        "statementCount": len(inputs.statements),
        "totalsKeys": report.core.get("totalsKeys"),
        "entryCount": report.core.get("entryCount"),
    }
    core = {"period": report.period, "providerId": "", "status": report.status, "summary": summary}
    return keeping.Document(
        side=Side.FINANCE,
        schema=FINANCE_REPORT_SCHEMA,
        artifact_id=artifact_id,
        report_hash=report.report_hash,
        core=core,
        mismatch_count=report.mismatch_count,
        truncated={},
        body=body,
    )


def _generated_at(inputs: Inputs, period: str) -> str:
    """Give the time of the latest document; one that states none that can be read does not count."""
    stated = []
    for document in [inputs.batch, *inputs.statements]:
        text = document.content.get("generatedAt") if document else None
        try:
            stated.append(clock.parse_iso(text) if isinstance(text, str) else None)
        except ValueError:
            continue
    found = [instant for instant in stated if instant is not None]
    return str(clock.iso(max(found))) if found else f"{period}-01T00:00:00.000Z"
