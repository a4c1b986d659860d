"""The gates of a payout as data: each looks at one case and lets it pass or says why not (spec 2.1).

Gates 8, 9 and 10 are asked again at submit, so a stop reaches what was enqueued before it.
"""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from moneyrails.models import ConnectAccount, MoneyRailControls
from moneyrails.rails.providers import Provider
from settld.core import clock, money
from settld.core.errors import Conflict, Refusal


class RealMoneyDisabled(Conflict):
    """Gate 8: the tenant has not switched real money on."""

    code = "REAL_MONEY_DISABLED"
    message = "real money payouts are disabled for this tenant"


class KillSwitchActive(Conflict):
    """Gate 9: the tenant stopped all payouts, in any mode."""

    code = "PAYOUT_KILL_SWITCH_ACTIVE"
    message = "payout kill switch is active"


class ProviderNotAllowed(Conflict):
    """Gate 10: the tenant allows other providers only."""

    code = "MONEY_RAIL_PROVIDER_NOT_ALLOWED"
    message = "money rail provider is not allowed for this tenant"


class HoldbackActive(Conflict):
    """Gate 11: the statement's holdback or challenge window is not over."""

    code = "PAYOUT_HOLDBACK_ACTIVE"
    message = "payout holdback is active"


class OutstandingLimitExceeded(Conflict):
    """Gate 12: the party's debt is above the policy's threshold."""

    code = "CHARGEBACK_OUTSTANDING_LIMIT_EXCEEDED"
    message = "chargeback outstanding limit exceeded"


class NegativeBalanceHold(Conflict):
    """Gate 12: the party owes, and the policy holds its payouts."""

    code = "NEGATIVE_BALANCE_PAYOUT_HOLD"
    message = "payout is held because of a negative balance"


class AmountLimitExceeded(Conflict):
    """Gate 13: the net amount is above the cap for one payout."""

    code = "PAYOUT_AMOUNT_LIMIT_EXCEEDED"
    message = "payout amount limit exceeded"


class DailyLimitExceeded(Conflict):
    """Gate 14: today's exposure with this payout is above the day's limit."""

    code = "PAYOUT_DAILY_LIMIT_EXCEEDED"
    message = "daily payout limit exceeded"


class ConnectAccountRequired(Conflict):
    """Gate 15: no eligible Connect account for the party."""

    code = "STRIPE_CONNECT_ACCOUNT_REQUIRED"
    message = "an eligible stripe connect account is required"


class ConnectCounterpartyMismatch(Conflict):
    """Gate 16: the caller named another destination than the party's account."""

    code = "STRIPE_CONNECT_COUNTERPARTY_MISMATCH"
    message = "counterpartyRef does not match the stripe connect account"


@dataclass(frozen=True)
class Case:
    """Everything the gates look at, read under the controls' lock."""

    provider: Provider
    controls: MoneyRailControls
    now: dt.datetime
    party_id: str = ""
    gross_cents: int = 0
    net_cents: int = 0
    outstanding_cents: int = 0
    exposure_cents: int = 0
    payable_after: dt.datetime | None = None
    sent_counterparty_ref: str = ""
    account: ConnectAccount | None = None

    @property
    def needs_account(self) -> bool:
        """Tell whether the payout must go to a Connect account of ours."""
        return self.provider.is_production and self.provider.is_stripe and self.controls.connect_enabled

    @property
    def day_key(self) -> str:
        """Name the day that the payout counts towards."""
        return clock.day_key(self.now)


Verdict = dict[str, Any]


@dataclass(frozen=True)
class Gate:
    """One numbered check; `look` gives None to pass, `facts` what to show beside the verdict."""

    number: int
    name: str
    look: Callable[[Case], Refusal | None]
    facts: Callable[[Case], dict[str, Any]] = lambda _case: {}


def real_money(case: Case) -> Refusal | None:
    """Gate 8."""
    if case.provider.is_production and not case.controls.real_money_enabled:
        return RealMoneyDisabled(details={"providerId": case.provider.provider_id})
    return None


def kill_switch(case: Case) -> Refusal | None:
    """Gate 9; a stop that has outlived its expiry still stops, until somebody lifts it."""
    if case.controls.payout_kill_switch:
        return KillSwitchActive(
            details={"providerId": case.provider.provider_id} | stop_facts(case.controls, now=case.now)
        )
    return None


def stop_facts(controls: MoneyRailControls, *, now: dt.datetime) -> dict[str, Any]:
    """Tell what is known of the stop in force; what nobody said is left out."""
    facts: dict[str, Any] = {}
    if controls.kill_switch_reason:
        facts["reason"] = controls.kill_switch_reason
    if controls.kill_switch_expires_at is not None:
        facts["expiresAt"] = clock.iso(controls.kill_switch_expires_at)
        facts["isExpired"] = controls.is_stop_overdue(now)
    return facts


def provider_allowed(case: Case) -> Refusal | None:
    """Gate 10."""
    allowed = case.controls.allowed_provider_ids
    if allowed and case.provider.provider_id not in allowed:
        return ProviderNotAllowed(
            details={"providerId": case.provider.provider_id, "allowedProviderIds": allowed}
        )
    return None


def holdback_over(case: Case) -> Refusal | None:
    """Gate 11."""
    if case.payable_after is not None and case.now < case.payable_after:
        return HoldbackActive(details={"payableAfter": clock.iso(case.payable_after)})
    return None


def debt(case: Case) -> Refusal | None:
    """Gate 12; netting and the full offset are the verb's to do."""
    controls, owed = case.controls, case.outstanding_cents
    if not controls.chargeback_enabled:
        return None
    names = {"providerId": case.provider.provider_id, "partyId": case.party_id}
    if controls.max_outstanding_cents and owed > controls.max_outstanding_cents:
        return OutstandingLimitExceeded(
            details=names
            | {
                "outstandingBeforeCents": money.exact(owed),
                "maxOutstandingCents": controls.max_outstanding_cents,
            }
        )
    if owed and controls.negative_balance_mode == "hold":
        return NegativeBalanceHold(
            details=names
            | {"outstandingBeforeCents": money.exact(owed), "payoutAmountCentsGross": case.gross_cents}
        )
    return None


def amount_cap(case: Case) -> Refusal | None:
    """Gate 13; null and 0 are no cap, the cap itself passes."""
    cap = case.controls.max_payout_amount_cents
    if cap and case.net_cents > cap:
        return AmountLimitExceeded(
            details={
                "providerId": case.provider.provider_id,
                "payoutAmountCents": case.net_cents,
                "maxPayoutAmountCents": cap,
            }
        )
    return None


def daily_limit(case: Case) -> Refusal | None:
    """Gate 14 as seen now; the guarded counter decides it for good as the payout is written."""
    limit = case.controls.daily_payout_limit_cents
    projected = case.exposure_cents + case.net_cents
    if limit and projected > limit:
        return DailyLimitExceeded(
            details={
                "providerId": case.provider.provider_id,
                "dayKey": case.day_key,
                "currentExposureCents": money.exact(case.exposure_cents),
                "payoutAmountCents": case.net_cents,
                "projectedExposureCents": money.exact(projected),
                "dailyPayoutLimitCents": limit,
            }
        )
    return None


def connect_account(case: Case) -> Refusal | None:
    """Gate 15."""
    if case.needs_account and case.account is None:
        return ConnectAccountRequired(
            details={"providerId": case.provider.provider_id, "partyId": case.party_id}
        )
    return None


def connect_counterparty(case: Case) -> Refusal | None:
    """Gate 16."""
    if case.account is None or case.sent_counterparty_ref in ("", case.account.counterparty_ref):
        return None
    return ConnectCounterpartyMismatch(
        details={
            "providerId": case.provider.provider_id,
            "partyId": case.party_id,
            "expectedCounterpartyRef": case.account.counterparty_ref,
            "receivedCounterpartyRef": case.sent_counterparty_ref,
        }
    )


STOPS = (
    Gate(8, "real_money", real_money, lambda case: {"mode": case.provider.mode}),
    Gate(9, "kill_switch", kill_switch),
    Gate(10, "provider_allowed", provider_allowed),
)
BEFORE_DEBT = (
    *STOPS,
    Gate(11, "holdback_over", holdback_over, lambda case: {"payableAfter": clock.iso(case.payable_after)}),
)
DEBT = (
    Gate(
        12,
        "chargeback_policy",
        debt,
        lambda case: {
            "enabled": case.controls.chargeback_enabled,
            "outstandingCents": money.exact(case.outstanding_cents),
        },
    ),
)
LIMITS = (
    Gate(13, "amount_cap", amount_cap, lambda case: {"capCents": case.controls.max_payout_amount_cents}),
    Gate(
        14,
        "daily_limit",
        daily_limit,
        lambda case: {
            "limitCents": case.controls.daily_payout_limit_cents,
            "projectedCents": money.exact(case.exposure_cents + case.net_cents),
        },
    ),
)
DESTINATION = (
    Gate(15, "connect_account", connect_account, lambda case: {"needed": case.needs_account}),
    Gate(16, "connect_counterparty", connect_counterparty),
)


def passed(number: int, name: str, **facts: Any) -> Verdict:
    """Write down that a gate let the payout pass."""
    return {"gate": number, "name": name, "verdict": "passed"} | facts


def require(case: Case, gates: Iterable[Gate]) -> list[Verdict]:
    """Ask gates in order and give their verdicts; the first that fails raises its refusal."""
    verdicts = []
    for gate in gates:
        refusal = gate.look(case)
        if refusal is not None:
            raise refusal
        verdicts.append(passed(gate.number, gate.name, **gate.facts(case)))
    return verdicts


def ask(case: Case, gates: Iterable[Gate]) -> list[Verdict]:
    """Ask every gate, the ones after a refusal too, and give all verdicts; nothing is written."""
    verdicts = []
    for gate in gates:
        refusal = gate.look(case)
        verdict = passed(gate.number, gate.name, **gate.facts(case))
        if refusal is not None:
            verdict |= {"verdict": "refused", "code": refusal.code, "details": refusal.details}
        verdicts.append(verdict)
    return verdicts
