"""Coming back from the provider: the address claims nothing, only the snapshot confirms."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from billing.services.snapshot import Snapshot
from ops_console.workspace_billing import blocking, standing
from ops_console.workspace_billing.desk import Desk

POLL_SECONDS: Final = 2
PATIENCE: Final = dt.timedelta(seconds=60)


class Kind(StrEnum):
    """What is known about the checkout that somebody came back from."""

    CONFIRMED = "confirmed"
    WAITING = "waiting"
    LATE = "late"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Confirming:
    """The notice on the page; while waiting it asks again until `until`."""

    kind: Kind
    title: str
    text: str
    poll_href: str = ""
    poll_seconds: int = POLL_SECONDS

    @property
    def is_waiting(self) -> bool:
        """Tell whether the page goes on asking."""
        return self.kind == Kind.WAITING

    @property
    def tone(self) -> str:
        """Give the colour of the notice."""
        return {Kind.CONFIRMED: "good", Kind.LATE: "warn"}.get(self.kind, "info")


def look(desk: Desk, snapshot: Snapshot, *, until: dt.datetime | None = None) -> Confirming:
    """Say what the snapshot knows; `until` is where an earlier look said to stop asking."""
    subscription = snapshot.subscription
    if subscription is not None and subscription.status != "incomplete":
        label = standing.LABELS.get(subscription.status, subscription.status).lower()
        return Confirming(
            Kind.CONFIRMED, "Subscription confirmed", f"The plan {subscription.plan.name} is {label}."
        )
    has_trace = subscription is not None or blocking.blocking_session(desk) or blocking.pending_request(desk)
    if not has_trace:
        return Confirming(
            Kind.NOTHING,
            "No checkout is under way",
            "If you paid a moment ago, it appears here as soon as the provider has confirmed it.",
        )
    until = until or desk.now + PATIENCE
    if desk.now >= until:
        return Confirming(
            Kind.LATE,
            "Not confirmed yet",
            "The provider has not confirmed the checkout so far. Nothing is lost: it goes on by itself, and"
            " this page shows it once it is confirmed.",
        )
    return Confirming(
        Kind.WAITING,
        "Confirming…",
        "The provider is being asked about your checkout. This takes a few seconds.",
        poll_href=f"{desk.href('billing-confirm')}?until={int(until.timestamp())}",
    )


def read_until(text: str, *, now: dt.datetime) -> dt.datetime:
    """Read where to stop from the address, never later than a whole patience from now."""
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    return min(dt.datetime.fromtimestamp(seconds, dt.UTC), now + PATIENCE)
