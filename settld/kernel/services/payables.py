"""The money of a payout: taken out of its payee's wallet, paid, or put back (kernel spec 13.4).

A payout operation calls these in the transaction in which its own state changes, after its own locks:

    enqueue              reserve   gross leaves the wallet; its references are given to this operation
    confirmed            commit    the general book says that cash has left
    failed, cancelled    release   gross is back in the wallet; the references are free again
    reversed             return_   gross is back in the wallet; the references stay with this operation

Locks, in this order (docs/payables.md): settlements of the references by run, the payee's wallet, the
reservation, the month, the ledger's balances. Each verb is idempotent by operation id.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection

from settld.core import clock, failpoints, ids, rows, transactions
from settld.kernel import documents
from settld.kernel.models import Adjustment, PayoutReservation, Wallet
from settld.kernel.queries import agents, allocations, refs
from settld.kernel.queries.refs import Ref, ReferenceMismatch
from settld.kernel.services import adjustments, payable_grounds, payout_books, posting_time, wallets
from settld.kernel.services.payable_grounds import ReferenceBlocked
from settld.kernel.states import RESERVATION_MOVES, AdjustmentKind, RefKind, ReservationState

__all__ = [
    "Ref",
    "ReferenceBlocked",
    "ReferenceMismatch",
    "Reserved",
    "commit",
    "release",
    "reserve",
    "return_",
]

_OF_OPERATION: Final = "tenant_id = %s AND operation_id = %s"
_WRITE: Final = """
WITH made AS (
  INSERT INTO payout_reservation (id, tenant_id, operation_id, agent_id, amount_cents, recovery_cents,
    currency, state, created_at, updated_at)
  VALUES (%(id)s, %(tenant_id)s, %(operation_id)s, %(agent_id)s, %(amount_cents)s, %(recovery_cents)s,
    %(currency)s, %(state)s, %(now)s, %(now)s)
  RETURNING operation_id
)
INSERT INTO payout_allocation (id, tenant_id, operation_id, ref_kind, ref_id, ref_hash, amount_cents,
  currency, created_at)
SELECT given.id, %(tenant_id)s, made.operation_id, given.kind, given.name, given.hash, given.cents,
  %(currency)s, %(now)s
FROM made, jsonb_to_recordset(%(refs)s::jsonb) AS
  given (id uuid, kind text, name text, hash text, cents bigint)
ON CONFLICT (tenant_id, ref_kind, ref_id) WHERE released_at IS NULL DO NOTHING
"""
_FREE: Final = """
UPDATE payout_allocation SET released_at = %s
WHERE tenant_id = %s AND operation_id = %s AND released_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A payout's reservation, and whether this call made it."""

    reservation: PayoutReservation
    is_new: bool


def reserve(
    *,
    tenant_id: str,
    operation_id: str,
    party_id: str,
    currency: str,
    references: Sequence[Ref],
    amount_cents: int,
    recovery_cents: int = 0,
    source_hash: str | None = None,
    now: dt.datetime,
) -> Reserved:
    """Take a payout's gross out of its payee's wallet and give it its references, once.

    `amount_cents` will leave over the rail, `recovery_cents` is withheld against the payee's debt; the
    references add up to both together, and with the recovery's own adjustment, which is negative, to the
    amount. A payout that goes into the debt entirely has amount 0 and is committed at once. `source_hash`
    is the hash of the statement that is paid.

    Raises ReferenceMismatch, ReferenceBlocked, InsufficientWalletBalance, WalletCurrencyMismatch: nothing
    is taken; the refusal has to leave the transaction.
    """
    agent_id = refs.agent_of_party(party_id)
    if agent_id is None or agents.find(tenant_id=tenant_id, agent_id=agent_id) is None:
        raise ReferenceMismatch(
            details={"mismatched": [{"problem": "payee_unknown", "partyId": party_id}], "mismatchedCount": 1}
        )
    with transactions.joined():
        payable_grounds.lock_settlements(tenant_id=tenant_id, references=references)
        wallet = _lock_wallet(tenant_id=tenant_id, agent_id=agent_id, currency=currency, now=now)
        known = allocations.reservation_of(tenant_id=tenant_id, operation_id=operation_id)
        if known is not None:
            return Reserved(known, is_new=False)
        grounds = payable_grounds.require(
            tenant_id=tenant_id,
            party_id=party_id,
            currency=currency,
            references=references,
            gross_cents=amount_cents + recovery_cents,
            now=now,
        )
        reservation = PayoutReservation(
            tenant_id=tenant_id,
            operation_id=operation_id,
            agent_id=agent_id,
            amount_cents=amount_cents,
            recovery_cents=recovery_cents,
            currency=currency,
            state=ReservationState.RESERVED if amount_cents else ReservationState.COMMITTED,
            created_at=now,
            updated_at=now,
        )
        given = [*grounds.refs, *_recovery(reservation, source_hash=source_hash, now=now)]
        if sum(ref.amount_cents or 0 for ref in given) != amount_cents:
            raise ArithmeticError("the references of a payout do not add up to its amount")
        _write(reservation, given, party_id=party_id)
        payout_books.reserve(
            payee=wallet,
            amount_cents=amount_cents,
            recovery_cents=recovery_cents,
            operation_id=operation_id,
            now=posting_time.open_instant(tenant_id=tenant_id, operation_id=operation_id, now=now),
        )
        failpoints.hit("kernel.payables.reserve.before_commit")
    return Reserved(reservation, is_new=True)


def commit(*, tenant_id: str, operation_id: str, now: dt.datetime) -> PayoutReservation | None:
    """Book a confirmed payout in the general book; None for a payout that has no reservation."""
    with transactions.joined():
        reservation = _lock(tenant_id=tenant_id, operation_id=operation_id)
        if reservation is None or not _enter(reservation, ReservationState.COMMITTED, now=now):
            return reservation
        payout_books.commit_payout(
            tenant_id=tenant_id,
            agent_id=reservation.agent_id,
            amount_cents=reservation.amount_cents,
            currency=reservation.currency,
            operation_id=operation_id,
            now=posting_time.open_instant(tenant_id=tenant_id, operation_id=operation_id, now=now),
        )
        failpoints.hit("kernel.payables.commit.before_commit")
    return reservation


def release(*, tenant_id: str, operation_id: str, now: dt.datetime) -> PayoutReservation | None:
    """Put the gross of a payout that failed or was cancelled back, and free its references.

    None for a payout that has no reservation.
    """
    with transactions.joined():
        reservation, wallet = _lock_with_wallet(tenant_id=tenant_id, operation_id=operation_id, now=now)
        if reservation is None or not _enter(reservation, ReservationState.RELEASED, now=now):
            return reservation
        with connection.cursor() as cursor:
            cursor.execute(_FREE, [now, tenant_id, operation_id])
        payout_books.give_back(
            payee=wallet[reservation.agent_id],
            amount_cents=reservation.amount_cents,
            recovery_cents=reservation.recovery_cents,
            operation_id=operation_id,
            now=posting_time.open_instant(tenant_id=tenant_id, operation_id=operation_id, now=now),
        )
        failpoints.hit("kernel.payables.release.before_commit")
    return reservation


def return_(
    *, tenant_id: str, operation_id: str, source_hash: str | None = None, now: dt.datetime
) -> PayoutReservation | None:
    """Put the gross of a payout that the rail took back into the wallet, by adjustment payout_return.

    What it rested on stays given to it: the money rails book the debt, and no other payout pays it again.
    None for a payout that has no reservation.
    """
    with transactions.joined():
        reservation, wallet = _lock_with_wallet(tenant_id=tenant_id, operation_id=operation_id, now=now)
        if reservation is None or not _enter(reservation, ReservationState.RETURNED, now=now):
            return reservation
        _record(
            reservation,
            AdjustmentKind.PAYOUT_RETURN,
            adjustment_id=f"sadj_pay_{operation_id}",
            amount_cents=reservation.amount_cents,
            source_hash=source_hash,
            now=now,
        )
        payout_books.return_payout(
            payee=wallet[reservation.agent_id],
            amount_cents=reservation.amount_cents,
            recovery_cents=reservation.recovery_cents,
            operation_id=operation_id,
            now=posting_time.open_instant(tenant_id=tenant_id, operation_id=operation_id, now=now),
        )
        failpoints.hit("kernel.payables.return.before_commit")
    return reservation


# --- Steps ------------------------------------------------------------------------------------------
def _lock_wallet(*, tenant_id: str, agent_id: str, currency: str, now: dt.datetime) -> Wallet:
    return wallets.lock(tenant_id=tenant_id, agent_ids=[agent_id], currency=currency, now=now)[agent_id]


def _lock(*, tenant_id: str, operation_id: str) -> PayoutReservation | None:
    return rows.first(PayoutReservation, f"{_OF_OPERATION} FOR UPDATE", [tenant_id, operation_id])


def _lock_with_wallet(
    *, tenant_id: str, operation_id: str, now: dt.datetime
) -> tuple[PayoutReservation | None, dict[str, Wallet]]:
    """Lock the wallet, then the reservation; whose it is never changes, so that is read before."""
    seen = allocations.reservation_of(tenant_id=tenant_id, operation_id=operation_id)
    if seen is None:
        return None, {}
    locked = wallets.lock(tenant_id=tenant_id, agent_ids=[seen.agent_id], currency=seen.currency, now=now)
    return _lock(tenant_id=tenant_id, operation_id=operation_id), locked


def _enter(reservation: PayoutReservation, target: ReservationState, *, now: dt.datetime) -> bool:
    """Move a locked reservation; False when it is there already."""
    current = ReservationState(reservation.state)
    if current == target:
        return False
    if target not in RESERVATION_MOVES.get(current, set()):
        raise RuntimeError(f"a payout's money cannot go from {current} to {target}")
    reservation.state, reservation.updated_at = target, now
    reservation.save(update_fields=["state", "updated_at"])
    return True


def _recovery(reservation: PayoutReservation, *, source_hash: str | None, now: dt.datetime) -> list[Ref]:
    """Write down what is withheld, and name it as a reference: it takes from what is paid."""
    if not reservation.recovery_cents:
        return []
    row = _record(
        reservation,
        AdjustmentKind.CHARGEBACK_RECOVERY,
        adjustment_id=f"sadj_rec_{reservation.operation_id}",
        amount_cents=reservation.recovery_cents,
        source_hash=source_hash,
        now=now,
    )
    return [
        Ref(
            RefKind.SETTLEMENT_ADJUSTMENT, row.adjustment_id, row.adjustment_hash, -reservation.recovery_cents
        )
    ]


def _record(
    reservation: PayoutReservation,
    kind: AdjustmentKind,
    *,
    adjustment_id: str,
    amount_cents: int,
    source_hash: str | None,
    now: dt.datetime,
) -> Adjustment:
    document = documents.kernel_adjustment(
        adjustment_id=adjustment_id,
        tenant_id=reservation.tenant_id,
        kind=kind.value,
        amount_cents=amount_cents,
        shortfall_cents=0,
        currency=reservation.currency,
        source_ref={"kind": "payout", "id": reservation.operation_id, "hash": source_hash},
        verdict_ref=None,
        created_at=clock.iso(now) or "",
    )
    return adjustments.record(
        document=document, agent_id=reservation.agent_id, operation_id=reservation.operation_id
    )


def _write(reservation: PayoutReservation, given: Sequence[Ref], *, party_id: str) -> None:
    """Add the reservation with its allocations; what another payout holds makes it a refusal."""
    listed = [
        {
            "id": str(ids.uuid7()),
            "kind": str(ref.kind),
            "name": refs.allocation_id(ref, party_id=party_id),
            "hash": ref.hash,
            "cents": ref.amount_cents,
        }
        for ref in given
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            {
                "id": reservation.pk,
                "tenant_id": reservation.tenant_id,
                "operation_id": reservation.operation_id,
                "agent_id": reservation.agent_id,
                "amount_cents": reservation.amount_cents,
                "recovery_cents": reservation.recovery_cents,
                "currency": reservation.currency,
                "state": str(reservation.state),
                "now": reservation.created_at,
                "refs": json.dumps(listed),
            },
        )
        if cursor.rowcount != len(listed):
            raise payable_grounds.taken(given)
