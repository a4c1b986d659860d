"""Rules and their values as people read them: what a field is called, and how its value is written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from ops_console import words
from ops_console.errors import plain
from settld.core import clock, money

CURRENCY: Final = "USD"
LABELS: Final[dict[str, str]] = {
    "realMoneyEnabled": "Real money",
    "payoutKillSwitch": "Stop of payouts",
    "payoutKillSwitchReason": "Reason of the stop",
    "payoutKillSwitchExpiresAt": "Stop meant until",
    "maxPayoutAmountCents": "Cap of one payout",
    "dailyPayoutLimitCents": "Daily cap",
    "allowedProviderIds": "Allowed providers",
    "dailyMismatchAlertThreshold": "Mismatch alert from",
    "fourEyes": "Four eyes",
    "chargebacks.enabled": "Chargeback policy",
    "chargebacks.negativeBalanceMode": "When a party owes",
    "chargebacks.maxOutstandingCents": "Refuse payouts above a debt of",
    "connect.enabled": "Stripe Connect",
    "connect.defaultAccountId": "Default Connect account",
    "connect.accounts": "Connect accounts",
    "plan": "Plan",
    "planOverrides": "Plan overrides",
    "hardLimitEnforced": "Hard limit",
}
DERIVED: Final = frozenset(
    {
        "schemaVersion", "updatedAt", "fourEyesInForce", "payoutKillSwitchSetBy", "payoutKillSwitchSetAt",
        "chargebacks.schemaVersion", "chargebacks.updatedAt", "connect.schemaVersion", "connect.updatedAt",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One rule, before and after."""

    label: str
    before: str
    after: str
    field: str = ""
    why: str = ""


def label(field: str) -> str:
    """Name a rule."""
    return LABELS.get(field) or words.label(field.replace(".", " "))


def value(field: str, given: Any) -> str:
    """Write a rule's value."""
    shape = _SHAPES.get(field)
    return shape(given) if shape else ("none" if given in (None, "", [], {}) else plain(given))


def lines(before: Any, after: Any) -> list[Line]:
    """List the rules that differ between two documents, in the order of the wire."""
    was, becomes = _flat(before), _flat(after)
    fields = list(dict.fromkeys([*becomes, *was]))
    return [
        Line(label(field), value(field, was.get(field)), value(field, becomes.get(field)), field)
        for field in fields
        if field not in DERIVED and was.get(field) != becomes.get(field) and not _same(field, was, becomes)
    ]


def _same(field: str, was: dict[str, Any], becomes: dict[str, Any]) -> bool:
    return value(field, was.get(field)) == value(field, becomes.get(field))


def _flat(document: Any) -> dict[str, Any]:
    """Bring policy and Connect, and the controls of a plan's document, to one level."""
    flat: dict[str, Any] = {}
    for key, member in (document if isinstance(document, dict) else {}).items():
        if key == "controls":
            flat |= _flat(member)
        elif key in ("chargebacks", "connect"):
            flat |= {f"{key}.{name}": inner for name, inner in (member or {}).items()}
        else:
            flat[key] = member
    return flat


def _limit(none: str) -> Callable[[Any], str]:
    return lambda given: money.show(given, CURRENCY) if isinstance(given, int) and given else none


def _switch(on: str, off: str) -> Callable[[Any], str]:
    return lambda given: on if given else off


def _providers(given: Any) -> str:
    return ", ".join(str(name) for name in given) if given else "any"


def _four_eyes(given: Any) -> str:
    return "as the deployment says" if given is None else "on" if given else "off"


def _instant(given: Any) -> str:
    if not isinstance(given, str) or not given:
        return "no end named"
    return f"{words.moment(clock.parse_iso(given))} UTC"


def _accounts(given: Any) -> str:
    return ", ".join(str(row.get("accountId")) for row in given if isinstance(row, dict)) if given else "none"


_SHAPES: Final[dict[str, Callable[[Any], str]]] = {
    "realMoneyEnabled": _switch("on", "off"),
    "payoutKillSwitch": _switch("stopped", "payouts may go"),
    "payoutKillSwitchExpiresAt": _instant,
    "maxPayoutAmountCents": _limit("no cap"),
    "dailyPayoutLimitCents": _limit("no cap"),
    "allowedProviderIds": _providers,
    "dailyMismatchAlertThreshold": lambda given: (
        str(given) if given else f"{settings.MISMATCH_ALERT_THRESHOLD} (default)"
    ),
    "fourEyes": _four_eyes,
    "chargebacks.enabled": _switch("on", "off"),
    "chargebacks.negativeBalanceMode": lambda given: "pay the rest" if given == "net" else "hold the payout",
    "chargebacks.maxOutstandingCents": _limit("no threshold"),
    "connect.enabled": _switch("required", "not required"),
    "connect.accounts": _accounts,
    "hardLimitEnforced": _switch("enforced", "not enforced"),
}
