"""Billing periods: whole steps of an interval from an anchor, in UTC."""

import calendar
import datetime as dt

from settld.stripe_simulator.wire import Json

SECONDS = {"day": 86_400, "week": 7 * 86_400}
MONTHS = {"month": 1, "year": 12}


def boundary_after(moment: int, *, anchor: int, recurring: Json) -> int:
    """The first end of a period later than a moment.

    Months and years keep the anchor's day of the month, or end on the month's last day where it has no such
    day: anchored on the 31st, a period ends on 28 February and the next one on 31 March.
    """
    interval, count = recurring["interval"], recurring["interval_count"]
    if interval in SECONDS:
        step = SECONDS[interval] * count
        return int(anchor + ((moment - anchor) // step + 1) * step)
    step = MONTHS[interval] * count
    passed = _months_between(anchor, moment)
    number = passed // step
    while _months_later(anchor, number * step) <= moment:
        number += 1
    while _months_later(anchor, (number - 1) * step) > moment:
        number -= 1
    return _months_later(anchor, number * step)


def _months_between(first: int, second: int) -> int:
    start, end = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (first, second))
    return (end.year - start.year) * 12 + end.month - start.month


def _months_later(at: int, months: int) -> int:
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())
