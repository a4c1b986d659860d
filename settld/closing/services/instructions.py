"""Payout instructions: the documents that say what is to be paid, one per payout key."""

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from settld.artifacts import queries as artifact_queries
from settld.artifacts import services as artifacts
from settld.artifacts.services import Draft
from settld.closing import documents
from settld.closing.queries import PayoutSubject
from settld.ledger import queries as ledger
from settld.ledger.models import MonthClose
from settld.ledger.queries import StreamProof

CHUNK = 2000


class Payable(Protocol):
    """What an instruction needs of a statement; the row and the payout's read both have it."""

    @property
    def party_id(self) -> str: ...
    @property
    def party_role(self) -> str: ...
    @property
    def period(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def statement_hash(self) -> str: ...
    @property
    def payable_cents(self) -> int: ...


def build(
    *,
    tenant_id: str,
    statement: Payable,
    amount_cents: int,
    destination_ref: str | None,
    generated_at: dt.datetime,
    proof: StreamProof,
) -> Draft:
    """Make the `PayoutInstruction.v1` that pays an amount for a statement; nothing is stored."""
    return documents.instruction_draft(
        tenant_id=tenant_id,
        party_id=statement.party_id,
        party_role=statement.party_role,
        period=statement.period,
        statement_hash=statement.statement_hash,
        currency=statement.currency,
        amount_cents=amount_cents,
        destination_ref=destination_ref,
        generated_at=generated_at,
        proof=proof,
    )


def ensure(
    *, subject: PayoutSubject, amount_cents: int, destination_ref: str | None, now: dt.datetime
) -> tuple[str, str]:
    """Give the id and hash of a payout's instruction, writing it only when the close has not.

    Costs nothing when the subject's read has found it, which is the rule. The first instruction of a
    payout key counts, whatever the amount given here.
    """
    if subject.instruction_artifact_id is not None and subject.instruction_artifact_hash is not None:
        return subject.instruction_artifact_id, subject.instruction_artifact_hash
    event = ledger.find_event(tenant_id=subject.tenant_id, event_id=subject.month_last_event_id)
    if event is None:
        raise ValueError("a payout needs a month that somebody asked to close")
    draft = build(
        tenant_id=subject.tenant_id,
        statement=subject,
        amount_cents=amount_cents,
        destination_ref=destination_ref,
        generated_at=now,
        proof=ledger.proof_at(event),
    )
    sealed = artifacts.seal(draft)
    if artifacts.store_missing(tenant_id=subject.tenant_id, documents=[sealed], now=now):
        return sealed.artifact_id, sealed.artifact_hash
    stored = artifact_queries.get(tenant_id=subject.tenant_id, artifact_id=sealed.artifact_id)
    return stored.artifact_id, stored.artifact_hash


def write_missing(
    *,
    tenant_id: str,
    subjects: Iterable[Payable],
    proof: StreamProof,
    generated_at: dt.datetime,
    now: dt.datetime,
) -> int:
    """Write the gross instruction of every payable statement that has none yet; gives how many are new.

    Runs in the caller's transaction, in a statement per 2,000. A payout key that has an instruction
    keeps it, so content that comes back after a reopen is not instructed twice.
    """
    drafts = (
        build(
            tenant_id=tenant_id,
            statement=subject,
            amount_cents=subject.payable_cents,
            destination_ref=None,
            generated_at=generated_at,
            proof=proof,
        )
        for subject in subjects
        if subject.payable_cents > 0
    )
    return sum(
        len(
            artifacts.store_missing(
                tenant_id=tenant_id, documents=[artifacts.seal(d) for d in chunk], now=now
            )
        )
        for chunk in _chunks(drafts)
    )


def proof_now(month: MonthClose) -> StreamProof:
    """Tell where the month's stream stands at its last event; the caller holds the month's lock."""
    event = ledger.find_event(tenant_id=month.tenant_id, event_id=month.last_event_id)
    if event is None:
        raise ValueError("nobody asked to close this month")
    return ledger.proof_at(event)


def _chunks(drafts: Iterator[Draft]) -> Iterator[list[Draft]]:
    while chunk := list(islice(drafts, CHUNK)):
        yield chunk
