"""One journal entry, ready to print: its lines, whose they are, and what it came from."""

from dataclasses import dataclass

from ops_console import words
from ops_console.errors import Fact
from ops_console.journal import links
from ops_console.journal.listing import BOOKS, signed
from ops_console.runs.forward import payouts_of
from settld.core.errors import NotFound
from settld.ledger.models import Allocation, JournalEntry, Posting


class EntryNotFound(NotFound):
    """No such entry in this tenant."""

    message = "journal entry not found"


@dataclass(frozen=True)
class Share:
    """The part of a line that is one party's."""

    party: str
    role: str
    amount: str


@dataclass(frozen=True)
class Line:
    """One posting."""

    name: str
    account: str
    account_href: str
    debit: str
    credit: str
    shares: list[Share]


@dataclass(frozen=True)
class Entry:
    """The page."""

    entry_id: str
    memo: str
    facts: list[Fact]
    lines: list[Line]
    note: str


def build(*, tenant_id: str, entry_id: str) -> Entry:
    """Read an entry in four queries, in six if an adjustment made it. Raises EntryNotFound."""
    entry = JournalEntry.objects.filter(tenant_id=tenant_id, entry_id=entry_id).first()
    if entry is None:
        raise EntryNotFound()
    shares: dict[int, list[Share]] = {}
    rows = Allocation.objects.filter(tenant_id=tenant_id, entry_id=entry_id).order_by(
        "posting_no", "party_id"
    )
    for share in rows:
        shares.setdefault(share.posting_no, []).append(
            Share(share.party_id, words.label(share.party_role), signed(share.amount_cents, share.currency))
        )
    postings = Posting.objects.filter(tenant_id=tenant_id, entry_id=entry_id).order_by("posting_no")
    twin = JournalEntry.objects.filter(tenant_id=tenant_id, entry_id=links.twin_of(entry_id)).exists()
    return Entry(
        entry_id=entry.entry_id,
        memo=entry.memo,
        facts=_facts(entry, has_twin=twin),
        lines=[_line(posting, shares.get(posting.posting_no, [])) for posting in postings],
        note="Positive is debit" if entry.book == "general" else "Positive is more on the account",
    )


def _line(posting: Posting, shares: list[Share]) -> Line:
    amount = signed(abs(posting.amount_cents), posting.currency).removeprefix("+")
    return Line(
        name=posting.posting_id,
        account=posting.account_id,
        account_href=links.account_href(posting.account_id),
        debit=amount if posting.amount_cents > 0 else "",
        credit=amount if posting.amount_cents < 0 else "",
        shares=shares,
    )


def _facts(entry: JournalEntry, *, has_twin: bool) -> list[Fact]:
    facts = [
        Fact("Book", BOOKS[entry.book]),
        Fact("Month", entry.period),
        Fact("At (UTC)", words.moment(entry.at)),
        Fact("Written (UTC)", words.moment(entry.recorded_at)),
    ]
    if run_id := links.run_of(entry.memo):
        facts.append(Fact("Run", run_id, href=links.run_href(run_id)))
    if operation_id := links.operation_of(entry.entry_id):
        shown = words.payout_subject(operation_id)
        facts.append(Fact("Payout", shown, href=links.payout_search(operation_id)))
    if adjustment_id := links.adjustment_of(entry.entry_id):
        facts.append(Fact("Adjustment", adjustment_id, is_code=True))
        paid = payouts_of(tenant_id=entry.tenant_id, ref_ids=[adjustment_id]).get(adjustment_id)
        if paid:
            facts.append(Fact("Paid out", paid.text, href=paid.href))
    if has_twin:
        twin = links.twin_of(entry.entry_id)
        facts.append(Fact("Same effect, other book", twin, href=links.entry_href(twin), is_code=True))
    facts.append(Fact("Source", f"{words.label(entry.source_type)}: {entry.source_id}"))
    if entry.reason:
        facts.append(Fact("Reason", entry.reason))
    facts.append(Fact("Content hash", entry.content_hash, is_code=True))
    return facts
