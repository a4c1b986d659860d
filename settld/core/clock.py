"""The two clocks: ours, which tests may stop, and the database's."""

import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connection

_frozen: ContextVar[dt.datetime | None] = ContextVar("frozen_now", default=None)

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII)
PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)


def now() -> dt.datetime:
    """Read our clock: aware, UTC, cut to the millisecond that the wire can carry."""
    instant = _frozen.get() or dt.datetime.now(dt.UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def db_now() -> dt.datetime:
    """Read the database's clock, the one that leases and deadlines across processes agree on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        instant: dt.datetime = cursor.fetchone()[0]
    return instant


def monotonic() -> float:
    """Read a clock for measuring how long something takes, in seconds; it stops and moves with `freeze`."""
    frozen = _frozen.get()
    return time.monotonic() if frozen is None else frozen.timestamp()


def is_frozen() -> bool:
    """Tell whether a test has stopped our clock in this context."""
    return _frozen.get() is not None


def _set(instant: dt.datetime) -> None:
    _frozen.set(instant.astimezone(dt.UTC))


@contextmanager
def freeze(instant: dt.datetime) -> Iterator[Callable[[dt.datetime], None]]:
    """Stop our clock at an instant, in this context only; what it yields moves the hands."""
    token = _frozen.set(instant.astimezone(dt.UTC))
    try:
        yield _set
    finally:
        _frozen.reset(token)


def iso(instant: dt.datetime | None) -> str | None:
    """Write an instant as the wire does: UTC, milliseconds, Z; None stays None."""
    if instant is None:
        return None
    return instant.astimezone(dt.UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_iso(text: str) -> dt.datetime:
    """Read an ISO 8601 date-time that names its offset; ValueError otherwise."""
    if not _ISO.fullmatch(text):
        raise ValueError("not an ISO 8601 date-time with an offset")
    try:
        instant = dt.datetime.fromisoformat(text.upper().replace(",", ".")).astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError("date-time out of range") from error
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def is_period(text: str) -> bool:
    """Tell whether a text names a month as YYYY-MM."""
    return PERIOD.fullmatch(text) is not None


def period_of(instant: dt.datetime) -> str:
    """Name the UTC month of an instant."""
    return instant.astimezone(dt.UTC).isoformat()[:7]


def day_key(instant: dt.datetime) -> str:
    """Name the UTC day of an instant, the key that daily limits count by."""
    return instant.astimezone(dt.UTC).isoformat()[:10]
