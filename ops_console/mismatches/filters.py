"""The queue's filters: the address is the state, the opened case included."""

import base64
import binascii
import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, urlencode

from django.urls import reverse

from reconciliation.queries.case_queue import STANDINGS, CaseFilter, Place
from reconciliation.states import Severity, SourceType
from settld.core import clock

STANDING_LABELS: Final[dict[str, str]] = {
    "waiting": "Open",
    "new": "Open, untouched",
    "acknowledged": "Acknowledged",
    "in_progress": "In progress",
    "drifted": "Drifted",
    "resolved": "Resolved",
    "dismissed": "Dismissed",
    "gone": "No longer found",
    "past": "Past",
    "any": "Any",
}
SOURCE_LABELS: Final[dict[str, str]] = {
    SourceType.MONEY_RAILS.value: "Instructions and payouts",
    SourceType.FINANCE.value: "Ledger and statements",
    SourceType.STRIPE_INBOX.value: "Provider events",
    "provider_statement": "Provider statement",
    SourceType.INVARIANT.value: "Invariants",
}
AGES: Final[dict[str, tuple[str, dt.timedelta]]] = {
    "1d": ("Over a day", dt.timedelta(days=1)),
    "7d": ("Over a week", dt.timedelta(days=7)),
    "30d": ("Over a month", dt.timedelta(days=30)),
}
ORDERS: Final[dict[str, str]] = {"": "Most urgent", "newest": "Newest"}
MINE, NOBODY = "me", "none"
TEXT_MOST: Final = 500
FINANCE: Final = "finance"
# The pages that show this queue: the whole of it, or the part that one month's books are about.
HOMES: Final = {"": ("console:mismatches", "Mismatches"), FINANCE: ("console:finance", "Finance")}


@dataclass(frozen=True)
class Filters:
    """What the operator looks for; an empty text is any, an empty status is what still waits."""

    status: str = ""
    source: str = ""
    type: str = ""
    severity: str = ""
    owner: str = ""
    period: str = ""
    provider: str = ""
    age: str = ""
    q: str = ""
    order: str = ""
    home: str = ""

    @property
    def is_set(self) -> bool:
        """Tell whether anything narrows the queue; a month's page always names its month."""
        period = "" if self.home else self.period
        return bool(replace(self, order="", home="", period=period).parameters())

    @property
    def home_path(self) -> str:
        """Name the page whose queue this is."""
        return reverse(HOMES[self.home][0])

    @property
    def home_label(self) -> str:
        """Call that page what the navigation calls it."""
        return HOMES[self.home][1]

    def address(self, **changes: str) -> str:
        """Give the address of that page with these filters.

        A month's page names the provider by its id, and has more above its queue: a link within the queue
        leads to the queue, one to a case leads to the case.
        """
        spelled = self.parameters(**changes)
        spelled.pop("home", None)
        if self.home and "provider" in spelled:
            spelled["providerId"] = spelled.pop("provider")
        address = f"{self.home_path}?{urlencode(spelled)}" if spelled else self.home_path
        if not self.home or not changes:
            return address
        return f"{address}#mismatchDetail" if changes.get("case") else f"{address}#queue"

    @property
    def is_by_age(self) -> bool:
        """Tell whether the newest come first."""
        return self.order == "newest"

    def parameters(self, **changes: str) -> dict[str, str]:
        """Spell the filters for an address, leaving out what is not set."""
        return {name: value for name, value in {**vars(self), **changes}.items() if value}

    def query(self, **changes: str) -> str:
        """Spell the filters as the tail of an address."""
        spelled = urlencode(self.parameters(**changes))
        return f"?{spelled}" if spelled else ""

    def wanted(self, *, principal_id: str, now: dt.datetime) -> CaseFilter:
        """Say the same to the queue."""
        owner = {MINE: principal_id, NOBODY: "", "": None}.get(self.owner, self.owner)
        return CaseFilter(
            standing=self.status or "waiting",
            source_type=self.source or None,
            mismatch_type=self.type or None,
            severity=self.severity or None,
            owner=owner,
            period=self.period or None,
            provider_id=self.provider or None,
            keeps_core=self.home == FINANCE,
            seen_before=now - AGES[self.age][1] if self.age else None,
            text=self.q or None,
        )


def read(given: Mapping[str, str]) -> Filters:
    """Read filters from an address; what makes no sense is as if it were not there."""
    texts = {
        name: given.get(name, "").replace("\x00", "").strip()[:TEXT_MOST]
        for name in (
            "status",
            "source",
            "type",
            "severity",
            "owner",
            "period",
            "provider",
            "age",
            "q",
            "order",
            "home",
        )
    }
    known: dict[str, bool] = {
        "status": texts["status"] in STANDINGS and texts["status"] != "waiting",
        "source": texts["source"] in SourceType.values,
        "severity": texts["severity"] in Severity.values,
        "period": clock.is_period(texts["period"]),
        "age": texts["age"] in AGES,
        "order": texts["order"] in ORDERS,
        "home": texts["home"] in HOMES,
    }
    return Filters(**{name: text if known.get(name, True) else "" for name, text in texts.items()})


def read_query(text: str) -> Filters:
    """Read filters from the tail of an address that a form carried along."""
    return read(dict(parse_qsl(text.removeprefix("?")[:4_000])))


# --- Places ---------------------------------------------------------------------------------------
def write_place(place: Place) -> str:
    """Spell a place in the list for an address."""
    direction = "b" if place.is_backward else "f"
    text = f"{direction}|{place.rank}|{place.first_seen_at.isoformat()}|{place.row_id.hex}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_place(text: str) -> Place | None:
    """Read a place from an address; what cannot be read is the list's beginning."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        direction, rank, at, row_id = plain.split("|")
        instant = dt.datetime.fromisoformat(at)
        if instant.tzinfo is None or not 0 <= int(rank) <= 9:
            return None
        return Place(int(rank), instant.astimezone(dt.UTC), uuid.UUID(row_id), direction == "b")
    except (ValueError, binascii.Error, OverflowError):
        return None
