"""Changing locked wallets, and proving that the journal says the same."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import connection
from prometheus_client import Counter

from settld.core.errors import Conflict
from settld.core.money import MAX_MINOR
from settld.kernel.models import Wallet
from settld.kernel.models.wallet import MOST_TOTAL
from settld.kernel.services.entries import available, escrow_locked
from settld.ledger.services import journal

log = structlog.get_logger(__name__)
MISMATCHES = Counter("kernel_escrow_ledger_mismatch_total", "Effects undone as wallet and journal differed")

# Absolute values, from rows that the caller has locked; another revision means that it has not.
_WRITE = """
UPDATE wallet AS own SET available_cents = new.available, escrow_locked_cents = new.escrow,
  total_debited_cents = new.debited, total_credited_cents = new.credited,
  total_refunded_cents = new.refunded, locked_on = new.locked_on, locked_today_cents = new.locked_today,
  revision = own.revision + 1, updated_at = %s
FROM (VALUES {rows}) AS new (id, revision, available, escrow, debited, credited, refunded, locked_on,
  locked_today)
WHERE own.id = new.id AND own.revision = new.revision
"""
_ROW = "(%s::uuid, %s::int, %s::bigint, %s::bigint, %s::bigint, %s::bigint, %s::bigint, %s::date, %s::bigint)"


class InsufficientWalletBalance(Conflict):
    """The wallet does not have what is to be locked, moved or paid."""

    code = "INSUFFICIENT_WALLET_BALANCE"
    message = "insufficient wallet balance"


class InsufficientEscrowBalance(Conflict):
    """The wallet has not locked what is to be released or refunded."""

    code = "INSUFFICIENT_ESCROW_BALANCE"
    message = "insufficient escrow balance"


class WalletTotalTooLarge(Conflict):
    """The wallet would have, locked money included, more than an amount may be."""

    code = "WALLET_TOTAL_TOO_LARGE"
    message = "wallet total too large"


class EscrowLedgerMismatch(Conflict):
    """The wallet and its accounts in the journal differ, or the effect is in the journal already."""

    code = "ESCROW_LEDGER_MISMATCH"
    message = "wallet and escrow ledger differ"


@dataclass(frozen=True, slots=True)
class Change:
    """What an effect does to one wallet, in cents; `locked_on` and `locked_today_cents` as they become."""

    wallet: Wallet
    available: int = 0
    escrow: int = 0
    debited: int = 0
    credited: int = 0
    refunded: int = 0
    locked_on: dt.date | None = None
    locked_today_cents: int = 0


def apply(*, changes: Sequence[Change], entries: Sequence[journal.EntryDraft], now: dt.datetime) -> None:
    """Change locked wallets and post the entries of the same effect; the wallets given show it afterwards.

    All wallets are of one tenant, and each is named once. Raises what the journal refuses, and
    InsufficientWalletBalance, InsufficientEscrowBalance, WalletTotalTooLarge, EscrowLedgerMismatch; any of
    them has to leave the transaction.
    """
    wallets = [change.wallet for change in changes]
    if len({wallet.pk for wallet in wallets}) != len(wallets):
        raise ValueError("an effect has one change for each wallet")
    for change in changes:
        _change(change, now)
    _write(wallets, now)
    posted = journal.post(tenant_id=wallets[0].tenant_id, entries=entries, now=now)
    repeated = {entry.entry_id for entry in entries} - posted.new_entry_ids
    if repeated:
        raise _mismatch(wallets[0], {"entryIds": sorted(repeated)})
    for wallet in wallets:
        _compare(wallet, posted)


def _change(change: Change, now: dt.datetime) -> None:
    wallet = change.wallet
    if wallet.available_cents + change.available < 0:
        raise _short(InsufficientWalletBalance, wallet, wallet.available_cents, -change.available)
    if wallet.escrow_locked_cents + change.escrow < 0:
        raise _short(InsufficientEscrowBalance, wallet, wallet.escrow_locked_cents, -change.escrow)
    wallet.available_cents += change.available
    wallet.escrow_locked_cents += change.escrow
    wallet.total_debited_cents += change.debited
    wallet.total_credited_cents += change.credited
    wallet.total_refunded_cents += change.refunded
    if change.locked_on is not None:
        wallet.locked_on, wallet.locked_today_cents = change.locked_on, change.locked_today_cents
    wallet.updated_at = now
    # Only more money is refused. A lock or a refund moves what is there already, and locked money must always
    # find its way back; so sums of what came and went may pass what an amount may be.
    has_cents = wallet.available_cents + wallet.escrow_locked_cents
    grows = change.available + change.escrow > 0
    if (grows and has_cents > MAX_MINOR) or max(_totals(wallet)) > MOST_TOTAL:
        raise WalletTotalTooLarge(details={"code": WalletTotalTooLarge.code, "walletId": wallet.wallet_id})


def _totals(wallet: Wallet) -> list[int]:
    return [
        wallet.available_cents,
        wallet.escrow_locked_cents,
        wallet.total_debited_cents,
        wallet.total_credited_cents,
        wallet.total_refunded_cents,
    ]


def _write(wallets: Sequence[Wallet], now: dt.datetime) -> None:
    values: list[Any] = [now]
    for wallet in wallets:
        values += [wallet.pk, wallet.revision, *_totals(wallet), wallet.locked_on, wallet.locked_today_cents]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE.format(rows=", ".join([_ROW] * len(wallets))), values)
        if cursor.rowcount != len(wallets):
            raise RuntimeError("a wallet changed although it should have been locked")
    for wallet in wallets:
        wallet.revision += 1


def _compare(wallet: Wallet, posted: journal.Posted) -> None:
    """Compare the columns with the balances of those of the wallet's accounts that were touched."""
    for account_id, cents in (
        (available(wallet), wallet.available_cents),
        (escrow_locked(wallet), wallet.escrow_locked_cents),
    ):
        balance = posted.balances.get((account_id, wallet.currency))
        if balance is not None and balance != cents:
            raise _mismatch(wallet, {"accountId": account_id, "walletCents": cents, "ledgerCents": balance})


def _mismatch(wallet: Wallet, found: dict[str, object]) -> EscrowLedgerMismatch:
    log.error("escrow_ledger_mismatch", wallet_id=wallet.wallet_id, **found)
    MISMATCHES.inc()
    return EscrowLedgerMismatch(
        details={"code": EscrowLedgerMismatch.code, "walletId": wallet.wallet_id, **found}
    )


def _short(refusal: type[Conflict], wallet: Wallet, has_cents: int, needs_cents: int) -> Conflict:
    return refusal(
        details={
            "code": refusal.code,
            "walletId": wallet.wallet_id,
            "currency": wallet.currency,
            "hasCents": has_cents,
            "needsCents": needs_cents,
        }
    )
