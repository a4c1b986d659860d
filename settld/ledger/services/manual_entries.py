"""Entries that a person posts: the correction of an exception, always by a new entry and with a reason."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from settld.audit import services as audit
from settld.core import clock, failpoints, ids, transactions
from settld.core.errors import Invalid
from settld.core.principals import Actor
from settld.ledger import attribution, queries
from settld.ledger.queries import EntryView
from settld.ledger.services import accounts, journal
from settld.ledger.services.journal import EntryDraft, LedgerAllocationMismatch, Line, Share
from settld.ledger.states import Book

SOURCE_TYPE: Final = "manual"
EARLIEST: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
ENTRY_ID: Final = re.compile(r"[A-Za-z0-9:_-]{1,200}")
# Ids that the kernel gives to its own entries: nobody may take one before it.
RESERVED: Final = ("jnl_", "fund_", "escrow_", "transfer_", "payout_")


@dataclass(frozen=True, slots=True)
class ManualShare:
    """A share as a person names it: of which posting (p0, p1, ...), whose, how much."""

    posting_id: str
    party_id: str
    party_role: str | None
    amount_cents: int


@dataclass(frozen=True, slots=True)
class ManualEntry:
    """What a person wants posted. No `entry_id`: one is made; no `at`: now; no shares of a posting: the
    party that its account speaks of."""

    memo: str
    reason: str
    lines: tuple[Line, ...]
    shares: tuple[ManualShare, ...] = ()
    entry_id: str | None = None
    at: dt.datetime | None = None
    job_id: str | None = None


def enter(*, tenant_id: str, wanted: ManualEntry, actor: Actor, now: dt.datetime) -> EntryView:
    """Post a person's entry to book general, and audit it as LEDGER_ENTRY_POSTED.

    The same entry id with the same content again changes nothing and is not audited again. Raises Invalid
    and the refusals of `journal.post`; an account of another book is LedgerAccountUnknown.
    Source: spec/settld-billing-and-finance.md 5.1, Manual entries.
    """
    entry_id = _entry_id(wanted.entry_id)
    with transactions.joined():
        accounts.ensure_general(tenant_id=tenant_id, now=now)
        draft = EntryDraft(
            entry_id=entry_id,
            book=Book.GENERAL,
            at=_at(tenant_id, wanted, now),
            memo=f"job:{wanted.job_id} {wanted.memo}" if wanted.job_id else wanted.memo,
            source_type=SOURCE_TYPE,
            source_id=entry_id,
            lines=_attributed(wanted.lines, wanted.shares),
            reason=wanted.reason,
        )
        posted = journal.post(tenant_id=tenant_id, entries=[draft], now=now)
        if posted.new_entry_ids:
            audit.append(
                tenant_id=tenant_id,
                actor=actor,
                action="LEDGER_ENTRY_POSTED",
                target_type="ledger_entry",
                target_id=entry_id,
                details={
                    "reason": wanted.reason,
                    "memo": draft.memo,
                    "period": clock.period_of(draft.at),
                    "postings": [[line.account_id, line.amount_cents, line.currency] for line in draft.lines],
                },
                at=now,
            )
        view = queries.entry(tenant_id=tenant_id, entry_id=entry_id)
        failpoints.hit("ledger.enter.before_commit")
    if view is None:
        raise RuntimeError("the entry vanished; entries are never deleted")
    return view


def _entry_id(given: str | None) -> str:
    if given is None:
        return f"man_{ids.uuid7().hex}"
    if not ENTRY_ID.fullmatch(given):
        raise Invalid("entryId must match [A-Za-z0-9:_-]{1,200}")
    if given.startswith(RESERVED):
        raise Invalid(f"entryId must not begin with {', '.join(RESERVED)}: the kernel's entries do")
    return given


def _at(tenant_id: str, wanted: ManualEntry, now: dt.datetime) -> dt.datetime:
    """Give the entry's time; sent again without one, it is still the entry of the first time."""
    if wanted.at is None:
        standing = queries.entry(tenant_id=tenant_id, entry_id=wanted.entry_id) if wanted.entry_id else None
        return standing.entry.at if standing else now
    if not EARLIEST <= wanted.at <= now:
        raise Invalid("at must lie after 1999 and not in the future")
    return wanted.at


def _attributed(lines: Sequence[Line], given: Sequence[ManualShare]) -> tuple[Line, ...]:
    """Give each line its shares: those that the person named, else the one party of its account."""
    by_posting: dict[str, list[ManualShare]] = {f"p{number}": [] for number in range(len(lines))}
    for share in given:
        if share.posting_id not in by_posting:
            raise LedgerAllocationMismatch(details={"message": f"there is no posting {share.posting_id}"})
        by_posting[share.posting_id].append(share)
    return tuple(
        replace(line, shares=_shares(line, named))
        for line, named in zip(lines, by_posting.values(), strict=True)
    )


def _shares(line: Line, named: Sequence[ManualShare]) -> tuple[Share, ...]:
    if not named:
        return (Share(*attribution.party_of(line.account_id), line.amount_cents),)
    role = attribution.role_of(line.account_id)
    return tuple(Share(share.party_id, share.party_role or role, share.amount_cents) for share in named)
