"""Reading statements; every reader sees current rows only, superseded ones are history."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Collate

from settld.closing import documents
from settld.closing.models import PartyStatement
from settld.core.errors import Conflict, NotFound


class StatementNotFound(NotFound):
    """The party has no statement for the period."""

    message = "party statement not found"


class StatementAmbiguous(Conflict):
    """The party has several statements for the period; role or currency must say which is meant."""

    code = "PARTY_STATEMENT_AMBIGUOUS"
    message = "several party statements match"


def current(*, tenant_id: str) -> QuerySet[PartyStatement]:
    """List a tenant's statements."""
    return PartyStatement.objects.filter(tenant_id=tenant_id, superseded_at__isnull=True)


def listing(
    *, tenant_id: str, period: str, party_id: str | None = None, status: str | None = None
) -> QuerySet[PartyStatement]:
    """List a period's statements by party, role and currency, in code point order."""
    rows = current(tenant_id=tenant_id).filter(period=period)
    if party_id is not None:
        rows = rows.filter(party_id=party_id)
    if status is not None:
        rows = rows.filter(status=status)
    return rows.order_by(*in_code_point_order("party_id", "party_role", "currency"))


def in_code_point_order(*columns: str) -> list[Collate]:
    """Order by columns the way hashes and lists ask for, whatever the database's locale (P6)."""
    return [Collate(column, "C") for column in columns]


def detail(
    *, tenant_id: str, party_id: str, period: str, party_role: str | None = None, currency: str | None = None
) -> PartyStatement:
    """Give one statement. Raises StatementNotFound, or StatementAmbiguous when several match."""
    rows = current(tenant_id=tenant_id).filter(party_id=party_id, period=period)
    if party_role is not None:
        rows = rows.filter(party_role=party_role)
    if currency is not None:
        rows = rows.filter(currency=currency)
    found = list(rows.order_by("party_role", "currency")[:20])
    if not found:
        raise StatementNotFound()
    if len(found) > 1:
        raise _ambiguous([(row.party_role, row.currency) for row in found])
    return found[0]


@dataclass(frozen=True, slots=True)
class PayoutSubject:
    """A statement with all that a payout must know about its month, from one read.

    A derived statement pays `period_payout_cents` and `payable_carry_in_cents`; one made by hand has
    neither. `month_status` is None when nobody has asked to close the month. The instruction is the one that
    the close has written; None when there is none.
    """

    tenant_id: str
    party_id: str
    party_role: str
    period: str
    basis: str
    currency: str
    generation: int
    status: str
    payout_cents: int
    payable_after: dt.datetime | None
    references: list[dict[str, Any]]
    statement_hash: str
    month_status: str | None
    month_last_event_id: str | None
    month_last_chain_hash: str | None
    instruction_artifact_id: str | None
    instruction_artifact_hash: str | None
    source: str

    @property
    def payable_cents(self) -> int:
        """Tell what may be paid out for it."""
        return documents.payable_cents(party_role=self.party_role, payout_cents=self.payout_cents)

    @property
    def payout_key(self) -> str:
        """Name the one payout that it can lead to."""
        return documents.payout_key(
            tenant_id=self.tenant_id,
            party_id=self.party_id,
            period=self.period,
            statement_hash=self.statement_hash,
        )


# The instruction's id is made in a subquery of its own (OFFSET 0 keeps it one). Row-level security lets an
# index serve only conditions that cannot leak; text concatenation inside the join is none, and would have
# every artifact of the tenant read.
_SUBJECTS = """
SELECT s.tenant_id, s.party_id, s.party_role, s.period, s.basis, s.currency, s.generation, s.status,
       s.payout_cents, s.payable_after, s."references", s.statement_hash,
       CASE WHEN m.requested_at IS NOT NULL THEN m.status END, m.last_event_id, m.last_chain_hash,
       a.artifact_id, a.artifact_hash, s.source
FROM (
  SELECT own.*, 'payout_' || own.tenant_id || '_' || own.party_id || '_' || own.period || '_'
    || own.statement_hash AS instruction_id
  FROM party_statement own
  WHERE own.tenant_id = %s AND own.party_id = %s AND own.period = %s AND own.superseded_at IS NULL
  ORDER BY own.party_role, own.currency LIMIT 20 OFFSET 0
) s
LEFT JOIN month_close m ON m.tenant_id = s.tenant_id AND m.month = s.period AND m.basis = s.basis
LEFT JOIN artifact a ON a.tenant_id = s.tenant_id AND a.artifact_id = s.instruction_id
"""
_REFERENCES = 10
_PAID_CURRENCY = "USD"


def statement_for_payout(*, tenant_id: str, party_id: str, period: str) -> PayoutSubject:
    """Give the statement that a payout of this party and period is about, in one query.

    Among several (roles, currencies) the only payable one is meant, or the only one of those in US dollars,
    the currency that rails pay; with none payable any says so. Raises StatementNotFound, or
    StatementAmbiguous when several could be meant.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SUBJECTS, [tenant_id, party_id, period])
        subjects = [_subject(row) for row in cursor.fetchall()]
    if not subjects:
        raise StatementNotFound()
    payable = [subject for subject in subjects if subject.payable_cents > 0]
    if len(payable) > 1:
        in_dollars = [subject for subject in payable if subject.currency == _PAID_CURRENCY]
        if len(in_dollars) != 1:
            raise _ambiguous([(subject.party_role, subject.currency) for subject in payable])
        return in_dollars[0]
    return payable[0] if payable else subjects[0]


def superseded_payout_keys(*, tenant_id: str, period: str) -> frozenset[str]:
    """Name the payout keys of statements that a later generation has replaced.

    Their instructions, immutable as they are, are expected no more unless an operation was made for
    them. A key whose content came back in a later generation is not among them.
    """
    rows = PartyStatement.objects.filter(tenant_id=tenant_id, period=period)
    replaced = rows.filter(superseded_at__isnull=False).values_list("party_id", "statement_hash")
    alive = set(
        rows.filter(superseded_at__isnull=True, statement_hash__in=[hash_ for _, hash_ in replaced])
        .values_list("party_id", "statement_hash")
    )  # fmt: skip
    return frozenset(
        documents.payout_key(tenant_id=tenant_id, party_id=party_id, period=period, statement_hash=hash_)
        for party_id, hash_ in replaced
        if (party_id, hash_) not in alive
    )


def months_with_statements(*, tenant_id: str) -> list[str]:
    """Name the periods that have statements, newest first."""
    months = current(tenant_id=tenant_id).order_by("-period").values_list("period", flat=True).distinct()
    return list(months)


def _subject(row: Sequence[Any]) -> PayoutSubject:
    references = row[_REFERENCES]
    if isinstance(references, str):  # a raw cursor leaves jsonb as text
        references = json.loads(references)
    return PayoutSubject(*[references if place == _REFERENCES else value for place, value in enumerate(row)])


def _ambiguous(found: list[tuple[str, str]]) -> StatementAmbiguous:
    return StatementAmbiguous(
        details={"matches": [{"partyRole": role, "currency": currency} for role, currency in sorted(found)]}
    )
