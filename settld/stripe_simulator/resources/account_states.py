"""What an account's onboarding looks like, and how it moves."""

import copy
from collections import deque
from typing import Any

from settld.stripe_simulator.forms import flatten
from settld.stripe_simulator.wire import Json

NOTHING_DUE: Json = {
    "current_deadline": None,
    "errors": [],
    "currently_due": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
    "disabled_reason": None,
}
ACTIVE = {"card_payments": "active", "transfers": "active"}
INACTIVE = {"card_payments": "inactive", "transfers": "inactive"}

# What Stripe comes back for after a while, and the time that it gives.
ASKED_AGAIN = ["business_profile.url", "individual.verification.document"]
DEADLINE_SECONDS = 14 * 86_400
COMPLAINTS = [
    {
        "code": "verification_document_expired",
        "reason": "The document has expired. Please provide a valid, unexpired document.",
        "requirement": "individual.verification.document",
    }
]

# Named states that the control door can put an account in. `new` is what the API creates.
PRESETS: dict[str, Json] = {
    "new": {},
    "due": {
        "charges_enabled": True,
        "payouts_enabled": True,
        "details_submitted": True,
        "capabilities": ACTIVE,
        "requirements": {
            **NOTHING_DUE,
            "currently_due": ASKED_AGAIN,
            "eventually_due": ASKED_AGAIN,
            "errors": COMPLAINTS,
        },
    },
    "past_due": {
        "charges_enabled": False,
        "payouts_enabled": False,
        "details_submitted": True,
        "capabilities": INACTIVE,
        "requirements": {
            **NOTHING_DUE,
            "currently_due": ASKED_AGAIN,
            "eventually_due": ASKED_AGAIN,
            "past_due": ASKED_AGAIN,
            "errors": COMPLAINTS,
            "disabled_reason": "requirements.past_due",
        },
    },
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

# Where an account may go from a state, the usual way first.
WAYS: dict[str, tuple[str, ...]] = {
    "new": ("pending", "rejected"),
    "restricted": ("pending", "rejected"),
    "pending": ("verified", "due", "rejected"),
    "verified": ("due", "rejected"),
    "due": ("past_due", "pending", "rejected"),
    "past_due": ("pending", "rejected"),
    "rejected": ("pending",),
}


def stage(account: Json) -> str:
    """Which of the states an account is in, or is nearest to."""
    asked = account["requirements"]
    if str(asked["disabled_reason"] or "").startswith("rejected"):
        return "rejected"
    if not account["details_submitted"]:
        return "new" if asked["currently_due"] else "restricted"
    if asked["disabled_reason"]:
        return "past_due"
    if asked["pending_verification"]:
        return "pending"
    return "due" if asked["currently_due"] else "verified"


def next_stage(current: str, *, toward: str | None) -> str:
    """One step of onboarding: the usual one, or the first of the shortest way to a state."""
    if toward is None:
        return WAYS[current][0]
    if toward == current:
        return current
    ways = deque([(first, first) for first in WAYS[current]])
    met = {current}
    while ways:
        first, here = ways.popleft()
        if here == toward:
            return first
        if here not in met:
            met.add(here)
            ways += [(first, further) for further in WAYS[here]]
    raise ValueError(f"no way leads from {current} to {toward}")


def put(account: Json, preset: str, *, now: int) -> None:
    """Put an account in a state; what is due there has a deadline while it is not past."""
    merge(account, copy.deepcopy(PRESETS[preset]))
    if preset == "due":
        account["requirements"]["current_deadline"] = now + DEADLINE_SECONDS


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
