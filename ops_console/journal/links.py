"""Where the identifiers of the journal lead."""

import re
from typing import Final
from urllib.parse import quote, urlencode

from django.urls import reverse

from ops_console import words

_JOB: Final = re.compile(r"^job:(\S+) ")
_PAYOUT: Final = re.compile(r"^(?:jnl_)?payout_(?:return_|recovery_return_|recovery_)?(mop_.+)$")
_RELEASED: Final = re.compile(r"^(?:jnl_)?escrow_(?:release|forfeit)_(sadj_.+)$")
_WALLET: Final = re.compile(r"^wallet:.+:wallet_([^:]+(?::[^:]+)*):(?:available|escrow_locked)$")
TWIN: Final = "jnl_"


def entry_href(entry_id: str) -> str:
    """Name the page of an entry."""
    return f"/console/journal/entries/{quote(entry_id, safe=':')}"


def account_href(account_id: str) -> str:
    """Name the page of an account."""
    return f"/console/journal/accounts/{quote(account_id, safe=':')}"


def run_href(run_id: str) -> str:
    """Name the page of a run."""
    return reverse("console:run", args=[run_id])


def agent_href(agent_id: str) -> str:
    """Name the page of an agent."""
    return reverse("console:agent", args=[agent_id])


def run_of(memo: str) -> str:
    """Give the run that a general entry's memo speaks of; blank when it speaks of none."""
    match = _JOB.match(memo)
    return match[1] if match and match[1] != "-" else ""


def operation_of(entry_id: str) -> str:
    """Give the payout operation that an entry moved money for; blank when none."""
    match = _PAYOUT.match(entry_id)
    return match[1] if match else ""


def adjustment_of(entry_id: str) -> str:
    """Give the adjustment that let a hold's money go by an entry; blank when none."""
    match = _RELEASED.match(entry_id)
    return match[1] if match else ""


def adjustment_href(adjustment_id: str) -> str:
    """Name the page of the entry that an adjustment without a run made; blank where it made none."""
    if adjustment_id.startswith("sadj_agmt_"):
        return entry_href(f"{TWIN}escrow_release_{adjustment_id}")
    if adjustment_id.startswith("sadj_rec_"):
        return entry_href(f"{TWIN}payout_recovery_{adjustment_id.removeprefix('sadj_rec_')}")
    return ""


def payout_search(operation_id: str) -> str:
    """Give the list of payouts, narrowed to one operation."""
    return f"{reverse('console:payouts')}?{urlencode({'q': operation_id[:500]})}"


def agent_of(account_id: str) -> str:
    """Give the agent whose wallet an account belongs to; blank for any other account."""
    match = _WALLET.match(account_id)
    return match[1] if match else ""


_WALLET_PARTS: Final = {"available": "available", "escrow_locked": "in escrow"}


def account_label(account_id: str) -> str:
    """Write an account for a narrow column: whose wallet, and which part of it; others by their id."""
    agent_id = agent_of(account_id)
    if agent_id:
        return f"{agent_id}, {_WALLET_PARTS[account_id.rpartition(':')[2]]}"
    if account_id.startswith("external:"):
        return f"outside, {account_id.rpartition(':')[2].replace('_', ' ')}"
    return account_id


_TITLES: Final = (
    ("fund_rev_", "Funding taken back"),
    ("fund_", "Money in"),
    ("escrow_hold_", "Set aside"),
    ("escrow_release_", "Released"),
    ("escrow_forfeit_", "Refunded"),
    ("transfer_", "Moved by a verdict"),
    ("payout_recovery_return_", "Withheld pay given back"),
    ("payout_recovery_", "Withheld for debt"),
    ("payout_return_", "Payout come back"),
    ("payout_", "Payout"),
)


def entry_title(entry_id: str, memo: str) -> str:
    """Say in a few words what an entry was for; one made by hand says it in its memo."""
    name = entry_id.removeprefix(TWIN)
    for prefix, title in _TITLES:
        if name.startswith(prefix):
            operation_id = operation_of(entry_id)
            about = words.payout_subject(operation_id) if operation_id else run_of(memo) or _run_in(memo)
            return f"{title}: {about}" if about else title
    return words.shortened(memo) or entry_id


def _run_in(memo: str) -> str:
    """Give what an escrow entry's memo names, where that is a whole id of a run."""
    kind, _, about = memo.rpartition(":")
    return about if kind == "escrow:hold" else ""


def twin_of(entry_id: str) -> str:
    """Give the entry of the other book that was posted with this one, if there is one."""
    return entry_id.removeprefix(TWIN) if entry_id.startswith(TWIN) else f"{TWIN}{entry_id}"
