"""Deriving party statements from the general book (spec/settld-billing-and-finance.md 5.3)."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.db.models import F

from settld.artifacts import services as artifacts
from settld.artifacts.services import Sealed
from settld.closing import close_documents, documents, payouts_made
from settld.closing.composing import Written
from settld.closing.models import PartyStatement, StatementSource, StatementStatus
from settld.closing.pay import Pay, pay_of
from settld.closing.queries import current, period_lines
from settld.closing.queries.period_lines import Listing, Owner, References, Sums
from settld.core import clock, ids
from settld.core.errors import Conflict
from settld.core.hashing import sha256_hex
from settld.core.money import MAX_MINOR
from settld.ledger.models import MonthClose
from settld.ledger.queries import StreamProof

PAY_ACCOUNTS: Final = ("acct_owner_payable", "acct_operator_payable")
_MOST_ROWS, _MOST_BYTES = 500, 8_000_000
_NOTHING: Final = Written(b"[]")

_INSERT: Final = """
INSERT INTO party_statement (id, tenant_id, party_id, period, party_role, currency, generation, basis, status,
  source, payout_cents, period_payout_cents, payable_carry_in_cents, payable_carry_out_cents,
  allocation_count, payable_after, "references", statement_hash, artifact_id, artifact_hash, closed_at,
  created_at, updated_at)
SELECT given.id, %(tenant_id)s, given.party_id, %(period)s, given.party_role, given.currency, %(generation)s,
  %(basis)s, 'CLOSED', 'derived', given.payout_cents, given.period_payout_cents, given.carry_in_cents,
  given.carry_out_cents, given.allocation_count, given.payable_after, given."references"::jsonb,
  given.statement_hash, given.artifact_id, given.statement_hash, %(now)s, %(now)s, %(now)s
FROM json_to_recordset(%(rows)s::json) AS given(
  id uuid, party_id text, party_role text, currency text, payout_cents bigint, period_payout_cents bigint,
  carry_in_cents bigint, carry_out_cents bigint, allocation_count bigint, payable_after timestamptz,
  "references" text, statement_hash text, artifact_id text)
ON CONFLICT (tenant_id, party_id, period, party_role, currency, generation) DO UPDATE SET
  status = 'CLOSED', source = 'derived', payout_cents = excluded.payout_cents,
  period_payout_cents = excluded.period_payout_cents,
  payable_carry_in_cents = excluded.payable_carry_in_cents,
  payable_carry_out_cents = excluded.payable_carry_out_cents, allocation_count = excluded.allocation_count,
  payable_after = excluded.payable_after, "references" = excluded."references",
  statement_hash = excluded.statement_hash, artifact_id = excluded.artifact_id,
  artifact_hash = excluded.artifact_hash, closed_at = excluded.closed_at, updated_at = excluded.updated_at
"""


class StatementOutOfRange(Conflict):
    """A sum has left what JSON numbers can hold; the month cannot be stated."""

    code = "PARTY_STATEMENT_OUT_OF_RANGE"
    message = "a party's total is beyond 2^53-1"


@dataclass(frozen=True, slots=True)
class Derived:
    """What a derivation wrote."""

    sums: dict[Owner, Sums]
    statement_count: int
    dropped: list[dict[str, str]]  # statements made by hand whose place a derived one took


def derive(
    *,
    month: MonthClose,
    sums: dict[Owner, Sums],
    proof: StreamProof,
    generated_at: dt.datetime,
    now: dt.datetime,
) -> Derived:
    """Write the period's derived statements and their documents, as CLOSED rows of the month's generation.

    The caller holds the month's lock. Derived rows of earlier generations are superseded, and so is a
    statement made by hand for a party that has lines in that role and currency.
    """
    tenant_id, period = month.tenant_id, month.month
    carries = period_lines.carries(tenant_id=tenant_id, period=period, basis=month.basis)
    live = _live_payouts(month)
    earlier = _superseded(month, now=now)
    owners = {*sums, *(owner for owner in earlier if owner in live), *_due(carries)}
    dropped = _make_room(month, owners, now=now)
    references = period_lines.references(tenant_id=tenant_id, period=period) if owners else {}
    writer = _Writer(month, proof, generated_at, now)
    by_currency = _places(owners)
    for listing in _listings(month, sums, owners):
        party_id, party_role, currency = owner = listing.owner
        own_sums = sums.get(owner, Sums(0, {}))
        pay = pay_of(
            period_cents=-sum(own_sums.by_account.get(name, 0) for name in PAY_ACCOUNTS),
            carry_in_cents=carries.get(owner, 0),
            live_payout_cents=live.get(owner),
        )
        own = references.get((party_id, currency)) if party_role == "operator" else None
        writer.add(listing, own_sums, pay, own, has_siblings=by_currency[party_id])
    writer.flush()
    return Derived(sums, writer.count, dropped)


def _due(carries: Mapping[Owner, int]) -> Iterator[Owner]:
    """Name who is still owed from earlier periods; a debt waits for the next period with lines."""
    return (owner for owner, cents in carries.items() if cents > 0)


def _places(owners: Iterable[Owner]) -> dict[str, set[str]]:
    """List each party's roles: with two, their documents' ids say which."""
    roles: dict[str, set[str]] = {}
    for party_id, party_role, _ in owners:
        roles.setdefault(party_id, set()).add(party_role)
    return roles


def _listings(month: MonthClose, sums: dict[Owner, Sums], owners: set[Owner]) -> Iterator[Listing]:
    most = period_lines.MOST_DIGESTED_AT_ONCE
    if sums:
        yield from period_lines.listings(
            tenant_id=month.tenant_id,
            period=month.month,
            may_be_large=any(own.line_count > most for own in sums.values()),
            most=most,
        )
    for owner in sorted(owners - set(sums)):
        yield Listing(owner, sha256_hex(b"[]"), _NOTHING)


def _superseded(month: MonthClose, *, now: dt.datetime) -> set[Owner]:
    """Retire the derived statements of earlier generations; gives whose they were."""
    rows = current(tenant_id=month.tenant_id).filter(
        period=month.month, basis=month.basis, source=StatementSource.DERIVED
    )
    owners = set(rows.values_list("party_id", "party_role", "currency"))
    if owners:
        rows.update(superseded_at=now, updated_at=now)
    return owners


def _live_payouts(month: MonthClose) -> dict[Owner, int]:
    """Ask what payouts of earlier generations of this month are live, and for which statement they were."""
    if month.generation == 1:
        return {}
    paid = payouts_made.live_payouts(tenant_id=month.tenant_id, period=month.month)
    if not paid:
        return {}
    rows = PartyStatement.objects.filter(
        tenant_id=month.tenant_id, period=month.month, basis=month.basis, payout_cents__gt=0,
        party_role__in=documents.PAID_ROLES,
    )  # fmt: skip
    asked: dict[payouts_made.Payee, list[tuple[str, int]]] = {}
    found = rows.order_by("generation", F("party_role").asc()).values_list(
        "party_id", "currency", "party_role", "payout_cents"
    )
    for party_id, currency, party_role, cents in found:
        asked.setdefault((party_id, currency), []).append((party_role, cents))
    live: dict[Owner, int] = {}
    for (party_id, currency), statements in asked.items():
        cents_paid = paid.get((party_id, currency))
        if cents_paid is not None:
            exact = [role for role, cents in statements if cents == cents_paid]
            live[party_id, (exact or [statements[0][0]])[0], currency] = cents_paid
    return live


def _make_room(month: MonthClose, owners: set[Owner], *, now: dt.datetime) -> list[dict[str, str]]:
    """Drop statements made by hand that derived ones take the place of.

    A row of this generation is overwritten when the derived one is inserted; one that an earlier close
    froze is kept as history.
    """
    rows = current(tenant_id=month.tenant_id).filter(
        period=month.month, basis=month.basis, source=StatementSource.MANUAL
    )
    taken = [
        row for row in rows.defer("references") if (row.party_id, row.party_role, row.currency) in owners
    ]
    frozen = [row.pk for row in taken if row.generation < month.generation]
    if frozen:
        rows.filter(pk__in=frozen).update(superseded_at=now, updated_at=now)
    return [
        {
            "partyId": row.party_id,
            "partyRole": row.party_role,
            "currency": row.currency,
            "statementHash": row.statement_hash,
        }
        for row in taken
    ]


class _Writer:
    """Writes statements in chunks bounded by rows and bytes."""

    def __init__(
        self, month: MonthClose, proof: StreamProof, generated_at: dt.datetime, now: dt.datetime
    ) -> None:
        self.month, self.proof, self.generated_at, self.now = month, proof, generated_at, now
        self.count = self.bytes = 0
        self.sealed: list[Sealed] = []
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        listing: Listing,
        sums: Sums,
        pay: Pay,
        references: References | None,
        *,
        has_siblings: set[str],
    ) -> None:
        party_id, party_role, currency = listing.owner
        if any(abs(cents) > MAX_MINOR for cents in (*sums.by_account.values(), pay.payout_cents)):
            raise StatementOutOfRange(details={"partyId": party_id, "currency": currency})
        sealed = close_documents.party_statement(
            month=self.month,
            listing=listing,
            sums=sums,
            pay=pay,
            references=references.text if references else _NOTHING,
            payable_after=references.payable_after if references else None,
            names_role=len(has_siblings) > 1,
            proof=self.proof,
            generated_at=self.generated_at,
        )
        text = references.text.decode() if references else "[]"
        self.sealed.append(sealed)
        self.rows.append(
            {
                "id": str(ids.uuid7()),
                "party_id": party_id,
                "party_role": party_role,
                "currency": currency,
                "payout_cents": pay.payout_cents,
                "period_payout_cents": pay.period_cents,
                "carry_in_cents": pay.carry_in_cents,
                "carry_out_cents": pay.carry_out_cents,
                "allocation_count": sums.line_count,
                "payable_after": clock.iso(references.payable_after) if references else None,
                "references": text,
                "statement_hash": sealed.artifact_hash,
                "artifact_id": sealed.artifact_id,
            }
        )
        self.bytes += len(sealed.text) + len(text)
        if len(self.rows) >= _MOST_ROWS or self.bytes > _MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self.rows:
            return
        month = self.month
        if len(self.sealed) == 1:
            artifacts.store_one(tenant_id=month.tenant_id, sealed=self.sealed[0], now=self.now)
        else:
            artifacts.store_missing(tenant_id=month.tenant_id, documents=self.sealed, now=self.now)
        with connection.cursor() as cursor:
            cursor.execute(
                _INSERT,
                {
                    "tenant_id": month.tenant_id,
                    "period": month.month,
                    "generation": month.generation,
                    "basis": month.basis,
                    "now": self.now,
                    "rows": json.dumps(self.rows, ensure_ascii=False),
                },
            )
        self.count += len(self.rows)
        self.rows, self.sealed, self.bytes = [], [], 0


def freeze_manual(*, month: MonthClose, now: dt.datetime) -> None:
    """Close the month's statements that were made by hand, as part of its generation."""
    current(tenant_id=month.tenant_id).filter(
        period=month.month, basis=month.basis, source=StatementSource.MANUAL
    ).update(status=StatementStatus.CLOSED, closed_at=now, generation=month.generation, updated_at=now)
