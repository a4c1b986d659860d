"""A case of a month's books followed down to the lines: the journal, the GL batch and the statement."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from ops_console.errors import Fact
from ops_console.journal.links import account_href, entry_href, run_href, run_of
from ops_console.statements.addresses import statement_href
from reconciliation.models import Mismatch
from reconciliation.queries import case_lines
from reconciliation.queries.case_lines import Line
from reconciliation.states import SourceType
from settld.core import money

KINDS: Final = ("party_account_total", "entry_coverage", "ledger_drift")


@dataclass(frozen=True)
class Row:
    """One line, and on which side it is found; a side that says another sum says it."""

    entry_id: str
    href: str
    memo: str
    run_href: str
    party: str
    account: str
    journal: str
    batch: str
    stated: str
    is_odd: bool


@dataclass(frozen=True)
class Postings:
    """The lines that a case is about."""

    rows: list[Row]
    links: list[Fact]
    note: str


def build(case: Mismatch) -> Postings | None:
    """Read the lines of a case of the books in three queries; None for any other case."""
    if case.source_type != SourceType.FINANCE or case.mismatch_type not in KINDS or not case.period:
        return None
    subject = _subject(case)
    if subject is None:
        return None
    lines, is_cut, is_batch_read = case_lines.read(
        tenant_id=case.tenant_id, period=case.period, subject=subject
    )
    note = f"The first {case_lines.MOST} lines" if is_cut else ""
    if not is_batch_read:
        note = "The GL batch is kept in parts, or is not there; only the journal and the statement are shown"
    return Postings([_row(line) for line in lines], _links(case, subject), note)


def _subject(case: Mismatch) -> case_lines.Subject | None:
    """Read what the key names: `party|account|currency`, an entry, or `account|currency`."""
    if case.mismatch_type == "party_account_total":
        parts = case.mismatch_key.rsplit("|", 2)
        return (
            case_lines.Subject(party_id=parts[0], account_id=parts[1], currency=parts[2])
            if len(parts) == 3
            else None
        )
    if case.mismatch_code == "LEDGER_ACCOUNT_TOTAL_MISMATCH":
        account_id, _, currency = case.mismatch_key.rpartition("|")
        return case_lines.Subject(account_id=account_id, currency=currency) if account_id else None
    return case_lines.Subject(entry_id=case.mismatch_key)


def _row(line: Line) -> Row:
    run_id = run_of(line.memo)
    return Row(
        entry_id=line.entry_id,
        href=entry_href(line.entry_id) if line.journal_cents is not None else "",
        memo=line.memo,
        run_href=run_href(run_id) if run_id else "",
        party=line.party_id,
        account=line.account_id,
        journal=_amount(line.journal_cents, line.currency),
        batch=_amount(line.batch_cents, line.currency),
        stated={True: "named", False: "not named", None: ""}[line.is_stated],
        is_odd=line.is_stated is False or line.journal_cents != line.batch_cents,
    )


def _amount(cents: int | None, currency: str) -> str:
    return "missing" if cents is None else money.show(cents, currency)


def _links(case: Mismatch, subject: case_lines.Subject) -> list[Fact]:
    links = []
    if subject.entry_id:
        links.append(Fact("Entry", subject.entry_id, href=entry_href(subject.entry_id)))
    if subject.account_id:
        links.append(Fact("Account", subject.account_id, href=account_href(subject.account_id)))
        query = urlencode({"account": subject.account_id, "period": case.period, "book": "general"})
        links.append(Fact("Entries", "All of the month on it", href=f"{reverse('console:journal')}?{query}"))
    if subject.party_id:
        href = statement_href(period=case.period, party_id=subject.party_id)
        links.append(Fact("Statement", f"{subject.party_id} {case.period}", href=href))
    return links
