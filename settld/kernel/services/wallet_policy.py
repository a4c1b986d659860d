"""What an agent's own policy lets it lock (kernel spec 4)."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from settld.core.errors import Conflict, Invalid
from settld.kernel import identifiers
from settld.kernel.models import Wallet
from settld.kernel.models.wallet import MOST_TOTAL

LIMITS: Final = ("maxPerTransactionCents", "maxDailyCents", "requireApprovalAboveCents")


class WalletPolicyBlocked(Conflict):
    """The payer's policy refuses the lock; the code says which limit, details.code repeats it."""

    code = "WALLET_POLICY_MAX_PER_TX"
    message = "wallet policy blocked settlement"


def normalized(value: Mapping[str, Any]) -> dict[str, int | None]:
    """Read a policy as given: every limit is there, null where there is none.

    Raises Invalid "invalid agent identity" for a key that is no limit and for a limit that is no amount.
    """
    unknown = sorted(set(value) - set(LIMITS))
    if unknown:
        raise _invalid(f"walletPolicy.{unknown[0]} is unknown")
    for key in LIMITS:
        if value.get(key) is not None and not identifiers.is_cents(value[key]):
            raise _invalid(f"walletPolicy.{key} must be a positive safe integer")
    return {key: value.get(key) for key in LIMITS}


def require(
    policy: Mapping[str, Any] | None, *, wallet: Wallet, amount_cents: int, now: dt.datetime
) -> tuple[dt.date, int]:
    """Test a lock against the payer's limits, under the wallet's lock; gives the day and its locks with it.

    Days are UTC days. All locks of the day count, whatever became of them. Raises WalletPolicyBlocked.
    """
    day, locked_cents = _today(wallet, now)
    total_cents = min(locked_cents + amount_cents, MOST_TOTAL)
    for key, code, value in (
        ("maxPerTransactionCents", "WALLET_POLICY_MAX_PER_TX", amount_cents),
        ("requireApprovalAboveCents", "WALLET_POLICY_APPROVAL_REQUIRED", amount_cents),
        ("maxDailyCents", "WALLET_POLICY_MAX_DAILY", total_cents),
    ):
        limit = policy.get(key) if policy else None
        if limit is not None and value > limit:
            raise WalletPolicyBlocked(
                code=code, details={"code": code, "limitCents": limit, "amountCents": amount_cents}
            )
    return day, total_cents


def _today(wallet: Wallet, now: dt.datetime) -> tuple[dt.date, int]:
    """Give the day that a lock counts to; one that came late past midnight counts to the day begun."""
    today = now.astimezone(dt.UTC).date()
    if wallet.locked_on is None or wallet.locked_on < today:
        return today, 0
    return wallet.locked_on, wallet.locked_today_cents


def _invalid(problem: str) -> Invalid:
    return Invalid("invalid agent identity", details={"message": problem})
