"""One report: tie-out numbers, groups of differences a page at a time, and where each leads."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.urls import reverse

from ops_console import words
from ops_console.access import Visit
from ops_console.errors import Fact, plain
from ops_console.reconciliation import matrix
from reconciliation.models import Mismatch, ReconcileReport
from reconciliation.queries import reports
from reconciliation.services import rows as queue_rows
from reconciliation.states import Side
from settld.artifacts import queries as artifacts
from settld.core import money
from settld.core.errors import NotFound

ROWS: Final = 50
HIDDEN: Final = ("operationId", "payoutKey", "expected", "actual", "differs")
TEXTS: Final = {
    "missingOperations": "An instruction that no operation carries out.",
    "amountMismatches": "The operation pays another amount than was instructed.",
    "currencyMismatches": "The operation pays in another currency than was instructed.",
    "terminalFailures": "The payout failed or was taken back.",
    "unexpectedOperations": "An operation that nobody instructed.",
    "duplicateExpected": "A second instruction for the same payout.",
    "indeterminateOperations": "Sent more than 15 minutes ago, and nobody knows whether it arrived.",
    "unreferencedMovements": "Money moved without a settlement behind it.",
    "providerOnlyTransfers": "The provider moved money that no operation of ours explains.",
    "missingTransfers": "Marked as sent here; the provider has no such transfer.",
    "transferMismatches": "The provider's transfer is not the one that was ordered.",
    "unrecordedTransfers": "The provider has the transfer; here the payout counts as not sent.",
    "unrecordedReversals": "Money came back at the provider, and not here.",
    "reversalsOnlyHere": "Taken back here; the provider's transfer still stands.",
    "duplicateTransfers": "The provider paid one payout more than once.",
}


@dataclass(frozen=True)
class Group:
    """One group of differences in the list of groups."""

    name: str
    label: str
    text: str
    count: str
    tone: str
    href: str
    is_current: bool


@dataclass(frozen=True)
class Line:
    """One difference."""

    subject: str
    payout_href: str
    case_href: str
    case_status: str
    facts: list[Fact]
    compared: list[tuple[str, str, str, bool]]


@dataclass(frozen=True)
class Page:
    """Everything that the page prints."""

    report: ReconcileReport
    side: str
    tone: str
    verdict: str
    numbers: list[tuple[str, str, str]]
    facts: list[Fact]
    groups: list[Group]
    current: Group | None
    lines: list[Line]
    note: str
    previous_href: str
    next_href: str
    other: matrix.Mark
    newer_href: str
    truncated: bool


def build(visit: Visit, *, artifact_id: str, group: str, start: int) -> Page:
    """Read a report and one page of one of its groups; the number of queries does not follow the rows."""
    report = reports.find(tenant_id=visit.tenant_id, artifact_id=artifact_id)
    if report is None:
        raise NotFound()
    document = artifacts.get(tenant_id=visit.tenant_id, artifact_id=artifact_id).document
    mismatches: dict[str, list[dict[str, Any]]] = document["report"]["mismatches"]
    truncated: dict[str, int] = document.get("truncated") or {}
    path = matrix.href_of(report)
    names = [name for name in _order(report) if mismatches.get(name)]
    chosen = group if group in names else next(iter(names), "")
    groups = [_group(name, mismatches[name], truncated, path, name == chosen) for name in names]
    held = mismatches.get(chosen, [])
    start = min(start, max(len(held) - 1, 0)) // ROWS * ROWS
    shown = held[start : start + ROWS]
    other_side = Side.PROVIDER if report.side == Side.BOOKS else Side.BOOKS
    subject = {"tenant_id": visit.tenant_id, "period": report.period, "provider_id": report.provider_id}
    newest = reports.newest_of(**subject, side=report.side)

    def href(place: int) -> str:
        return f"{path}?{urlencode({'group': chosen, 'from': place})}"

    return Page(
        report=report,
        side=matrix.SIDE_LABELS[report.side],
        tone="good" if report.status == "pass" else "bad",
        verdict="Ties out" if report.status == "pass" else matrix.difference_count(report.mismatch_count),
        numbers=_numbers(report),
        facts=_facts(report, visit),
        groups=groups,
        current=next((item for item in groups if item.is_current), None),
        lines=_lines(report, chosen, shown, visit),
        note=f"{start + 1:,} to {start + len(shown):,} of {len(held):,}" if shown else "",
        previous_href=href(start - ROWS) if start else "",
        next_href=href(start + ROWS) if start + ROWS < len(held) else "",
        other=matrix.mark(reports.newest_of(**subject, side=other_side.value), other_side.value, visit),
        newer_href=matrix.href_of(newest) if newest is not None and newest.pk != report.pk else "",
        truncated=chosen in truncated,
    )


def _order(report: ReconcileReport) -> tuple[str, ...]:
    kinds = queue_rows.KINDS if report.side == Side.BOOKS else queue_rows.PROVIDER_KINDS
    return tuple(kinds)


def _group(
    name: str, held: list[dict[str, Any]], truncated: dict[str, int], path: str, is_current: bool
) -> Group:
    kind = queue_rows.KINDS.get(name) or queue_rows.PROVIDER_KINDS[name]
    return Group(
        name=name,
        label=words.label(name),
        text=TEXTS[name],
        count=f"{truncated.get(name, len(held)):,}",
        tone=words.SEVERITY_TONES[kind.severity],
        href=f"{path}?{urlencode({'group': name})}",
        is_current=is_current,
    )


def _numbers(report: ReconcileReport) -> list[tuple[str, str, str]]:
    """Set both sides beside each other: label, value, tone."""
    told = report.summary
    if report.side == Side.PROVIDER:
        return [
            ("Sent by us", f"{told['sentOperationCount']:,}", ""),
            ("Sent by us, amount", _amount(told["sentAmountCents"]), ""),
            ("At the provider", f"{told['transferCount']:,}", ""),
            ("At the provider, amount", _amount(told["transferAmountCents"]), ""),
            ("Taken back there", _amount(told["reversedAmountCents"]), ""),
            ("Matched", f"{told['matchedCount']:,}", ""),
            ("Differences", f"{told['mismatchCount']:,}", "bad" if told["mismatchCount"] else ""),
        ]
    counts = told["criticalMismatchCount"]
    return [
        ("Instructed", f"{told['expectedPayoutCount']:,}", ""),
        ("Instructed, amount", _amount(told["expectedPayoutAmountCents"]), ""),
        ("Operations", f"{told['operationCount']:,}", ""),
        ("Matched", f"{told['matchedCount']:,}", ""),
        ("Settled", f"{told['settledCount']:,}", ""),
        ("In flight", f"{told['inFlightCount']:,}", ""),
        ("Used up by debts", f"{told['offsetSettledCount']:,}", ""),
        ("Differences", f"{counts:,}", "bad" if counts else ""),
    ]


def _amount(cents: int | str) -> str:
    return money.show(int(cents), "").strip()


def _facts(report: ReconcileReport, visit: Visit) -> list[Fact]:
    age = words.age(report.last_run_at, now=visit.now)
    return [
        Fact("Last seen to hold", f"{words.moment(report.last_run_at)} UTC, {age} ago"),
        Fact("First found", f"{words.moment(report.created_at)} UTC"),
        Fact("Report hash", report.report_hash, is_code=True),
        Fact("Artifact hash", report.artifact_hash, is_code=True),
        Fact("Artifact", report.artifact_id, is_code=True),
    ]


# --- Rows -----------------------------------------------------------------------------------------
def _lines(report: ReconcileReport, group: str, shown: list[dict[str, Any]], visit: Visit) -> list[Line]:
    keys = [
        queue_rows.queue_row(
            period=report.period, provider_id=report.provider_id, group=group, row=row
        ).triage_key
        for row in shown
    ]
    cases = {
        case.triage_key: case
        for case in Mismatch.objects.filter(tenant_id=visit.tenant_id, triage_key__in=keys)
    }
    return [_line(report, group, row, cases.get(key)) for key, row in zip(keys, shown, strict=True)]


def _line(report: ReconcileReport, group: str, row: dict[str, Any], case: Mismatch | None) -> Line:
    operation_id = row.get("operationId") or ""
    has_payout = operation_id and group not in ("missingOperations", "providerOnlyTransfers")
    provider, operation = quote(report.provider_id, safe=":"), quote(operation_id, safe=":")
    named = row.get("payoutKey") or operation_id
    return Line(
        subject=words.payout_subject(named) if named else row.get("transferId") or "",
        payout_href=f"/console/payouts/{provider}/{operation}" if has_payout else "",
        case_href=reverse("console:mismatch", kwargs={"triage_key": case.triage_key}) if case else "",
        case_status=_case_status(case),
        facts=[
            _fact(name, value, row) for name, value in row.items() if name not in HIDDEN and value is not None
        ],
        compared=_compared(row),
    )


def _case_status(case: Mismatch | None) -> str:
    if case is None:
        return ""
    if case.cleared_at is not None:
        return "No longer found"
    return words.label(case.triage_status)


def _fact(name: str, value: Any, row: dict[str, Any]) -> Fact:
    if name.endswith("Cents") and isinstance(value, int):
        currency = str(row.get("currency") or row.get("expectedCurrency") or "")
        return Fact(words.label(name[:-5]), money.show(value, currency).strip())
    return Fact(words.label(name), plain(value), is_code=name.endswith(("Id", "Ref")))


def _compared(row: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Set an order beside the provider's transfer: name, ours, theirs, whether they differ."""
    if "differs" not in row:
        return []
    ours, theirs = row["expected"], row["actual"]

    def shown(name: str, side: dict[str, Any]) -> str:
        if name == "amountCents":
            return money.show(int(side[name]), str(side["currency"]))
        return plain(side.get(name) or "none")

    return [
        (
            words.label(name.removesuffix("Cents")),
            shown(name, ours),
            shown(name, theirs),
            name in row["differs"],
        )
        for name in ours
        if name in row["differs"]
    ]
