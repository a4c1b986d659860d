"""The form of the rules: from the controls to inputs, and from inputs to what the plan route takes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from django.conf import settings

from moneyrails.models import MoneyRailControls
from settld.core.money import MAX_MINOR

AMOUNT: Final = re.compile(r"(\d{1,3}(,\d{3})+|\d{1,15})(\.\d{1,2})?", re.ASCII)
REASON_MOST: Final = 1000
SWITCH: Final = (("off", "Off"), ("on", "On"))


class Posted(Protocol):
    """A form as it was sent: all values of a name."""

    def getlist(self, key: str) -> list[Any]: ...


@dataclass(frozen=True)
class Choice:
    """One choice of a select, or one box."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class Input:
    """One input as it is shown, with what is at fault beside it."""

    name: str
    label: str
    kind: str
    value: str = ""
    hint: str = ""
    error: str = ""
    choices: tuple[Choice, ...] = ()
    most: int = 30

    @property
    def chosen(self) -> list[str]:
        """Give the values of the boxes that are ticked."""
        return [choice.value for choice in self.choices if choice.is_chosen]


@dataclass(frozen=True)
class RulesForm:
    """All inputs; `payload` only means something when nothing is at fault."""

    inputs: tuple[Input, ...]
    payload: dict[str, Any]

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing is at fault."""
        return not any(entry.error for entry in self.inputs)

    def value(self, name: str) -> str:
        """Give what one input holds."""
        return next(entry.value for entry in self.inputs if entry.name == name)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Give what has to be sent again to mean the same."""
        pairs: list[tuple[str, str]] = []
        for entry in self.inputs:
            values = entry.chosen if entry.kind == "boxes" else [entry.value]
            pairs += [(entry.name, value) for value in values]
        return pairs


def shown(row: MoneyRailControls) -> RulesForm:
    """Fill the form with the rules in force."""
    return RulesForm(
        tuple(
            _input(name, values[0] if values else "", values)
            for name, values in _values(row).items()
        ),
        {},
    )  # fmt: skip


def filled(row: MoneyRailControls, posted: Posted) -> RulesForm:
    """Read the form, with what is at fault said beside each input."""
    inputs = tuple(_read(name, posted) for name in _values(row))
    by_name = {entry.name: entry for entry in inputs}
    form = RulesForm(inputs, {})
    return replace(form, payload=_payload(row, by_name)) if form.is_complete else form


def _values(row: MoneyRailControls) -> dict[str, list[str]]:
    return {
        "real_money": [_switch(row.real_money_enabled)],
        "max_payout": [amount_text(row.max_payout_amount_cents)],
        "daily_limit": [amount_text(row.daily_payout_limit_cents)],
        "providers": list(row.allowed_provider_ids or []),
        "chargebacks": [_switch(row.chargeback_enabled)],
        "balance_mode": [str(row.negative_balance_mode)],
        "max_outstanding": [amount_text(row.max_outstanding_cents)],
        "connect": [_switch(row.connect_enabled)],
        "alert_threshold": [str(row.daily_mismatch_alert_threshold or "")],
        "four_eyes": ["default" if row.four_eyes is None else _switch(row.four_eyes)],
        "reason": [""],
    }


def _switch(is_on: bool) -> str:
    return "on" if is_on else "off"


def amount_text(cents: int | None) -> str:
    """Write an amount as the form takes it; no cap is an empty field."""
    return f"{cents // 100:,}.{cents % 100:02d}" if cents else ""


# --- One input ------------------------------------------------------------------------------------
LABELS: Final[dict[str, tuple[str, str, str]]] = {
    "real_money": ("Real money", "select", "Whether providers in production mode may be paid through."),
    "max_payout": ("Cap of one payout, USD", "text", "Of the net amount. Empty: no cap."),
    "daily_limit": ("Daily cap, USD", "text", "Per mode and UTC day, all providers. Empty: no cap."),
    "providers": ("Allowed providers", "boxes", "None ticked: any."),
    "chargebacks": ("Chargeback policy", "select", "Whether a party's debt holds its payouts back."),
    "balance_mode": ("When a party owes", "select", "Hold its payouts, or pay what is left after the debt."),
    "max_outstanding": (
        "Refuse payouts above a debt of, USD", "text", "In either mode. Empty: no threshold.",
    ),
    "connect": (
        "Stripe Connect", "select", "Whether production Stripe payouts need an account of the party.",
    ),
    "alert_threshold": (
        "Mismatch alert from", "text", "New mismatches in a UTC day. Empty: the deployment's default.",
    ),
    "four_eyes": ("Four eyes", "select", "Whether loosening a rule needs a second person."),
    "reason": ("Reason", "text", "Kept in the audit, and told to the second person where one is needed."),
}  # fmt: skip
OPTIONS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "real_money": SWITCH,
    "chargebacks": SWITCH,
    "connect": (("off", "Not required"), ("on", "Required")),
    "balance_mode": (("hold", "Hold the payout"), ("net", "Pay the rest")),
    "four_eyes": (("default", "As the deployment says"), ("on", "On"), ("off", "Off")),
}


def _input(name: str, value: str, values: Sequence[str], error: str = "") -> Input:
    label, kind, hint = LABELS[name]
    if kind == "boxes":
        known = list(settings.MONEY_RAILS.providers)
        known += [other for other in values if other not in known]
        choices = tuple(Choice(entry, entry, entry in values) for entry in known)
        return Input(name, label, kind, hint=hint, error=error, choices=choices)
    choices = tuple(Choice(key, text, key == value) for key, text in OPTIONS.get(name, ()))
    most = REASON_MOST if name == "reason" else 30
    return Input(name, label, kind, value, hint, error, choices, most)


def _read(name: str, posted: Posted) -> Input:
    values = [str(entry).replace("\x00", "").strip()[: REASON_MOST + 1] for entry in posted.getlist(name)]
    value = values[0] if values else ""
    return _input(name, value, values, error=_fault(name, value, values))


def _fault(name: str, value: str, values: Sequence[str]) -> str:
    if name in ("max_payout", "daily_limit", "max_outstanding"):
        return "" if not value or cents_of(value) is not None else "Write an amount as 1,234.56."
    if name == "alert_threshold" and value:
        is_number = value.isascii() and value.isdigit() and len(value) <= 9 and int(value) >= 1
        return "" if is_number else "Write a whole number from 1."
    if name == "providers":
        known = settings.MONEY_RAILS.providers
        unknown = [entry for entry in values if entry not in known]
        return f"{unknown[0]} is not configured." if unknown else ""
    if name in OPTIONS:
        return "" if value in dict(OPTIONS[name]) else "Choose one of the list."
    if name == "reason":
        if not value:
            return "Reason is needed."
        return f"At most {REASON_MOST} characters." if len(value) > REASON_MOST else ""
    return ""


def cents_of(text: str) -> int | None:
    """Read an amount in dollars; None when it is none."""
    if not AMOUNT.fullmatch(text):
        return None
    whole, _, part = text.replace(",", "").partition(".")
    cents = int(whole) * 100 + int(part.ljust(2, "0") or 0)
    return cents if cents <= MAX_MINOR else None


# --- What is sent ---------------------------------------------------------------------------------
def _payload(row: MoneyRailControls, by_name: Mapping[str, Input]) -> dict[str, Any]:
    """Spell the rules as the plan route takes them; the stop is kept as it is."""
    value = {name: entry.value for name, entry in by_name.items()}
    payload: dict[str, Any] = {
        "realMoneyEnabled": value["real_money"] == "on",
        "payoutKillSwitch": row.payout_kill_switch,
        "maxPayoutAmountCents": cents_of(value["max_payout"]),
        "dailyPayoutLimitCents": cents_of(value["daily_limit"]),
        "allowedProviderIds": by_name["providers"].chosen or None,
        "dailyMismatchAlertThreshold": int(value["alert_threshold"]) if value["alert_threshold"] else None,
        "fourEyes": {"on": True, "off": False}.get(value["four_eyes"]),
        "chargebacks": {
            "enabled": value["chargebacks"] == "on",
            "negativeBalanceMode": value["balance_mode"],
            "maxOutstandingCents": cents_of(value["max_outstanding"]),
        },
    }
    if (value["connect"] == "on") != row.connect_enabled:
        payload["connect"] = {"enabled": value["connect"] == "on"}
    return payload
