"""Writing a statement by hand."""

import datetime as dt
from dataclasses import dataclass, field

from settld.artifacts import services as artifacts
from settld.artifacts.services import Sealed
from settld.audit import services as audit
from settld.closing import documents, queries
from settld.closing.models import PartyStatement, StatementSource, StatementStatus
from settld.closing.services import instructions
from settld.core import transactions
from settld.core.errors import Conflict
from settld.core.principals import Actor
from settld.ledger.models import MonthClose
from settld.ledger.services import months


class PartyStatementClosed(Conflict):
    """The statement is frozen with its month; other content must wait for a reopen."""

    code = "PARTY_STATEMENT_CLOSED"
    message = "party statement is closed"


@dataclass(frozen=True)
class StatementContent:
    """What a caller says that a party is owed."""

    party_role: str
    payout_cents: int
    currency: str = "USD"
    basis: str = "settledAt"
    payable_after: dt.datetime | None = None
    references: list[dict[str, str]] = field(default_factory=list)


def put(
    *, tenant_id: str, party_id: str, period: str, content: StatementContent, actor: Actor, now: dt.datetime
) -> tuple[PartyStatement, Sealed]:
    """Store what a party is owed for a month, and give the statement with its document.

    In a month that is not closed it is OPEN and replaceable. In a closed month a statement that was
    not there is stored CLOSED, with its payout instruction. Equal content changes nothing. Raises
    PartyStatementClosed for other content of a CLOSED one. Source: spec/money-rails.md 1.
    """
    sealed = seal_statement(tenant_id=tenant_id, party_id=party_id, period=period, content=content)
    with transactions.atomic():
        month = months.lock_shared(tenant_id=tenant_id, month=period, basis=content.basis, now=now)
        artifacts.store_missing(tenant_id=tenant_id, documents=[sealed], now=now)
        wanted = new_row(party_id=party_id, month=month, content=content, sealed=sealed, now=now)
        PartyStatement.objects.bulk_create([wanted], ignore_conflicts=True)
        stored = _lock_current(wanted)
        if stored.pk != wanted.pk:
            if stored.statement_hash == wanted.statement_hash:
                return stored, sealed
            stored = _replace(stored, wanted, month=month, now=now)
        if month.is_closed:
            instructions.write_missing(
                tenant_id=tenant_id, subjects=[stored], proof=instructions.proof_now(month),
                generated_at=now, now=now,
            )  # fmt: skip
        _audit(stored, actor=actor, now=now)
    return stored, sealed


def seal_statement(*, tenant_id: str, party_id: str, period: str, content: StatementContent) -> Sealed:
    """Write and hash the document of a statement."""
    return documents.sealed_statement(
        documents.statement_body(
            tenant_id=tenant_id,
            party_id=party_id,
            party_role=content.party_role,
            period=period,
            basis=content.basis,
            currency=content.currency,
            payout_cents=content.payout_cents,
            payable_after=content.payable_after,
            references=content.references,
        )
    )


def new_row(
    *, party_id: str, month: MonthClose, content: StatementContent, sealed: Sealed, now: dt.datetime
) -> PartyStatement:
    """Make the row of a statement as it enters a month: frozen when the month is."""
    return PartyStatement(
        tenant_id=month.tenant_id,
        party_id=party_id,
        period=month.month,
        party_role=content.party_role,
        currency=content.currency,
        generation=month.generation,
        basis=content.basis,
        status=StatementStatus.CLOSED if month.is_closed else StatementStatus.OPEN,
        source=StatementSource.MANUAL,
        payout_cents=content.payout_cents,
        payable_after=content.payable_after,
        references=content.references,
        statement_hash=sealed.artifact_hash,
        artifact_id=sealed.artifact_id,
        artifact_hash=sealed.artifact_hash,
        closed_at=now if month.is_closed else None,
        created_at=now,
        updated_at=now,
    )


def _lock_current(wanted: PartyStatement) -> PartyStatement:
    """Lock the statement that holds the place: the one just added, or one that was there."""
    return (
        queries.current(tenant_id=wanted.tenant_id)
        .select_for_update()
        .get(
            party_id=wanted.party_id,
            period=wanted.period,
            party_role=wanted.party_role,
            currency=wanted.currency,
        )
    )


def _replace(
    stored: PartyStatement, wanted: PartyStatement, *, month: MonthClose, now: dt.datetime
) -> PartyStatement:
    if stored.status == StatementStatus.CLOSED:
        raise PartyStatementClosed(
            details={
                "partyId": stored.party_id,
                "period": stored.period,
                "statementHash": stored.statement_hash,
            }
        )
    if stored.generation < month.generation:
        # An earlier close froze this content, and an instruction may rest on it: keep the row as history.
        stored.superseded_at = stored.updated_at = now
        stored.save(update_fields=["superseded_at", "updated_at"])
        wanted.save(force_insert=True)
        return wanted
    for name in (
        "payout_cents",
        "payable_after",
        "references",
        "statement_hash",
        "artifact_id",
        "artifact_hash",
    ):
        setattr(stored, name, getattr(wanted, name))
    stored.updated_at = now
    stored.save()
    return stored


def _audit(statement: PartyStatement, *, actor: Actor, now: dt.datetime) -> None:
    audit.append(
        tenant_id=statement.tenant_id,
        actor=actor,
        action="PARTY_STATEMENT_UPSERT",
        target_type="party_statement",
        target_id=f"{statement.party_id}:{statement.period}",
        details={
            "partyId": statement.party_id,
            "period": statement.period,
            "partyRole": statement.party_role,
            "currency": statement.currency,
            "payoutCents": statement.payout_cents,
            "status": statement.status,
            "statementHash": statement.statement_hash,
        },
        at=now,
    )
