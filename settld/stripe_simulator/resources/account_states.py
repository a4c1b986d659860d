"""What an account's onboarding looks like, and how it moves."""

from typing import Any

from settld.stripe_simulator.forms import flatten
from settld.stripe_simulator.wire import Json

NOTHING_DUE: Json = {
    "currently_due": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
    "disabled_reason": None,
}
ACTIVE = {"card_payments": "active", "transfers": "active"}
INACTIVE = {"card_payments": "inactive", "transfers": "inactive"}

# Named states that the control door can put an account in. `new` is what the API creates.
PRESETS: dict[str, Json] = {
    "new": {},
    "verified": {
        "charges_enabled": True,
        "payouts_enabled": True,
        "details_submitted": True,
        "capabilities": ACTIVE,
        "requirements": NOTHING_DUE,
    },
    "pending": {
        "charges_enabled": False,
        "payouts_enabled": False,
        "details_submitted": True,
        "capabilities": {"card_payments": "pending", "transfers": "pending"},
        "requirements": {**NOTHING_DUE, "pending_verification": ["individual.verification.document"]},
    },
    "restricted": {
        "charges_enabled": False,
        "payouts_enabled": False,
        "details_submitted": False,
        "capabilities": INACTIVE,
        "requirements": NOTHING_DUE,
    },
    "rejected": {
        "charges_enabled": False,
        "payouts_enabled": False,
        "details_submitted": True,
        "capabilities": INACTIVE,
        "requirements": {**NOTHING_DUE, "disabled_reason": "rejected.other"},
    },
}


def merge(target: Json, changes: Json) -> None:
    """Set nested values, keeping the rest; lists and plain values are replaced."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            merge(target[name], value)
        else:
            target[name] = value


def submit(account: Json, form: Json) -> None:
    """Strike what the form provides off the list of what is due; with nothing left the account goes live."""
    given = {name.replace("[", ".").replace("]", "") for name in flatten(form)}
    requirements = account["requirements"]
    for listed in ("currently_due", "eventually_due", "past_due"):
        requirements[listed] = [item for item in requirements[listed] if not _covered(item, given)]
    if not requirements["currently_due"] and requirements["disabled_reason"] == "requirements.past_due":
        requirements["disabled_reason"] = None
        account["details_submitted"] = account["payouts_enabled"] = True
        account["charges_enabled"] = "card_payments" in account["capabilities"]
        account["capabilities"] = dict.fromkeys(account["capabilities"], "active")


def _covered(item: str, given: set[str]) -> bool:
    return any(name == item or name.startswith(f"{item}.") for name in given)


def request_capabilities(account: Json, wanted: Json) -> None:
    """`capabilities[transfers][requested]=true`: active at once when nothing is due, else inactive."""
    live = bool(account["details_submitted"]) and not account["requirements"]["currently_due"]
    for name, request in wanted.items():
        requested: Any = request.get("requested") if isinstance(request, dict) else None
        if requested == "true":
            account["capabilities"].setdefault(name, "active" if live else "inactive")
        elif requested == "false":
            account["capabilities"].pop(name, None)
