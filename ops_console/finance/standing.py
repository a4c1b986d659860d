"""How far a month has come: closed, reconciled, net-closed, exported; and what can be done about each."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from django.db import DatabaseError, transaction
from django.urls import reverse

from ops_console import words
from ops_console.access import Visit
from ops_console.errors import Fact
from ops_console.finance.tie_out import TieOut
from ops_console.statements import attempts
from reconciliation.models import ReconcileReport
from reconciliation.states import Side
from settld.closing.models import DocumentKind, FinanceAccountMap, MonthDocument
from settld.closing.queries import month_documents
from settld.closing.services import account_maps, net_close
from settld.core import money
from settld.core.errors import Refusal
from settld.ledger.models import MonthClose

NO_RIGHT: Final = "Needs a role that may change money."
MOST_GAPS: Final = 5


@dataclass(frozen=True)
class Deed:
    """A button: a link where it may be used, else switched off with the reason."""

    element_id: str
    label: str
    href: str
    why_not: str = ""
    is_main: bool = False
    is_file: bool = False


@dataclass(frozen=True)
class Card:
    """One step of the month."""

    key: str
    title: str
    verdict: str
    tone: str
    facts: list[Fact]
    deeds: list[Deed]
    note: str = ""
    note_tone: str = "info"
    more: list[Fact] = field(default_factory=list)


@dataclass(frozen=True)
class NetCloseLook:
    """What a look at the month's escrow found; `codes` is None when the month is not closed."""

    codes: list[str] | None
    problem: str = ""
    held: list[Fact] = field(default_factory=list)


def build(
    visit: Visit, *, period: str, month: MonthClose | None, month_reports: list[ReconcileReport], tie: TieOut
) -> list[Card]:
    """Shape the four steps; what the tie-out has read is not read again."""
    documents = {
        row.kind: row
        for row in MonthDocument.objects.filter(
            tenant_id=visit.tenant_id, month=period, superseded_at__isnull=True
        )
    }
    report = next((row for row in month_reports if row.side == Side.FINANCE), None)
    return [
        month_card(visit, period, month),
        _reconcile(visit, period, report, documents),
        _net_close(visit, period, look(tenant_id=visit.tenant_id, period=period, month=month), documents),
        _export(visit, period, documents, tie),
    ]


def look(*, tenant_id: str, period: str, month: MonthClose | None) -> NetCloseLook:
    """Examine the month's escrow, reading only."""
    if month is None or not month.is_closed:
        return NetCloseLook(None, "The month has to be closed first.")
    try:
        with transaction.atomic():
            found = net_close.examine(tenant_id=tenant_id, period=period)
    except Refusal as refusal:
        return NetCloseLook(None, refusal.message)
    except (DatabaseError, ValueError, KeyError, TypeError):
        return NetCloseLook(None, "The month's rollforward cannot be read.")
    held = found.snapshot["ledgerEscrow"]["endingHeldCents"]
    return NetCloseLook(found.mismatch_codes, held=[Fact("Held at the end", money.show(held, "USD"))])


# --- The month ------------------------------------------------------------------------------------
def month_card(visit: Visit, period: str, month: MonthClose | None) -> Card:
    """Say how a month's close stands, with what its last try met."""
    status, tone = ("Open", "info")
    if month is not None and month.request_pending:
        status, tone = ("Closing", "warn")
    elif month is not None and month.is_closed:
        status, tone = ("Closed", "good")
    facts = [Fact("Generation", str(month.generation))] if month is not None else []
    if month is not None and month.closed_at is not None:
        facts.append(Fact("Closed", f"{words.moment(month.closed_at)} UTC"))
    name = "month-reopen" if status == "Closed" else "month-close"
    label = "Reopen…" if status == "Closed" else "Close month…" if status == "Open" else "Close again…"
    note, holds = attempts.told(month)
    deed = Deed(
        "monthBtn", label, reverse(f"console:{name}", args=[period]),
        "" if visit.may("finance_write") else NO_RIGHT, is_main=status == "Open",
    )  # fmt: skip
    return Card("month", "Month", status, tone, facts, [deed], note, "warn", holds)


# --- Its report -----------------------------------------------------------------------------------
def _reconcile(
    visit: Visit, period: str, report: ReconcileReport | None, documents: dict[str, MonthDocument]
) -> Card:
    has_batch = DocumentKind.GL_BATCH in documents
    why = "" if visit.may("finance_write") else NO_RIGHT
    deed = Deed(
        "persistReconcileBtn", "Persist reconcile…", _act(period, "reconcile"),
        why or ("" if has_batch else "The month has no GL batch."), is_main=has_batch and report is None,
    )  # fmt: skip
    if report is None:
        note = "" if has_batch else "Close the month to have a GL batch and statements to compare."
        return Card("reconcile", "Reconcile", "Not compared", "quiet", [], [deed], note)
    is_pass = report.status == "pass"
    facts = [
        Fact("Seen to hold", f"{words.age(report.last_run_at, now=visit.now)} ago"),
        Fact("Statements", str((report.summary or {}).get("statementCount") or "")),
        Fact("Report", words.short(report.report_hash), is_code=True),
    ]
    download = _file(period, "reconcile.json")
    return Card(
        "reconcile",
        "Reconcile",
        "Ties out" if is_pass else words.count(report.mismatch_count, "mismatch", "mismatches"),
        "good" if is_pass else "bad",
        facts,
        [deed, Deed("reportBtn", "Report JSON", download, is_file=True)],
        "" if has_batch else "The month was reopened since; this report is of an earlier close.",
        "warn",
    )


# --- Net-close ------------------------------------------------------------------------------------
def _net_close(visit: Visit, period: str, found: NetCloseLook, documents: dict[str, MonthDocument]) -> Card:
    done = documents.get(DocumentKind.NET_CLOSE)
    why = "" if visit.may("finance_write") else NO_RIGHT
    closed_why = why or ("" if found.codes is not None else found.problem)
    execute_why = closed_why or ("Off while checks fail." if found.codes else "")
    deeds = [
        Deed("dryRunNetCloseBtn", "Dry run…", _act(period, "net-close-dry-run"), closed_why),
        Deed(
            "executeNetCloseBtn", "Execute…" if done is None else "Execute again…",
            _act(period, "net-close"), execute_why, is_main=done is None,
        ),
    ]  # fmt: skip
    if found.codes is None:
        return Card("net-close", "Net-close", "Not possible", "quiet", [], deeds, found.problem)
    facts = list(found.held)
    if done is not None:
        facts.append(Fact("Executed", words.short(done.artifact_id, keep=36), is_code=True))
    if found.codes:
        note = f"Checks that fail: {', '.join(found.codes)}"
        return Card("net-close", "Net-close", "Checks fail", "bad", facts, deeds, note, "bad")
    verdict = ("Executed", "good") if done is not None else ("Checks pass", "info")
    return Card("net-close", "Net-close", *verdict, facts, deeds)


# --- Export ---------------------------------------------------------------------------------------
def _export(visit: Visit, period: str, documents: dict[str, MonthDocument], tie: TieOut) -> Card:
    mapping = month_documents.account_map(tenant_id=visit.tenant_id)
    has_batch = DocumentKind.GL_BATCH in documents
    missing = "" if has_batch else "The month has no GL batch."
    gaps = gaps_of(mapping, tie.batch_accounts)
    csv_why = missing
    if has_batch and mapping is None:
        csv_why = "The CSV needs an account map, and there is none yet."
    elif has_batch and gaps:
        shown = ", ".join(gaps[:MOST_GAPS]) + (", …" if len(gaps) > MOST_GAPS else "")
        csv_why = f"The account map does not name {shown}."
    has_pack = DocumentKind.FINANCE_PACK in documents
    pack_why = "" if has_pack else "Made after a close with a CSV whose report passes."
    edit = f"{reverse('console:finance-account-map')}?{urlencode({'period': period})}"
    verdict, tone = ("Ready", "good") if not csv_why else ("CSV is off", "warn")
    if not has_batch:
        verdict, tone = "Nothing to export", "quiet"
    return Card(
        "export",
        "Export",
        verdict,
        tone,
        [],
        [
            Deed("glJsonBtn", "GL JSON", _file(period, "gl-batch.json"), missing, is_file=True),
            Deed("glCsvBtn", "GL CSV", _file(period, "gl-batch.csv"), csv_why, is_file=True),
            Deed("financePackBtn", "Finance pack", _file(period, "pack.zip"), pack_why, is_file=True),
            Deed("accountMapBtn", "Account map…", edit),
        ],
        csv_why if has_batch else "",
        "warn",
    )


def gaps_of(mapping: FinanceAccountMap | None, account_ids: list[str]) -> list[str]:
    """Name the accounts that a map does not know; without a map none is named."""
    if mapping is None:
        return []
    known = mapping.mapping["accounts"]
    return [name for name in sorted(account_ids) if name not in known]


def policy_of(mapping: FinanceAccountMap | None) -> str:
    """Tell what a gap does at a close."""
    return account_maps.gate_mode(mapping.mapping) if mapping is not None else account_maps.WARN


def _act(period: str, name: str) -> str:
    return reverse("console:finance-act", args=[period, name])


def _file(period: str, name: str) -> str:
    return reverse("console:finance-file", args=[period, name])
