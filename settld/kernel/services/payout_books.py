"""What payouts do to a wallet and to both books; named in `books`, where the manners are described.

A payout takes the gross out of the wallet at once: the net leaves over the rail, the recovery is withheld
against the payee's debt. Give both in one call, so that the journal locks its rows in one order.
"""

import datetime as dt
from typing import Final

from settld.kernel import accounts
from settld.kernel.models import Wallet
from settld.kernel.services.entries import Source, available, escrow_entry, general_entry
from settld.kernel.services.wallet_columns import Change, apply
from settld.ledger.services import journal
from settld.ledger.services.journal import EntryDraft

CASH: Final = "acct_cash"
CLEARING: Final = "acct_payout_clearing"
RECOVERY: Final = "acct_chargeback_recovery"


def reserve(
    *, payee: Wallet, amount_cents: int, operation_id: str, now: dt.datetime, recovery_cents: int = 0
) -> str:
    """Take a payout's money out of its payee's wallet; escrow entry `payout_{operationId}`, with no twin.

    `amount_cents` is the net; `recovery_cents` goes as `withhold` says. Either may be 0, not both. Raises
    InsufficientWalletBalance where the wallet has less than both together.
    """
    _require_amounts(amount_cents, recovery_cents)
    entry_id = f"payout_{operation_id}"
    entries = _withheld(payee, recovery_cents, operation_id, now)
    if amount_cents:
        entries.append(_to_clearing(entry_id, payee, amount_cents, operation_id, now))
    gross_cents = amount_cents + recovery_cents
    apply(changes=[Change(payee, available=-gross_cents, debited=gross_cents)], entries=entries, now=now)
    return entry_id


def give_back(
    *, payee: Wallet, amount_cents: int, operation_id: str, now: dt.datetime, recovery_cents: int = 0
) -> str:
    """Put back what a payout took that failed or was cancelled; escrow entry `payout_return_{operationId}`.

    With no twin for the net, which never left; `recovery_cents` goes as `give_back_withheld` says.
    """
    _require_amounts(amount_cents, recovery_cents)
    entry_id = f"payout_return_{operation_id}"
    entries = _withheld(payee, -recovery_cents, operation_id, now)
    if amount_cents:
        entries.append(_to_clearing(entry_id, payee, -amount_cents, operation_id, now))
    _put_back(payee, amount_cents + recovery_cents, entries, now)
    return entry_id


def commit_payout(
    *, tenant_id: str, agent_id: str, amount_cents: int, currency: str, operation_id: str, now: dt.datetime
) -> str:
    """Book a confirmed payout, which changes no wallet: general entry `jnl_payout_{operationId}`, PAID_OUT.

    Repeated with the same content and instant it adds nothing. Gives the id of the general entry.
    """
    _require_amounts(amount_cents, 0)
    booked = general_entry(
        f"payout_{operation_id}", kind="PAID_OUT", debit=CLEARING, credit=CASH, amount_cents=amount_cents,
        currency=currency, source=Source("operation", operation_id), payee_agent_id=agent_id, now=now,
    )  # fmt: skip
    journal.post(tenant_id=tenant_id, entries=[booked], now=now)
    return booked.entry_id


def return_payout(
    *, payee: Wallet, amount_cents: int, operation_id: str, now: dt.datetime, recovery_cents: int = 0
) -> str:
    """Put back what a confirmed payout took and the rail gave back; escrow `payout_return_{operationId}`.

    The twin, PAYOUT_RETURNED, reverses what `commit_payout` booked. `recovery_cents` goes as
    `give_back_withheld` says, for a recovery that is released as well.
    """
    _require_amounts(amount_cents, recovery_cents)
    entry_id = f"payout_return_{operation_id}"
    entries = _withheld(payee, -recovery_cents, operation_id, now)
    if amount_cents:
        entries += [
            _to_clearing(entry_id, payee, -amount_cents, operation_id, now),
            general_entry(
                entry_id, kind="PAYOUT_RETURNED", debit=CASH, credit=CLEARING, amount_cents=amount_cents,
                currency=payee.currency, source=Source("operation", operation_id),
                payee_agent_id=payee.agent_id, now=now,
            ),
        ]  # fmt: skip
    _put_back(payee, amount_cents + recovery_cents, entries, now)
    return entry_id


def withhold(*, payee: Wallet, amount_cents: int, operation_id: str, now: dt.datetime) -> str:
    """Keep pay back against the payee's debt; escrow entry `payout_recovery_{operationId}`.

    The twin moves the payee's clearing to the platform's recovery account; its kind is RECOVERED.
    """
    reserve(payee=payee, amount_cents=0, recovery_cents=amount_cents, operation_id=operation_id, now=now)
    return f"payout_recovery_{operation_id}"


def give_back_withheld(*, payee: Wallet, amount_cents: int, operation_id: str, now: dt.datetime) -> str:
    """Put back pay that was withheld; escrow entry `payout_recovery_return_{operationId}`.

    The twin reverses that of `withhold`; its kind is RECOVERY_RETURNED.
    """
    give_back(payee=payee, amount_cents=0, recovery_cents=amount_cents, operation_id=operation_id, now=now)
    return f"payout_recovery_return_{operation_id}"


def _to_clearing(
    entry_id: str, payee: Wallet, amount_cents: int, operation_id: str, now: dt.datetime
) -> EntryDraft:
    """Compose the move between a wallet and the payouts' clearing; a negative amount comes back."""
    clearing = accounts.payout_clearing(payee.tenant_id)
    return escrow_entry(
        entry_id, memo=f"payout:{operation_id}", source=Source("operation", operation_id), wallet=payee,
        lines=[(available(payee), -amount_cents), (clearing, amount_cents)], now=now,
    )  # fmt: skip


def _withheld(payee: Wallet, cents: int, operation_id: str, now: dt.datetime) -> list[EntryDraft]:
    """Compose both entries of pay withheld; a negative amount is given back, 0 is nothing."""
    if not cents:
        return []
    is_back = cents < 0
    entry_id = f"payout_recovery_return_{operation_id}" if is_back else f"payout_recovery_{operation_id}"
    source = Source("operation", operation_id)
    recovered = accounts.chargeback_recovery(payee.tenant_id)
    return [
        escrow_entry(
            entry_id, memo=f"payout_recovery:{operation_id}", source=source, wallet=payee, now=now,
            lines=[(available(payee), -cents), (recovered, cents)],
        ),
        general_entry(
            entry_id, kind="RECOVERY_RETURNED" if is_back else "RECOVERED",
            debit=RECOVERY if is_back else CLEARING, credit=CLEARING if is_back else RECOVERY,
            amount_cents=abs(cents), currency=payee.currency, source=source,
            payee_agent_id=payee.agent_id, now=now,
        ),
    ]  # fmt: skip


def _put_back(payee: Wallet, cents: int, entries: list[EntryDraft], now: dt.datetime) -> None:
    apply(changes=[Change(payee, available=cents, credited=cents)], entries=entries, now=now)


def _require_amounts(amount_cents: int, recovery_cents: int) -> None:
    if min(amount_cents, recovery_cents) < 0 or amount_cents + recovery_cents < 1:
        raise ValueError("an operation moves at least one cent")
