"""What Stripe says of a connected account, put into our words (spec 2.5)."""

from dataclasses import dataclass, field
from typing import Any, Final

from settld.stripe_gateway import answers, client

MOST_ITEMS: Final = 500
MOST_LETTERS: Final = 300
MOST_COMPLAINTS: Final = 50
DEAUTHORIZED: Final = "application_deauthorized"


@dataclass(frozen=True)
class Snapshot:
    """An account at one moment; `facts` is for people, no rule reads it."""

    account_id: str
    payouts_enabled: bool
    transfers_enabled: bool
    kyb_status: str
    currently_due: list[str] = field(default_factory=list)
    pending_verification: list[str] = field(default_factory=list)
    disabled_reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def retrieve(account_id: str) -> Snapshot:
    """Read an account as it is now; raises ProviderFailure."""
    return snapshot(client.retrieve_account(account_id))


def deauthorized(account_id: str) -> Snapshot:
    """Describe an account that took its permission back: Stripe shows us nothing of it any more."""
    return Snapshot(
        account_id, payouts_enabled=False, transfers_enabled=False, kyb_status="rejected",
        disabled_reason=DEAUTHORIZED,
    )  # fmt: skip


def snapshot(account: answers.Account) -> Snapshot:
    """Judge an account by the first rule that matches."""
    due, pending = _texts(account.currently_due), _texts(account.pending_verification)
    reason = _text(account.disabled_reason or "")
    return Snapshot(
        account_id=account.id,
        payouts_enabled=account.payouts_enabled,
        transfers_enabled=account.transfers_enabled,
        kyb_status=_kyb_status(account, is_rejected=bool(reason), is_asked=bool(due or pending)),
        currently_due=due,
        pending_verification=pending,
        disabled_reason=reason,
        facts=_facts(account.raw, details_submitted=account.details_submitted),
    )


def _kyb_status(account: answers.Account, *, is_rejected: bool, is_asked: bool) -> str:
    if is_rejected:
        return "rejected"
    is_open = account.payouts_enabled and account.transfers_enabled
    if is_open and account.details_submitted and not is_asked:
        return "verified"
    if is_asked:
        return "pending"
    return "pending" if account.details_submitted else "restricted"


def _facts(raw: dict[str, Any], *, details_submitted: bool) -> dict[str, Any]:
    requirements = raw.get("requirements")
    asked = requirements if isinstance(requirements, dict) else {}
    capabilities = raw.get("capabilities")
    deadline, complaints = asked.get("current_deadline"), asked.get("errors")
    return {
        "detailsSubmitted": details_submitted,
        "capabilities": {
            _text(name): _text(state)
            for name, state in (capabilities.items() if isinstance(capabilities, dict) else ())
            if isinstance(name, str) and isinstance(state, str)
        },
        "eventuallyDue": _texts(asked.get("eventually_due")),
        "pastDue": _texts(asked.get("past_due")),
        "complaints": [
            {"requirement": _text(one["requirement"]), "reason": _text(one["reason"])}
            for one in (complaints if isinstance(complaints, list) else [])[:MOST_COMPLAINTS]
            if isinstance(one, dict)
            and isinstance(one.get("requirement"), str)
            and isinstance(one.get("reason"), str)
        ],
        "currentDeadline": deadline if isinstance(deadline, int) and 0 < deadline < 253_402_300_800 else None,
    }


def _texts(values: Any) -> list[str]:
    """Sort a list of requirements by code point, each once; a list beyond all reason is cut."""
    if not isinstance(values, list | tuple):
        return []
    return sorted({_text(value) for value in values if isinstance(value, str) and value})[:MOST_ITEMS]


def _text(value: str) -> str:
    """Take out what PostgreSQL cannot store, and cut what nobody would read."""
    return "".join(letter for letter in value if letter >= " " and not "\ud800" <= letter <= "\udfff")[
        :MOST_LETTERS
    ]
