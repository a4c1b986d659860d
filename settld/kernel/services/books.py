"""What each operation does to wallets and to both books (kernel spec 4, finance spec 5.1).

One function for each row of the table; those of payouts are in `payout_books` and named here, too. Each
takes wallets that the caller has locked by `wallets.lock`, in one call for all of them; changes their
columns; and posts the escrow entry and its general twin together. The wallets given show the new columns
afterwards. Each gives the id of its escrow entry.

Amounts are whole cents, one or more (ValueError). `run_id` is named in the twin's memo; None where there is
no run. Refusals, which have to leave the transaction: the journal's own, InsufficientWalletBalance (lock,
transfer, reserve, withhold, funding reversal), InsufficientEscrowBalance (settle, release, refund),
WalletTotalTooLarge, and EscrowLedgerMismatch where wallet and journal differ or the entry stands already.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from settld.kernel import accounts
from settld.kernel.models import Wallet
from settld.kernel.services import wallet_policy
from settld.kernel.services.entries import Source, available, escrow_entry, escrow_locked, general_entry
from settld.kernel.services.payout_books import (
    commit_payout,
    give_back,
    give_back_withheld,
    reserve,
    return_payout,
    withhold,
)
from settld.kernel.services.wallet_columns import (
    Change,
    EscrowLedgerMismatch,
    InsufficientEscrowBalance,
    InsufficientWalletBalance,
    WalletTotalTooLarge,
    apply,
)
from settld.kernel.services.wallet_policy import WalletPolicyBlocked
from settld.ledger.services.journal import EntryDraft

__all__ = [
    "EscrowLedgerMismatch",
    "InsufficientEscrowBalance",
    "InsufficientWalletBalance",
    "Settled",
    "WalletPolicyBlocked",
    "WalletTotalTooLarge",
    "commit_payout",
    "fund",
    "give_back",
    "give_back_withheld",
    "lock_escrow",
    "refund",
    "release",
    "reserve",
    "return_payout",
    "reverse_funding",
    "settle",
    "transfer",
    "withhold",
]

CASH: Final = "acct_cash"
CUSTOMER_ESCROW: Final = "acct_customer_escrow"
OPERATOR_PAYABLE: Final = "acct_operator_payable"


@dataclass(frozen=True, slots=True)
class Settled:
    """The escrow entries that a resolution posted; None for a part that was nothing."""

    release_entry_id: str | None
    refund_entry_id: str | None


def fund(*, wallet: Wallet, amount_cents: int, receipt_id: str, now: dt.datetime) -> str:
    """Add money that came in; entry `fund_{receiptId}`."""
    _require_amount(amount_cents)
    entry_id, source = f"fund_{receipt_id}", Source("funding_receipt", receipt_id)
    moved = escrow_entry(
        entry_id, memo=f"fund:{receipt_id}", source=source, wallet=wallet, now=now,
        lines=[(accounts.funding(wallet.tenant_id), -amount_cents), (available(wallet), amount_cents)],
    )  # fmt: skip
    booked = general_entry(
        entry_id, kind="FUNDED", debit=CASH, credit=CUSTOMER_ESCROW, amount_cents=amount_cents,
        currency=wallet.currency, source=source, payer_agent_id=wallet.agent_id, now=now,
    )  # fmt: skip
    change = Change(wallet, available=amount_cents, credited=amount_cents)
    apply(changes=[change], entries=[moved, booked], now=now)
    return entry_id


def lock_escrow(
    *,
    payer: Wallet,
    policy: Mapping[str, Any] | None,
    amount_cents: int,
    subject: str,
    source_type: str,
    source_id: str,
    now: dt.datetime,
) -> str:
    """Lock money for a run or a hold; entry `escrow_hold_{subject}`, with no twin.

    `subject` is the run's id or `tc_{agreementHash}`; `policy` the payer's wallet policy. Raises
    WalletPolicyBlocked before anything else.
    """
    _require_amount(amount_cents)
    day, day_cents = wallet_policy.require(policy, wallet=payer, amount_cents=amount_cents, now=now)
    entry_id = f"escrow_hold_{subject}"
    moved = escrow_entry(
        entry_id, memo=f"escrow:hold:{subject}", source=Source(source_type, source_id), wallet=payer, now=now,
        lines=[(available(payer), -amount_cents), (escrow_locked(payer), amount_cents)],
    )  # fmt: skip
    change = Change(
        payer, available=-amount_cents, escrow=amount_cents, locked_on=day, locked_today_cents=day_cents
    )
    apply(changes=[change], entries=[moved], now=now)
    return entry_id


def settle(
    *,
    payer: Wallet,
    payee: Wallet,
    released_cents: int,
    refunded_cents: int,
    subject: str,
    run_id: str | None,
    source_type: str,
    source_id: str,
    now: dt.datetime,
) -> Settled:
    """Release one part of what the payer has locked to the payee and refund the other, together.

    Entries `escrow_release_{subject}` and `escrow_forfeit_{subject}`; `subject` is
    `{runId}_{resolutionEventId}` or an adjustment's id. Either part may be 0, not both. A refund counts as a
    credit of the payer, too, as the wire has it; `total_refunded_cents` keeps the sum of those.
    """
    _require_amount(released_cents + refunded_cents)
    if min(released_cents, refunded_cents) < 0:
        raise ValueError("no part of a settlement is negative")
    source = Source(source_type, source_id)
    changes = [
        Change(
            payer,
            available=refunded_cents,
            escrow=-(released_cents + refunded_cents),
            debited=released_cents,
            credited=refunded_cents,
            refunded=refunded_cents,
        )
    ]
    entries: list[EntryDraft] = []
    release_id = f"escrow_release_{subject}" if released_cents else None
    refund_id = f"escrow_forfeit_{subject}" if refunded_cents else None
    if release_id is not None:
        changes.append(Change(payee, available=released_cents, credited=released_cents))
        moved = escrow_entry(
            release_id, memo=f"escrow:release:{subject}", source=source, wallet=payer, now=now,
            lines=[(escrow_locked(payer), -released_cents), (available(payee), released_cents)],
        )  # fmt: skip
        booked = general_entry(
            release_id, kind="SETTLED", run_id=run_id, debit=CUSTOMER_ESCROW, credit=OPERATOR_PAYABLE,
            amount_cents=released_cents, currency=payer.currency, source=source,
            payer_agent_id=payer.agent_id, payee_agent_id=payee.agent_id, now=now,
        )  # fmt: skip
        entries += [moved, booked]
    if refund_id is not None:
        moved = escrow_entry(
            refund_id, memo=f"escrow:forfeit:{subject}", source=source, wallet=payer, now=now,
            lines=[(escrow_locked(payer), -refunded_cents), (available(payer), refunded_cents)],
        )  # fmt: skip
        entries.append(moved)
    apply(changes=changes, entries=entries, now=now)
    return Settled(release_id, refund_id)


def release(
    *,
    payer: Wallet,
    payee: Wallet,
    amount_cents: int,
    subject: str,
    run_id: str | None,
    source_type: str,
    source_id: str,
    now: dt.datetime,
) -> str:
    """Pay the payee out of what the payer has locked; otherwise as `settle`."""
    settle(
        payer=payer, payee=payee, released_cents=amount_cents, refunded_cents=0, subject=subject,
        run_id=run_id, source_type=source_type, source_id=source_id, now=now,
    )  # fmt: skip
    return f"escrow_release_{subject}"


def refund(
    *, payer: Wallet, amount_cents: int, subject: str, source_type: str, source_id: str, now: dt.datetime
) -> str:
    """Give the payer back what it has locked, with no twin; otherwise as `settle`."""
    settle(
        payer=payer, payee=payer, released_cents=0, refunded_cents=amount_cents, subject=subject,
        run_id=None, source_type=source_type, source_id=source_id, now=now,
    )  # fmt: skip
    return f"escrow_forfeit_{subject}"


def transfer(
    *,
    payer: Wallet,
    payee: Wallet,
    amount_cents: int,
    is_to_payer: bool,
    adjustment_id: str,
    run_id: str | None,
    now: dt.datetime,
) -> str:
    """Carry out a verdict between what both may spend; entry `transfer_{adjustmentId}`.

    From payee to payer, or from payer to payee. Its kind in the twin's memo is TRANSFERRED.
    """
    _require_amount(amount_cents)
    giver, taker = (payee, payer) if is_to_payer else (payer, payee)
    debit, credit = (
        (OPERATOR_PAYABLE, CUSTOMER_ESCROW) if is_to_payer else (CUSTOMER_ESCROW, OPERATOR_PAYABLE)
    )
    entry_id, source = f"transfer_{adjustment_id}", Source("adjustment", adjustment_id)
    moved = escrow_entry(
        entry_id, memo=f"transfer:{adjustment_id}", source=source, wallet=giver, now=now,
        lines=[(available(giver), -amount_cents), (available(taker), amount_cents)],
    )  # fmt: skip
    booked = general_entry(
        entry_id, kind="TRANSFERRED", run_id=run_id, debit=debit, credit=credit, amount_cents=amount_cents,
        currency=giver.currency, source=source, payer_agent_id=payer.agent_id,
        payee_agent_id=payee.agent_id, now=now,
    )  # fmt: skip
    changes = [
        Change(giver, available=-amount_cents, debited=amount_cents),
        Change(taker, available=amount_cents, credited=amount_cents),
    ]
    apply(changes=changes, entries=[moved, booked], now=now)
    return entry_id


def reverse_funding(*, wallet: Wallet, amount_cents: int, adjustment_id: str, now: dt.datetime) -> str:
    """Take back money whose coming in was reversed; entry `fund_rev_{adjustmentId}`."""
    _require_amount(amount_cents)
    entry_id, source = f"fund_rev_{adjustment_id}", Source("adjustment", adjustment_id)
    moved = escrow_entry(
        entry_id, memo=f"fund_rev:{adjustment_id}", source=source, wallet=wallet, now=now,
        lines=[(available(wallet), -amount_cents), (accounts.funding(wallet.tenant_id), amount_cents)],
    )  # fmt: skip
    booked = general_entry(
        entry_id, kind="FUNDING_REVERSED", debit=CUSTOMER_ESCROW, credit=CASH, amount_cents=amount_cents,
        currency=wallet.currency, source=source, payer_agent_id=wallet.agent_id, now=now,
    )  # fmt: skip
    change = Change(wallet, available=-amount_cents, debited=amount_cents)
    apply(changes=[change], entries=[moved, booked], now=now)
    return entry_id


def _require_amount(amount_cents: int) -> None:
    if amount_cents < 1:
        raise ValueError("an operation moves at least one cent")
