"""Handing evidence out: read, bind, write down who took it, then give it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from moneyrails.models import Operation
from moneyrails.queries.operations import OperationNotFound
from ops_console.evidence.packs import collecting
from ops_console.evidence.packs.binding import Pack, bind
from ops_console.evidence.packs.chain import EXPORTED, trail
from reconciliation.models import Mismatch
from reconciliation.states import PROVIDER_REPORT_SCHEMA, REPORT_SCHEMA, SourceType
from settld.artifacts import queries as artifacts
from settld.artifacts.models import Artifact
from settld.audit import services as audit
from settld.core import transactions
from settld.core.errors import NotFound
from settld.core.principals import Actor

MOST_INSTRUCTIONS: Final = 100
# Each side's report, and the source under which the cases are filed that it leaves.
SOURCES: Final = {
    REPORT_SCHEMA: SourceType.MONEY_RAILS,
    PROVIDER_REPORT_SCHEMA: SourceType.PROVIDER_STATEMENT,
}


class ReportNotFound(NotFound):
    """This tenant has no stored reconcile report of that id."""

    message = "money rail reconcile report not found"


def export_payout(
    *, tenant_id: str, provider_id: str, operation_id: str, actor: Actor, now: dt.datetime
) -> Pack:
    """Bind one payout's records and audit the export. Raises OperationNotFound."""
    named = Operation.objects.filter(tenant_id=tenant_id, provider_id=provider_id, operation_id=operation_id)
    with transactions.atomic():
        operations = collecting.load_steady(tenant_id=tenant_id, wanted=named)
        if not operations:
            raise OperationNotFound()
        reports = collecting.newest_reports(
            tenant_id=tenant_id, period=operations[0].period, provider_id=provider_id
        )
        found = collecting.collect(tenant_id=tenant_id, operations=operations)
        subject = {"kind": "payout", "providerId": provider_id, "operationId": operation_id}
        pack = bind(
            tenant_id=tenant_id,
            subject=subject,
            found=found,
            trail=trail(found, tenant_id=tenant_id),
            reports=reports,
            instructions=[],
        )
        _audit(pack, tenant_id, subject, "money_rail_operation", operation_id, actor=actor, now=now)
    return pack


def export_report(*, tenant_id: str, artifact_id: str, actor: Actor, now: dt.datetime) -> Pack:
    """Bind a stored report with the payouts and cases that it names, and audit the export.

    At most MOST_OPERATIONS payouts come along whole; the manifest says so when there are more. Raises
    ReportNotFound.
    """
    report = artifacts.find(tenant_id=tenant_id, artifact_id=artifact_id)
    if report is None or report.artifact_type not in SOURCES:
        raise ReportNotFound()
    document = report.document
    operation_ids, instruction_ids = _named(document)
    ours = {"tenant_id": tenant_id, "period": document["period"], "provider_id": document["providerId"]}
    cases = Mismatch.objects.filter(source_type=SOURCES[report.artifact_type], **ours)
    kept = operation_ids[: collecting.MOST_OPERATIONS]
    named = Operation.objects.filter(
        tenant_id=tenant_id, provider_id=document["providerId"], operation_id__in=kept
    )
    with transactions.atomic():
        operations = collecting.load_steady(tenant_id=tenant_id, wanted=named)
        found = collecting.collect(tenant_id=tenant_id, operations=operations, cases=cases)
        for what, names, most in (
            ("payouts", operation_ids, collecting.MOST_OPERATIONS),
            ("instructions", instruction_ids, MOST_INSTRUCTIONS),
        ):
            if len(names) > most:
                found.truncated.append({"what": what, "kept": most})
        subject = {
            "kind": "report",
            "artifactId": artifact_id,
            "providerId": document["providerId"],
            "period": document["period"],
            "reportHash": document["reportHash"],
        }
        pack = bind(
            tenant_id=tenant_id,
            subject=subject,
            found=found,
            trail=trail(found, tenant_id=tenant_id),
            reports=[report],
            instructions=_instructions(tenant_id, instruction_ids[:MOST_INSTRUCTIONS]),
        )
        _audit(pack, tenant_id, subject, "reconcile_report", artifact_id, actor=actor, now=now)
    return pack


def _named(document: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Name the operations and instructions that a report's rows are about, in code point order."""
    operations, instructions = set(), set()
    for rows in document["report"]["mismatches"].values():
        for row in rows:
            if isinstance(row.get("operationId"), str):
                operations.add(row["operationId"])
            for member in ("artifactId", "primaryArtifactId", "duplicateArtifactId"):
                if isinstance(row.get(member), str):
                    instructions.add(row[member])
    return sorted(operations), sorted(instructions)


def _instructions(tenant_id: str, names: list[str]) -> list[Artifact]:
    found = collecting.artifacts_named(tenant_id, names)
    return [found[name] for name in sorted(found)]


def _audit(
    pack: Pack,
    tenant_id: str,
    subject: Mapping[str, Any],
    target_type: str,
    target_id: str,
    *,
    actor: Actor,
    now: dt.datetime,
) -> None:
    details = dict(subject) | {
        "artifactHash": pack.artifact_hash,
        "sha256": pack.sha256,
        "sizeBytes": len(pack.content),
        "memberCount": len(pack.manifest["members"]) + 1,
    }
    audit.append(
        tenant_id=tenant_id, actor=actor, action=EXPORTED, target_type=target_type, target_id=target_id,
        details=details, at=now,
    )  # fmt: skip
