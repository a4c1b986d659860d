"""Recording reversed payouts and what repays them (spec 4).

The balance row's lock comes before the operation's: whoever may change a debt takes `lock_balance`
first. The database moves the balance as entries are inserted (models/ledger_triggers.py), so it always
equals its entries, and it refuses an entry that would repay a cent twice.
"""

import datetime as dt
from dataclasses import dataclass

from django.db import connection

from moneyrails.models import ChargebackEntry, Operation, PartyBalance, ProviderEvent
from moneyrails.queries.chargebacks import Account, OpenReversal, open_reversals
from moneyrails.states import EntryKind
from settld.core import ids
from settld.core.principals import Actor

_LOCK = """
INSERT INTO party_balance AS held
  (id, tenant_id, party_id, currency, provider_mode, outstanding_cents, updated_at)
VALUES (%s, %s, %s, %s, %s, 0, %s)
ON CONFLICT (tenant_id, party_id, currency, provider_mode)
DO UPDATE SET outstanding_cents = held.outstanding_cents
RETURNING outstanding_cents
"""


@dataclass(frozen=True)
class Withholding:
    """How much of a payout repays a debt, and which reversals it repays."""

    outstanding_before_cents: int = 0
    recovery_cents: int = 0
    shares: tuple[tuple[ChargebackEntry, int], ...] = ()

    @property
    def outstanding_after_cents(self) -> int:
        """Give the debt that remains."""
        return self.outstanding_before_cents - self.recovery_cents


def account_of(operation: Operation) -> Account:
    """Name the debt account that an operation belongs to."""
    return Account(
        tenant_id=operation.tenant_id,
        party_id=operation.party_id,
        currency=operation.currency,
        provider_mode=operation.provider_mode,
    )


def lock_balance(account: Account, *, now: dt.datetime) -> int:
    """Lock a party's balance, made when missing, and give its outstanding cents: one round trip."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LOCK,
            [ids.uuid7(), account.tenant_id, account.party_id, account.currency, account.provider_mode, now],
        )
        return int(cursor.fetchone()[0])


def split(cents: int, reversals: list[OpenReversal]) -> tuple[tuple[ChargebackEntry, int], ...]:
    """Spread a recovery over open reversals, the oldest first, none above what it has open."""
    shares = []
    for reversal in reversals:
        share = min(cents, reversal.open_cents)
        if share > 0:
            shares.append((reversal.entry, share))
        cents -= share
    if cents:
        raise ArithmeticError("the balance exceeds what its reversals have open")
    return tuple(shares)


def outstanding(account: Account) -> int:
    """Read what a party owes; under its lock the answer stays true until commit."""
    held = PartyBalance.objects.filter(**account.filter()).values_list("outstanding_cents", flat=True)
    return held.first() or 0


def withhold(account: Account, *, outstanding_cents: int, gross_cents: int) -> Withholding:
    """Work out what a payout repays; writes nothing. The caller holds the balance lock."""
    recovery = min(outstanding_cents, gross_cents)
    if not recovery:
        return Withholding(outstanding_cents)
    return Withholding(outstanding_cents, recovery, split(recovery, open_reversals(account)))


def record_recovery(
    account: Account,
    withholding: Withholding,
    *,
    payout_key: str,
    operation: Operation | None,
    actor: Actor,
    now: dt.datetime,
) -> None:
    """Write down what a payout repays."""
    entries = [
        _entry(
            account, EntryKind.RECOVERY, cents, actor=actor, at=now, now=now,
            operation=operation, payout_key=payout_key, reversal=reversal,
        )
        for reversal, cents in withholding.shares
    ]  # fmt: skip
    ChargebackEntry.objects.bulk_create(entries)


def record_reversal(operation: Operation, event: ProviderEvent, *, actor: Actor, now: dt.datetime) -> None:
    """Owe the whole amount of an operation that was taken back; the caller holds both locks."""
    account = account_of(operation)
    _entry(
        account, EntryKind.REVERSAL, operation.amount_cents, actor=actor, at=event.at, now=now,
        operation=operation, payout_key="", reversal=None, reason_code=event.reason_code,
    ).save(force_insert=True)  # fmt: skip


def release_recovery(operation: Operation, *, actor: Actor, at: dt.datetime, now: dt.datetime) -> None:
    """Owe again what a payout repaid that failed, was cancelled or was taken back."""
    if not operation.recovery_applied_cents:
        return
    account = account_of(operation)
    recoveries = (
        ChargebackEntry.objects.filter(
            tenant_id=operation.tenant_id, payout_key=operation.payout_key, kind=EntryKind.RECOVERY
        )
        .select_related("reversal")
        .order_by("seq")
    )
    entries = [
        _entry(
            account, EntryKind.RELEASE, row.amount_cents, actor=actor, at=at, now=now,
            operation=operation, payout_key=operation.payout_key, reversal=row.reversal,
        )
        for row in recoveries
    ]  # fmt: skip
    ChargebackEntry.objects.bulk_create(entries)


def record_adjustment(
    reversal: ChargebackEntry,
    *,
    amount_cents: int,
    reason_code: str,
    note: str,
    actor: Actor,
    now: dt.datetime,
) -> ChargebackEntry:
    """Owe less of a reversal by a person's decision; the caller holds the balance lock and knows the room."""
    account = Account(reversal.tenant_id, reversal.party_id, reversal.currency, reversal.provider_mode)
    entry = _entry(
        account, EntryKind.ADJUSTMENT, amount_cents, actor=actor, at=now, now=now,
        operation=reversal.operation, payout_key="", reversal=reversal, reason_code=reason_code, note=note,
    )  # fmt: skip
    entry.save(force_insert=True)
    entry.refresh_from_db(fields=["seq", "outstanding_after_cents"])
    return entry


def _entry(
    account: Account,
    kind: EntryKind,
    amount_cents: int,
    *,
    actor: Actor,
    at: dt.datetime,
    now: dt.datetime,
    operation: Operation | None,
    payout_key: str,
    reversal: ChargebackEntry | None,
    reason_code: str = "",
    note: str = "",
) -> ChargebackEntry:
    return ChargebackEntry(
        **account.filter(),
        kind=kind,
        amount_cents=amount_cents,
        operation=operation,
        payout_key=payout_key,
        reversal=reversal,
        reason_code=reason_code,
        note=note,
        recorded_by=actor.principal_id,
        at=at,
        recorded_at=now,
    )
