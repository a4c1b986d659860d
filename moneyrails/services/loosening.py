"""Which changes of the controls let more money out than before, and so need a second person.

Loosening is: a higher cap or none, real money on, a stop lifted, a provider more, a chargeback policy that
holds back less, Connect accounts no longer required, four eyes off. Everything else tightens or is no
rule of money (the plan, the alert threshold, which accounts there are), and one person may do it.
"""

from dataclasses import dataclass
from typing import Any

from moneyrails.models import MoneyRailControls
from moneyrails.services.controls_payload import ConnectPart, Part, Payload


@dataclass(frozen=True)
class Loosening:
    """One rule that would hold back less, by its wire name, with both values as the wire shows them."""

    field: str
    before: Any
    after: Any
    why: str

    def as_json(self) -> dict[str, Any]:
        """Shape it for the wire."""
        return {"field": self.field, "before": self.before, "after": self.after, "why": self.why}


def of(controls: MoneyRailControls, wanted: Payload, *, default_four_eyes: bool) -> list[Loosening]:
    """List what a payload would loosen, in the wire's order; an empty list is for one person."""
    found = [
        _switch("realMoneyEnabled", controls.real_money_enabled, wanted.real_money_enabled, loose=True,
                why="real money is switched on"),
        _switch("payoutKillSwitch", controls.payout_kill_switch, wanted.payout_kill_switch, loose=False,
                why="the stop is lifted"),
        _limit("maxPayoutAmountCents", controls.max_payout_amount_cents, wanted.max_payout_amount_cents,
               what="the cap of one payout"),
        _limit("dailyPayoutLimitCents", controls.daily_payout_limit_cents, wanted.daily_payout_limit_cents,
               what="the daily cap"),
        _providers(controls.allowed_provider_ids, wanted.allowed_provider_ids),
        _connect(controls, wanted),
        *_policy(controls, wanted),
        _four_eyes(controls, wanted, default=default_four_eyes),
    ]  # fmt: skip
    return [entry for entry in found if entry is not None]


def _switch(field: str, before: bool, after: bool, *, loose: bool, why: str) -> Loosening | None:
    return Loosening(field, before, after, why) if before != after and after is loose else None


def _limit(field: str, before: int | None, after: int | None, *, what: str) -> Loosening | None:
    """Null and 0 are no limit."""
    if not before or (after and after <= before):
        return None
    return Loosening(field, before, after, f"{what} is {'raised' if after else 'removed'}")


def _providers(before: list[str] | None, after: list[str] | None) -> Loosening | None:
    """Null and an empty list are any provider."""
    if not before or (after and set(after) <= set(before)):
        return None
    return Loosening("allowedProviderIds", before, after, "more providers are allowed")


def _connect(controls: MoneyRailControls, wanted: Payload) -> Loosening | None:
    """Without Connect a production payout may name any account as its destination."""
    connect = wanted.connect
    if not controls.connect_enabled or (isinstance(connect, Part) and not wanted.is_reset):
        return None
    enabled = isinstance(connect, ConnectPart) and connect.enabled
    if enabled:
        return None
    return Loosening("connect.enabled", True, False, "payouts no longer need a Connect account of ours")


def _policy(controls: MoneyRailControls, wanted: Payload) -> list[Loosening | None]:
    if not controls.chargeback_enabled:
        return []
    policy = wanted.chargebacks
    if policy is None or not policy.enabled:
        return [Loosening("chargebacks.enabled", True, False, "debts no longer hold payouts back")]
    mode = None
    if controls.negative_balance_mode == "hold" and policy.negative_balance_mode == "net":
        mode = Loosening(
            "chargebacks.negativeBalanceMode", "hold", "net", "a party that owes is paid the rest, not held"
        )
    return [
        mode,
        _limit(
            "chargebacks.maxOutstandingCents", controls.max_outstanding_cents, policy.max_outstanding_cents,
            what="the debt from which payouts are refused",
        ),
    ]  # fmt: skip


def _four_eyes(controls: MoneyRailControls, wanted: Payload, *, default: bool) -> Loosening | None:
    asked = None if wanted.is_reset else wanted.four_eyes
    after = controls.four_eyes if isinstance(asked, Part) else asked
    in_force = default if after is None else after
    if not controls.has_four_eyes or in_force:
        return None
    return Loosening("fourEyes", controls.four_eyes, after, "changes no longer need a second person")
