"""Keeping Connect accounts fresh by ourselves: the stalest first, the tenants in turn."""

import datetime as dt
from collections import Counter, defaultdict
from typing import Final

import structlog
from django.conf import settings

from moneyrails.queries import connect
from moneyrails.rails import stripe as stripe_rail
from moneyrails.services import connect_looks
from moneyrails.services.connect_facts import Seen
from moneyrails.services.connect_looks import Ask
from moneyrails.services.connect_writing import write_each
from settld.core import clock, locks
from settld.core.principals import Actor

LOCK: Final = "moneyrails.sync_connect_accounts"
ACTOR: Final = Actor.system("connect_sync")
BATCH: Final = 16
log = structlog.get_logger(__name__)


def sync_stale(*, limit: int, budget_seconds: float, ask: Ask | None = None) -> dict[str, int]:
    """Look at accounts whose last sync is older than the interval, at most `limit`; gives how each ended.

    One round at a time over the whole deployment; a second gives {"busy": 1}. A failed look is
    written down too, so it goes to the end of the queue.
    """
    if not stripe_rail.is_configured():
        return {}
    with locks.session_advisory(LOCK) as is_ours:
        return _round(limit=limit, budget_seconds=budget_seconds, ask=ask) if is_ours else {"busy": 1}


def interval() -> dt.timedelta:
    """Say how old a sync may grow: half of what still makes an account eligible, where that is asked for."""
    wanted = int(settings.CONNECT_SYNC_INTERVAL_SECONDS)
    age = int(settings.CONNECT_MAX_SYNC_AGE_SECONDS)
    return dt.timedelta(seconds=min(wanted, max(age // 2, 1)) if age else wanted)


def _round(*, limit: int, budget_seconds: float, ask: Ask | None) -> dict[str, int]:
    ends: Counter[str] = Counter()
    started = connect_looks.Stopwatch()
    began_at = started.at_most()
    due = connect.stalest(before=began_at - interval(), limit=limit)
    for first in range(0, len(due), BATCH):
        spent = (started.at_most() - began_at).total_seconds()
        if spent >= budget_seconds:
            break
        batch = due[first : first + BATCH]
        ends.update(_sync(batch, budget_seconds=budget_seconds - spent, ask=ask))
    return dict(ends)


def _sync(batch: list[tuple[str, str]], *, budget_seconds: float, ask: Ask | None) -> Counter[str]:
    """Look once at each account of a batch and write it for the tenants that are due."""
    wanted = set(batch)
    held: dict[str, list[Seen]] = defaultdict(list)
    for row in connect.holders(sorted({account_id for _, account_id in batch})):
        if (row.tenant_id, row.account_id) in wanted:
            held[row.account_id].append(Seen(row.tenant_id, row))
    ends: Counter[str] = Counter()
    for look in connect_looks.look_at(sorted(held), budget_seconds=budget_seconds, ask=ask).values():
        try:
            left = write_each(look, held[look.account_id], source="beat", actor=ACTOR, now=clock.now())
        except Exception:
            log.exception("connect_sync_failed", account_id=look.account_id)
            ends["error"] += 1
            continue
        ends["stale"] += len(left)
        ends["failed" if look.error else "synced"] += len(held[look.account_id]) - len(left)
    return +ends
