"""How far our clock is ahead of Stripe's, measured on every answer; this process remembers the last few."""

import datetime as dt
import threading
from collections import deque
from typing import Final

SAMPLES: Final = 5
MOST_AGE: Final = dt.timedelta(hours=1)

_lock = threading.Lock()
_samples: deque[tuple[dt.datetime, int]] = deque(maxlen=SAMPLES)


def measure(*, sent_at: dt.datetime, provider_time: dt.datetime) -> None:
    """Note one answer: when we asked by our clock, and what Stripe's `Date` header said.

    Stripe stamps the answer after we asked, so the difference is never more than the truth; the way there
    and Stripe's own work only make it less.
    """
    with _lock:
        _samples.append((sent_at, int(sent_at.timestamp()) - int(provider_time.timestamp())))


def local_ahead_seconds() -> int:
    """Give the whole seconds by which our clock is ahead of Stripe's, negative when behind; 0 if unknown.

    The largest of the last few samples is the closest to the truth (see `measure`); a sample older than an
    hour before the newest says nothing about now.
    """
    with _lock:
        samples = list(_samples)
    if not samples:
        return 0
    newest = samples[-1][0]
    return max(ahead for at, ahead in samples if abs(newest - at) <= MOST_AGE)


def forget() -> None:
    """Drop what was measured, as after a correction of our clock."""
    with _lock:
        _samples.clear()


def assume(seconds: int) -> None:
    """Take a skew for measured, until newer answers push it out."""
    instant = dt.datetime.fromtimestamp(0, dt.UTC)
    with _lock:
        _samples.clear()
        _samples.extend([(instant, seconds)] * SAMPLES)
