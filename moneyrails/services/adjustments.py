"""A person's decision that a party owes less of one reversal: a dispute won, a debt paid elsewhere."""

import datetime as dt
from dataclasses import dataclass

from moneyrails.models import ChargebackEntry
from moneyrails.queries import chargebacks as debts
from moneyrails.queries.chargebacks import Account
from moneyrails.services import chargebacks
from settld.audit import services as audit
from settld.core import failpoints, money, transactions
from settld.core.errors import Conflict, NotFound
from settld.core.principals import Actor


class ReversedOperationNotFound(NotFound):
    """The party has no operation of this id."""

    message = "money rail operation not found"


class OperationNotReversed(Conflict):
    """Nothing was taken back, so nothing is owed for it."""

    code = "MONEY_RAIL_OPERATION_NOT_REVERSED"
    message = "only a reversed operation can be adjusted"


class AdjustmentExceedsOutstanding(Conflict):
    """The reversal has less open than the adjustment would repay."""

    code = "CHARGEBACK_ADJUSTMENT_EXCEEDS_OUTSTANDING"
    message = "adjustment exceeds what the reversal still has open"


@dataclass(frozen=True)
class Adjusted:
    """The entry that was made, and what its reversal still has open."""

    entry: ChargebackEntry
    open_after_cents: int

    @property
    def outstanding_after_cents(self) -> int:
        """Give what the party owes in this account from here on."""
        return self.entry.outstanding_after_cents


def adjust(
    *,
    tenant_id: str,
    party_id: str,
    operation_id: str,
    amount_cents: int,
    reason_code: str,
    note: str = "",
    actor: Actor,
    now: dt.datetime,
) -> Adjusted:
    """Take an amount off a reversal's debt; the only undo that a reversal has.

    Runs in the caller's transaction or in its own. What the reversal has open is read under the party's
    balance lock, so two adjustments, or one beside a payout that repays, never repay a cent twice.
    """
    with transactions.joined():
        seen = debts.operation_of_party(tenant_id=tenant_id, party_id=party_id, operation_id=operation_id)
        if seen is None:
            raise ReversedOperationNotFound()
        if seen.state != "reversed":
            raise OperationNotReversed(details={"operationId": operation_id, "state": seen.state})
        account = chargebacks.account_of(seen)
        chargebacks.lock_balance(account, now=now)
        reversal = debts.reversal_of(seen)
        if amount_cents > reversal.open_cents:
            raise AdjustmentExceedsOutstanding(
                details={
                    "partyId": party_id,
                    "operationId": operation_id,
                    "amountCents": amount_cents,
                    "openCents": reversal.open_cents,
                }
            )
        entry = chargebacks.record_adjustment(
            reversal.entry,
            amount_cents=amount_cents,
            reason_code=reason_code,
            note=note,
            actor=actor,
            now=now,
        )
        done = Adjusted(entry, reversal.open_cents - amount_cents)
        _audit(account, done, operation_id=operation_id, actor=actor, now=now)
        failpoints.hit("adjust.before_commit")
        return done


def _audit(account: Account, done: Adjusted, *, operation_id: str, actor: Actor, now: dt.datetime) -> None:
    entry = done.entry
    audit.append(
        tenant_id=account.tenant_id,
        actor=actor,
        action="MONEY_RAIL_CHARGEBACK_ADJUSTED",
        target_type="money_rail_operation",
        target_id=operation_id,
        details={
            "adjustmentId": str(entry.pk),
            "partyId": account.party_id,
            "operationId": operation_id,
            "currency": account.currency,
            "providerMode": account.provider_mode,
            "amountCents": entry.amount_cents,
            "reasonCode": entry.reason_code,
            "note": entry.note or None,
            "reversalOpenAfterCents": done.open_after_cents,
            "outstandingAfterCents": money.exact(entry.outstanding_after_cents),
        },
        at=now,
    )
