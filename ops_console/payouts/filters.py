"""The filters of the payout list: the address is the state."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from moneyrails import states
from moneyrails.models import DispatchAttempt, Operation
from ops_console import words
from ops_console.addresses import Address

DATES: Final = ("initiated", "submitted", "confirmed", "failed", "cancelled", "reversed")
DISPATCH: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "unknown": ("Outcome unknown", ("in_doubt", "indeterminate")),
    "in_doubt": ("In doubt", ("in_doubt",)),
    "indeterminate": ("Indeterminate", ("indeterminate",)),
    "dispatching": ("Dispatching", ("dispatching",)),
}
MODES: Final = ("sandbox", "production")


@dataclass(frozen=True)
class Choice:
    """One option of a select."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class Hidden:
    """A filter that has no field of its own and rides along."""

    name: str
    value: str


@dataclass(frozen=True)
class Filters:
    """What the operator looks for; an empty text is any. `faults` says what could not be read."""

    q: str = ""
    state: str = ""
    dispatch: str = ""
    provider: str = ""
    period: str = ""
    party: str = ""
    date: str = "initiated"
    date_from: str = ""
    date_to: str = ""
    counting: str = ""
    faults: tuple[str, ...] = field(default=())

    def parameters(self, **changes: str) -> dict[str, str]:
        """Spell the filters for an address, leaving out what is not set."""
        values = {
            "q": self.q,
            "state": self.state,
            "dispatch": self.dispatch,
            "provider": self.provider,
            "period": self.period,
            "party": self.party,
            "date": self.date if self.date_from or self.date_to else "",
            "from": self.date_from,
            "to": self.date_to,
            "counting": self.counting,
        } | changes
        return {name: value for name, value in values.items() if value}

    @property
    def is_set(self) -> bool:
        """Tell whether anything narrows the list."""
        return bool(self.parameters())

    @property
    def state_choices(self) -> list[Choice]:
        """List the states."""
        return [Choice(value, label, value == self.state) for value, label in words.STATE_LABELS.items()]

    @property
    def dispatch_choices(self) -> list[Choice]:
        """List the dispatch findings."""
        return [Choice(value, label, value == self.dispatch) for value, (label, _) in DISPATCH.items()]

    @property
    def provider_choices(self) -> list[Choice]:
        """List the configured providers, and one from the address that is no longer configured."""
        known = list(settings.MONEY_RAILS.providers)
        if self.provider and self.provider not in known:
            known.append(self.provider)
        return [Choice(provider, provider, provider == self.provider) for provider in known]

    @property
    def date_choices(self) -> list[Choice]:
        """List the instants that a day range may be about."""
        return [Choice(value, words.STATE_LABELS[value], value == self.date) for value in DATES]

    @property
    def kept(self) -> list[Hidden]:
        """List what the form carries without showing."""
        return [Hidden("counting", self.counting)] if self.counting else []


def read(parameters: Mapping[str, str]) -> Filters:
    """Read the filters from an address; what cannot be understood is left out and said."""
    address = Address(parameters)
    period = address.period("period")
    return Filters(
        q=address.text("q"),
        state=address.one_of("state", tuple(words.STATE_LABELS), "state"),
        dispatch=address.one_of("dispatch", tuple(DISPATCH), "dispatch finding"),
        provider=address.text("provider"),
        period=period,
        party=address.text("party"),
        date=address.one_of("date", DATES, "date") or "initiated",
        date_from=address.day("from"),
        date_to=address.day("to"),
        counting=address.one_of("counting", MODES, "mode"),
        faults=tuple(address.faults),
    )


def payouts(*, tenant_id: str, filters: Filters) -> QuerySet[Operation]:
    """Select the tenant's payouts that the filters let through."""
    rows = Operation.objects.filter(tenant_id=tenant_id, direction="payout")
    if filters.counting:
        rows = rows.filter(state__in=sorted(states.EXPOSED), provider_mode=filters.counting)
    if filters.state:
        rows = rows.filter(state=filters.state)
    if filters.provider:
        rows = rows.filter(provider_id=filters.provider)
    if filters.period:
        rows = rows.filter(period=filters.period)
    if filters.party:
        rows = rows.filter(party_id=filters.party)
    if filters.date_from:
        rows = rows.filter(**{f"{filters.date}_at__gte": _start(filters.date_from)})
    if filters.date_to:
        rows = rows.filter(**{f"{filters.date}_at__lt": _end(filters.date_to)})
    if filters.dispatch:
        found = DispatchAttempt.objects.filter(
            operation_id=OuterRef("pk"), tenant_id=tenant_id, status__in=DISPATCH[filters.dispatch][1]
        )
        rows = rows.filter(Exists(found))
    return rows.filter(_search(filters.q)) if filters.q else rows


def _start(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)


def _end(day: str) -> dt.datetime:
    """Give the instant that a day ends before; the calendar's last day ends with the calendar."""
    try:
        return _start(day) + dt.timedelta(days=1)
    except OverflowError:
        return dt.datetime.max.replace(tzinfo=dt.UTC)


def _search(text: str) -> Q:
    """Look for a text where an operator would have read it; long identifiers must match from their start."""
    return (
        Q(party_id__icontains=text)
        | Q(provider_ref__icontains=text)
        | Q(counterparty_ref__icontains=text)
        | Q(reason_code__icontains=text)
        | Q(operation_id__startswith=text)
        | Q(payout_key__startswith=text)
        | Q(statement_hash__startswith=text.lower())
    )
