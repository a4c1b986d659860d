"""The spans in which uses are counted: UTC, the end not included (spec 7.8)."""

import datetime as dt
import math
from typing import Final, NamedTuple

LIFETIME: Final = "lifetime"


class Window(NamedTuple):
    """One span, from `start_at` up to but not including `end_at`."""

    start_at: dt.datetime
    end_at: dt.datetime

    def seconds_left(self, *, now: dt.datetime) -> int:
        """Count the whole seconds until the next window begins, one at least."""
        return max(1, math.ceil((self.end_at - now).total_seconds()))


def of(interval: str, *, now: dt.datetime) -> Window:
    """Give an instant's window: day, week (ISO, from Monday), month, year, or lifetime."""
    day = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "day":
        return Window(day, day + dt.timedelta(days=1))
    if interval == "week":
        monday = day - dt.timedelta(days=day.weekday())
        return Window(monday, monday + dt.timedelta(days=7))
    if interval == "month":
        first = day.replace(day=1)
        return Window(first, (first + dt.timedelta(days=32)).replace(day=1))
    if interval == "year":
        first = day.replace(month=1, day=1)
        return Window(first, first.replace(year=first.year + 1))
    if interval == LIFETIME:
        return Window(
            dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
            dt.datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=dt.UTC),
        )
    raise ValueError(f"unknown interval {interval}")
