"""Instants ahead, for people; and what beat does by itself, and how often."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from billing.models import ReconciliationRun
from billing.states import Scope
from ops_console import words
from settld.core import clock

SOON: Final = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Countdown:
    """How long until an instant, as a badge that a script keeps going."""

    text: str
    tone: str
    at: str
    at_iso: str


def countdown(until: dt.datetime, *, now: dt.datetime) -> Countdown:
    """Count down to an instant; never longer than it is."""
    left = int((until - now).total_seconds())
    text, tone = "Over", "bad"
    if left > 0:
        hours, minutes = divmod(left // 60, 60)
        text = f"{hours} h {minutes:02d} min left" if hours else f"{minutes} min left"
        tone = "warn" if left < 4 * 3600 else "info"
    return Countdown(text, tone, words.moment(until), clock.iso(until) or "")


def ahead(at: dt.datetime, *, now: dt.datetime) -> str:
    """Write when something will be: at 12:30:00 UTC, in 4 minutes; with its day when that is another."""
    if at <= now:
        return "at once"
    text = words.moment(at) if at.date() != now.date() else words.moment(at)[11:]
    return f"at {text} UTC, in {words.age(now, now=at)}"


def span(seconds: float) -> str:
    """Write a length of time in its largest whole unit: 30 minutes."""
    whole = int(seconds)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if whole >= length and whole % length == 0:
            return f"{'' if whole == length else f'{whole // length} '}{unit}{'s' if whole != length else ''}"
    return f"{whole} seconds"


@dataclass(frozen=True)
class Schedule:
    """When the comparisons with the provider run; `last` is each scope's newest run, where there was one."""

    last: dict[str, ReconciliationRun]
    now: dt.datetime

    def every(self, scope: Scope) -> float | None:
        """Give a scope's cadence in seconds; None when beat does not run it here."""
        entry = settings.CELERY_BEAT_SCHEDULE.get(f"billing-{scope.value.replace('_', '-')}")
        return float(str(entry["schedule"])) if entry else None

    def next_run(self, scope: Scope) -> str:
        """Name a scope's next run as part of a sentence: the next run of checkout_open (every 30 minutes)."""
        seconds = self.every(scope)
        if seconds is None:
            return f"a run of {scope.value} by hand (nothing runs it by itself here)"
        return f"the next run of {scope.value} (every {span(seconds)}{self._since(scope)})"

    def _since(self, scope: Scope) -> str:
        run = self.last.get(scope.value)
        return f", last {words.age(run.started_at, now=self.now)} ago" if run else ""
