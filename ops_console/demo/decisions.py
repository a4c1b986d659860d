"""What people have decided about some mismatches by the time one looks: a queue that is being worked."""

from dataclasses import dataclass
from typing import Any, Final

from ops_console.demo.http import Api

PATH: Final = "/ops/finance/reconciliation/triage"
IDENTITY: Final = ("sourceType", "period", "providerId", "mismatchType", "mismatchKey")


@dataclass(frozen=True)
class Decision:
    """One step in the life of a case."""

    action: str
    says: dict[str, Any]


_PAID: Final = {"status": "resolved", "notes": "Paid by bank transfer, reference 2210-884."}
_ASKED: Final = {"status": "acknowledged", "notes": "Asked the party for new bank details."}
_TAKEN: Final = {"status": "in_progress", "ownerPrincipalId": "team:treasury"}
_LESS: Final = {"severity": "high", "notes": "Known to the party; not urgent before Friday."}
# The story of the first cases of a queue, in the queue's order; the rest wait for whoever looks.
STORIES: Final = (
    (
        Decision("triage_assign", {"ownerPrincipalId": "team:treasury"}),
        Decision("triage_resolve", _PAID),
    ),
    (Decision("triage_acknowledge", _ASKED),),
    (Decision("triage_start", _TAKEN), Decision("triage_severity", _LESS)),
)


def decide(api: Api, queue: list[dict[str, Any]]) -> int:
    """Decide about the first cases of a report's queue; told again, nothing changes. Gives how many."""
    told = 0
    for case, story in zip(queue, STORIES, strict=False):
        for number, decision in enumerate(story):
            closes = decision.says.get("status") in ("resolved", "dismissed")
            body = {name: case[name] for name in IDENTITY} | decision.says | {"action": decision.action}
            if closes:
                body |= {
                    "mismatchHash": case["mismatchHash"],
                    "metadata": {"seenDetails": case["details"]},
                }
            api.post(PATH, body, key=f"demo-{case['triageKey']}-{number}")
        told += 1
    return told
