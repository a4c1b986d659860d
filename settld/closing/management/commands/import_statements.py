"""Import a CSV file of party statements: preview it, and with --confirm write it, all or nothing."""

import json
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

from django.core.management.base import BaseCommand, CommandParser
from django.db import OperationalError

from settld.closing import statement_file
from settld.closing.services import imports
from settld.closing.services.import_plan import Plan
from settld.closing.services.imports import Preview
from settld.closing.statement_file import UnreadableFile
from settld.core import clock, money, tenancy
from settld.core.errors import Refusal
from settld.core.principals import Actor
from settld.tenants.services import tenants

DONE: Final = 0
UNUSABLE: Final = 1
FAULTY: Final = 2
CONFLICTING: Final = 3
MOST_LINES: Final = 50


class Command(BaseCommand):
    """manage.py import_statements; exit 0 done or clean, 1 unusable, 2 rows at fault, 3 books disagree."""

    help = (
        "Import a CSV file of party statements (docs/statement-import.md). Without --confirm nothing is"
        " written. Exit 0: imported, imported before, or a clean preview. 1: the arguments or the file are"
        " unusable. 2: rows are at fault. 3: the books contradict the file, or have changed since."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Make wrong arguments exit with 1: 2 says that rows are at fault."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)

        def error(message: str) -> NoReturn:
            parser.print_usage(sys.stderr)
            parser.exit(UNUSABLE, f"{prog_name} {subcommand}: error: {message}\n")

        parser.error = error  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant-id", required=True)
        parser.add_argument("--file", required=True, help="path of the CSV file, or - for standard input")
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--dry-run", action="store_true", help="preview only; the default")
        mode.add_argument("--confirm", action="store_true", help="write the statements")
        parser.add_argument(
            "--expect", default="", metavar="PLAN_HASH",
            help="with --confirm: refuse unless it does exactly what the dry run of this planHash said",
        )  # fmt: skip
        parser.add_argument("--by", default="", help="who imports, for the audit trail")
        parser.add_argument("--json", action="store_true", help="write the result as JSON on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(self._run(options))

    def _run(self, options: dict[str, Any]) -> int:
        if options["expect"] and not options["confirm"]:
            return self._unusable("--expect goes with --confirm")
        try:
            content = _read(options["file"])
        except OSError as error:
            return self._unusable(f"{options['file']}: {error.strerror or error}")
        tenant_id = options["tenant_id"].strip()
        if not tenant_id or "\x00" in tenant_id or tenants.status_of(tenant_id=tenant_id) is None:
            return self._unusable(f"there is no tenant {tenant_id!r}")
        with tenancy.tenant_scope(tenant_id):
            try:
                if options["confirm"]:
                    return self._import(tenant_id, content, options)
                return self._preview(tenant_id, content, options)
            except UnreadableFile as error:
                return self._unusable(str(error))
            except OperationalError as error:
                return self._unusable(f"the database did not answer in time, nothing was written: {error}")

    def _preview(self, tenant_id: str, content: bytes, options: dict[str, Any], *, status: str = "") -> int:
        seen = imports.preview(tenant_id=tenant_id, content=content, say=self._say)
        if seen.file.fault_count:
            return self._tell(seen, options, status="faulty", code=FAULTY)
        if seen.earlier is not None:
            return self._tell(seen, options, status="imported_before", code=DONE)
        if seen.plan.conflicts:
            return self._tell(seen, options, status="conflict", code=CONFLICTING)
        return self._tell(seen, options, status=status or "clean", code=CONFLICTING if status else DONE)

    def _import(self, tenant_id: str, content: bytes, options: dict[str, Any]) -> int:
        by = options["by"].strip()[:100]
        file = statement_file.read(content)
        try:
            done = imports.carry_out(
                tenant_id=tenant_id,
                file=file,
                file_name=options["file"],
                actor=Actor.system(f"import_statements:{by}" if by else "import_statements"),
                now=clock.now(),
                expected_plan_hash=options["expect"] or None,
                say=self._say,
            )
        except Refusal as refusal:
            self.stderr.write(f"{refusal.code}: {refusal.message}")
            return self._preview(tenant_id, content, options, status="changed")
        if done.plan is None:
            return self._preview(tenant_id, content, options)
        seen = Preview(file, done.plan, None)
        return self._tell(seen, options, status="imported", code=DONE, import_id=str(done.record.pk))

    def _say(self, text: str) -> None:
        self.stderr.write(text)

    def _unusable(self, problem: str) -> int:
        self.stderr.write(f"import_statements: {problem}")
        return UNUSABLE

    def _tell(
        self, seen: Preview, options: dict[str, Any], *, status: str, code: int, import_id: str = ""
    ) -> int:
        if options["json"]:
            self.stdout.write(json.dumps(as_json(seen, status=status, import_id=import_id), indent=2))
        else:
            for line in lines(seen, status=status, import_id=import_id):
                self.stdout.write(line)
        return code


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(statement_file.MOST_BYTES + 1)
    with Path(path).open("rb") as file:
        return file.read(statement_file.MOST_BYTES + 1)


def as_json(seen: Preview, *, status: str, import_id: str) -> dict[str, Any]:
    """Say everything that a script may want to know."""
    return {
        "status": status,
        "importId": import_id or (str(seen.earlier.pk) if seen.earlier else None),
        "fileHash": seen.file.file_hash,
        "planHash": seen.plan.hash,
        "rowCount": len(seen.plan.planned),
        "faultCount": seen.file.fault_count,
        "counts": seen.plan.counts,
        "totals": [total.as_json() for total in seen.plan.totals],
        "months": [
            {"period": month.period, "status": month.status, **month.counts} for month in seen.plan.months
        ],
        "faults": [
            {
                "line": fault.line, "column": fault.column or None, "problem": fault.problem,
                "advice": fault.advice,
            }
            for fault in seen.file.faults
        ],
        "conflicts": [
            {
                "line": one.row.line, "partyId": one.row.party_id, "period": one.row.period,
                "standingCents": one.standing_cents, "payoutCents": one.row.payout_cents,
            }
            for one in seen.plan.conflicts[: imports.MOST_SHOWN]
        ],
    }  # fmt: skip


def lines(seen: Preview, *, status: str, import_id: str) -> list[str]:
    """Say it for people."""
    if status == "imported_before" and seen.earlier is not None:
        at = clock.iso(seen.earlier.imported_at)
        return [
            f"This file was imported on {at} by {seen.earlier.imported_by} ({seen.earlier.pk}).",
            "Nothing was changed.",
        ]
    shown = [
        f"{_where(fault.line, fault.column)}: {fault.problem}. {fault.advice}" for fault in seen.file.faults
    ]
    if seen.file.fault_count > len(seen.file.faults):
        shown.append(f"and {seen.file.fault_count - len(seen.file.faults):,} more")
    shown += [
        f"line {one.row.line}: {one.row.party_id} {one.row.period} is closed with"
        f" {money.show(one.standing_cents or 0, one.row.currency)}, the file says"
        f" {money.show(one.row.payout_cents, one.row.currency)}"
        for one in seen.plan.conflicts[:MOST_LINES]
    ]
    shown += _sums(seen.plan)
    endings = {
        "faulty": f"{seen.file.fault_count:,} faults. Nothing was written.",
        "conflict": "Closed statements stay: reopen the month or correct the file. Nothing was written.",
        "clean": "Nothing was written. Run it again with --confirm to write it.",
        "changed": "The books have changed since. Nothing was written.",
        "imported": f"Imported ({import_id}).",
        "imported_before": "This file was imported before. Nothing was changed.",
    }
    return [
        *shown, f"file {seen.file.file_hash}", f"plan {seen.plan.hash}", endings[status],
    ]  # fmt: skip


def _sums(plan: Plan) -> list[str]:
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in plan.counts.items())
    sums = [
        f"{total.currency}: {total.statement_count:,} statements,"
        f" {money.show(total.payout_cents, total.currency)},"
        f" payable {money.show(total.payable_cents, total.currency)}"
        for total in plan.totals
    ]
    closed = [month.period for month in plan.months if month.status == "CLOSED" and month.counts["new"]]
    if closed:
        sums.append(f"new statements of closed months are payable at once: {', '.join(closed)}")
    return [f"{len(plan.planned):,} rows: {counts}", *sums]


def _where(line: int, column: str) -> str:
    return f"line {line}, {column}" if column else f"line {line}"
