"""What a movement of money rests on: kernel references (kernel spec 13.1).

A reference in a derived statement is {type, id, hash, amountCents}. Its type says of what kind it is:

- `receipt`: a final settlement receipt, `rcpt_setl_..`; its hash, and the cents it released.
- `adjustment`: a holdback or verdict adjustment, `sadj_..`; its hash, and its cents with the payee's sign
  (a verdict_refund is negative).
- `ledger_entry`: a journal entry made by hand; its `content_hash`, and minus the sum of the party's
  allocations on the payable accounts: what the entry adds to what is owed.
- `carry_in`: the artifact id of the derived `PartyStatement.v1` that is paid; its artifact hash, and its
  `payableCarryInCents`: what earlier periods have left open. A payout names the receipts and adjustments
  that this brings along as themselves, and here what is left of it.

With the last two, which `manual_entries` and the statement itself give, they add up to the statement's
payoutCents. `hash` and `amountCents` may be left out: what is named never
changes, so the id alone says which they are. Statements made by hand may name anything; they do not come
here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from settld.artifacts import queries as artifacts
from settld.core import clock, rows
from settld.core.errors import Conflict
from settld.core.hashing import sha256_hex
from settld.kernel import wire
from settld.kernel.models import Adjustment, FundingReceipt, SettlementReceipt
from settld.kernel.states import AdjustmentKind, Finality, RefKind
from settld.ledger import queries as ledger
from settld.ledger.states import Book

PARTY_PREFIX: Final = "pty_operator:"
PAYABLE_ACCOUNTS: Final = ("acct_owner_payable", "acct_operator_payable")
KIND_OF_TYPE: Final = {
    "receipt": RefKind.SETTLEMENT_RECEIPT,
    "adjustment": RefKind.SETTLEMENT_ADJUSTMENT,
    "ledger_entry": RefKind.LEDGER_ENTRY,
    "carry_in": RefKind.CARRY_IN,
}
TYPE_OF_KIND: Final = {str(kind): word for word, kind in KIND_OF_TYPE.items()}
_MOST_NAME: Final = 1000


@dataclass(frozen=True, slots=True)
class Ref:
    """One reference of a movement; the amount is signed. What was not said of it is None."""

    kind: RefKind
    id: str
    hash: str | None = None
    amount_cents: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Write it as 13.1 does."""
        return {"kind": str(self.kind), "id": self.id, "hash": self.hash, "amountCents": self.amount_cents}


def agent_of_party(party_id: str) -> str | None:
    """Name the agent that a party is; None for a party that is no agent."""
    return party_id.removeprefix(PARTY_PREFIX) or None if party_id.startswith(PARTY_PREFIX) else None


def of_statement(references: Sequence[Mapping[str, Any]]) -> list[Ref] | None:
    """Read the references of a derived statement; None when one of them is not in the form above."""
    found = []
    for given in references:
        kind = KIND_OF_TYPE.get(given.get("type", ""))
        name, digest, cents = given.get("id"), given.get("hash"), given.get("amountCents")
        if kind is None or not isinstance(name, str) or not isinstance(digest, str | None):
            return None
        if not isinstance(cents, int | None) or isinstance(cents, bool):
            return None
        found.append(Ref(kind, name, digest, cents))
    return found


def allocation_id(ref: Ref, *, party_id: str) -> str:
    """Name a reference as it is given to a payout: a journal entry may owe something to several parties."""
    if ref.kind != RefKind.LEDGER_ENTRY:
        return ref.id
    name = f"{ref.id}#{party_id}"
    return name if len(name) <= _MOST_NAME else f"{ref.id[:600]}#{sha256_hex(name.encode())}"


# --- Finding what a reference names -----------------------------------------------------------------
class ReferenceMismatch(Conflict):
    """A reference says something else than what it names: another hash, amount, payee, or nothing there."""

    code = "PAYOUT_REFERENCE_MISMATCH"
    message = "payout references do not match what they name"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference names: the stored object in wire shape, its hash, and the cents it explains.

    The amount has the payee's sign. `link` is the path under which the API shows the object or its owner.
    """

    kind: RefKind
    id: str
    hash: str
    amount_cents: int
    currency: str
    agent_id: str | None
    run_id: str | None
    document: dict[str, Any]
    link: str


def resolve(*, tenant_id: str, kind: str, ref_id: str, expected_hash: str | None = None) -> Resolved | None:
    """Find the object that a reference names; None when there is none, or kind is no kind.

    Raises ReferenceMismatch where the object has another hash than expected.
    """
    find = _FINDERS.get(kind)
    found = None if find is None else find(tenant_id, ref_id)
    if found is not None and expected_hash is not None and found.hash != expected_hash:
        raise ReferenceMismatch(
            details={
                "mismatched": [
                    {
                        "kind": kind,
                        "id": ref_id,
                        "problem": "hash_differs",
                        "expected": expected_hash,
                        "found": found.hash,
                    }
                ]
            }
        )
    return found


def _receipt(tenant_id: str, ref_id: str) -> Resolved | None:
    row = rows.first(SettlementReceipt, "tenant_id = %s AND receipt_id = %s", [tenant_id, ref_id])
    if row is None:
        return None
    return Resolved(
        kind=RefKind.SETTLEMENT_RECEIPT,
        id=row.receipt_id,
        hash=row.receipt_hash,
        amount_cents=row.released_cents if row.finality_state == Finality.FINAL else 0,
        currency=row.currency,
        agent_id=row.agent_id,
        run_id=row.run_id,
        document=wire.receipt_json(row),
        link=f"/runs/{row.run_id}/settlement",
    )


def _adjustment(tenant_id: str, ref_id: str) -> Resolved | None:
    row = rows.first(Adjustment, "tenant_id = %s AND adjustment_id = %s", [tenant_id, ref_id])
    if row is None:
        return None
    takes = row.kind in (AdjustmentKind.VERDICT_REFUND, AdjustmentKind.CHARGEBACK_RECOVERY)
    return Resolved(
        kind=RefKind.SETTLEMENT_ADJUSTMENT,
        id=row.adjustment_id,
        hash=row.adjustment_hash,
        amount_cents=-row.amount_cents if takes else row.amount_cents,
        currency=row.currency,
        agent_id=row.agent_id,
        run_id=row.run_id,
        document=wire.adjustment_json(row),
        link=f"/ops/settlement-adjustments/{row.adjustment_id}",
    )


def _funding(tenant_id: str, ref_id: str) -> Resolved | None:
    row = rows.first(FundingReceipt, "tenant_id = %s AND receipt_id = %s", [tenant_id, ref_id])
    if row is None:
        return None
    return Resolved(
        kind=RefKind.FUNDING_RECEIPT,
        id=row.receipt_id,
        hash=row.receipt_hash,
        amount_cents=row.amount_cents,
        currency=row.currency,
        agent_id=row.agent_id,
        run_id=None,
        document=wire.funding_receipt_json(row),
        link=f"/agents/{row.agent_id}/wallet",
    )


def _entry(tenant_id: str, ref_id: str) -> Resolved | None:
    """Find a journal entry, also by the name that an allocation has for one party's share of it."""
    return _entry_of(tenant_id, ref_id, None) or _entry_of(tenant_id, *_parted(ref_id))


def _entry_of(tenant_id: str, entry_id: str, party_id: str | None) -> Resolved | None:
    stored = ledger.entry(tenant_id=tenant_id, entry_id=entry_id)
    if stored is None or stored.entry.book != Book.GENERAL:
        return None
    owed = [
        share
        for share in stored.allocations
        if share.account_id in PAYABLE_ACCOUNTS and party_id in (None, share.party_id)
    ]
    currencies = {posting.currency for posting in stored.postings}
    return Resolved(
        kind=RefKind.LEDGER_ENTRY,
        id=entry_id,
        hash=stored.entry.content_hash,
        amount_cents=-sum(share.amount_cents for share in owed),
        currency=min(share.currency for share in owed) if owed else min(currencies),
        agent_id=agent_of_party(party_id) if party_id else None,
        run_id=None,
        document={
            "entryId": entry_id,
            "book": stored.entry.book,
            "period": stored.entry.period,
            "at": clock.iso(stored.entry.at),
            "memo": stored.entry.memo,
            "reason": stored.entry.reason,
            "sourceType": stored.entry.source_type,
            "sourceId": stored.entry.source_id,
            "postings": [
                {
                    "postingId": posting.posting_id,
                    "accountId": posting.account_id,
                    "amountCents": posting.amount_cents,
                    "currency": posting.currency,
                }
                for posting in stored.postings
            ],
        },
        link=f"/ops/ledger/entries?period={stored.entry.period}",
    )


def _parted(ref_id: str) -> tuple[str, str]:
    entry_id, _, party_id = ref_id.rpartition("#")
    return entry_id, party_id


def _carry_in(tenant_id: str, ref_id: str) -> Resolved | None:
    stored = artifacts.find(tenant_id=tenant_id, artifact_id=ref_id)
    if stored is None or stored.artifact_type != "PartyStatement.v1":
        return None
    document = stored.document
    statement = document.get("statement") or {}
    return Resolved(
        kind=RefKind.CARRY_IN,
        id=stored.artifact_id,
        hash=stored.artifact_hash,
        amount_cents=int(statement.get("payableCarryInCents") or 0),
        currency=str(statement.get("currency") or ""),
        agent_id=agent_of_party(str(statement.get("partyId") or "")),
        run_id=None,
        document=document,
        link=f"/artifacts/{stored.artifact_id}",
    )


_FINDERS: Final = {
    RefKind.SETTLEMENT_RECEIPT.value: _receipt,
    RefKind.SETTLEMENT_ADJUSTMENT.value: _adjustment,
    RefKind.FUNDING_RECEIPT.value: _funding,
    RefKind.LEDGER_ENTRY.value: _entry,
    RefKind.CARRY_IN.value: _carry_in,
}
