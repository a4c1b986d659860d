"""Reading the provider's statement: pages, places and what a read covers.

No transaction is open while it calls.
One read at a time over the whole deployment. Each page is filed, then the place is written down, so a
read that dies goes on where it was and files at most one page twice. A page is bounded, and so are the
pages of one pull: what is left is for the next.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from django.conf import settings
from prometheus_client import Counter

from reconciliation.models import StatementCursor
from reconciliation.services import statement_lines
from settld.core import clock, locks, transactions
from settld.stripe_gateway import client
from settld.stripe_gateway.answers import Transfer
from settld.stripe_gateway.outcomes import (
    ProviderAnswerUnusable,
    ProviderErrorObject,
    ProviderFailure,
    ProviderRejected,
)

LOCK_KEY: Final = "settld:maintenance:provider_statement:v1"
SOURCE: Final = "stripe"
BUDGET: Final = dt.timedelta(minutes=5)  # a provider that answers slowly must not hold up what compares
UNUSABLE: Final = "invalid_response"
TRANSFERS, REVERSALS = "transfers", "reversals"
log = structlog.get_logger(__name__)
PAGES = Counter("provider_statement_pages_total", "Pages of a provider's statement read", ["kind"])
LINES = Counter(
    "provider_statement_lines_total", "Lines of a provider's statement by what they told", ["news"]
)
FAILURES = Counter("provider_statement_failures_total", "Reads of a statement that broke off", ["kind"])


class Page(Protocol):
    """A page of either list."""

    @property
    def rows(self) -> Sequence[Any]: ...
    @property
    def unreadable(self) -> int: ...
    @property
    def last_id(self) -> str: ...
    @property
    def has_more(self) -> bool: ...


@dataclass(frozen=True)
class Pulled:
    """How a pull went; `is_complete` says that both lists were read to their ends."""

    status: str
    is_complete: bool = False
    pages: int = 0
    new: int = 0
    changed: int = 0
    code: str | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Shape it for a run's result."""
        return {
            "status": self.status, "complete": self.is_complete, "pages": self.pages, "newLines": self.new,
            "changedLines": self.changed, "code": self.code, "error": self.error,
        }  # fmt: skip


def is_possible() -> bool:
    """Tell whether there is a statement to read: a Stripe provider in production mode, and a key."""
    return bool(statement_lines.statement_providers()) and client.is_configured()


def pull(*, now: dt.datetime, max_pages: int | None = None) -> Pulled:
    """Read what is new in the provider's statement, at most `max_pages` pages of 100.

    A provider that fails does not raise: the pull says so, what was read stays, the next goes on there.
    """
    if not is_possible():
        return Pulled("not_configured")
    with locks.session_advisory(LOCK_KEY) as is_ours:
        if not is_ours:
            return Pulled("already_running")
        return _pull(now=now, budget=max_pages or int(settings.PROVIDER_STATEMENT["max_pages"]))


def _pull(*, now: dt.datetime, budget: int) -> Pulled:
    readers: tuple[
        tuple[str, Callable[..., Page], Callable[[Page, StatementCursor], list[Transfer]]], ...
    ] = (
        (TRANSFERS, client.transfers_page, lambda page, _cursor: list(page.rows)),
        (REVERSALS, client.reversals_page, _reversed_transfers),
    )
    pages, new, changed, complete = 0, 0, 0, True
    deadline = clock.monotonic() + BUDGET.total_seconds()
    for kind, ask, transfers_of in readers:
        cursor = _open(kind, now=now)
        try:
            while pages < budget and cursor.opened_at is not None and clock.monotonic() < deadline:
                page = ask(created_from=_seconds(cursor.since), starting_after=cursor.starting_after)
                pages += 1
                PAGES.labels(kind=kind).inc()
                filed = statement_lines.file(transfers_of(page, cursor), now=now)
                new, changed = new + filed.new, changed + filed.changed
                for news in ("new", "changed", "unchanged"):
                    LINES.labels(news=news).inc(getattr(filed, news))
                if not _advance(cursor, page, now=now):
                    return Pulled("error", False, pages, new, changed, cursor.error_code, cursor.error)
        except ProviderFailure as failure:
            FAILURES.labels(kind=kind).inc()
            _break_off(cursor, failure, now=now)
            return Pulled("error", False, pages, new, changed, _code(failure.error), failure.error["message"])
        complete = complete and cursor.opened_at is None
    return Pulled("ok", complete, pages, new, changed)


def _reversed_transfers(page: Page, cursor: StatementCursor) -> list[Transfer]:
    """Read the transfers that reversals are about, as they are now; one that is no more is left out.

    An unusable answer breaks the read off, for it may be a moment's. When it broke off the read before at
    this place too, it is counted and left out: one transfer must not keep all reversals from being read.
    """
    found = []
    was_unusable = cursor.error_code == UNUSABLE
    for transfer_id in dict.fromkeys(reversal.transfer_id for reversal in page.rows):
        try:
            found.append(client.retrieve_transfer(transfer_id))
        except ProviderRejected as refusal:
            if refusal.error["httpStatus"] != 404:
                raise
            log.warning("provider_statement_transfer_gone", transfer_id=transfer_id)
        except ProviderAnswerUnusable as refusal:
            if not was_unusable:
                raise
            cursor.unreadable += 1
            log.error(
                "provider_statement_transfer_unreadable",
                transfer_id=transfer_id,
                error=refusal.error["message"],
            )
    return found


# --- The place ------------------------------------------------------------------------------------
def _open(kind: str, *, now: dt.datetime) -> StatementCursor:
    """Go on with the read that is under way, or begin one a little behind the newest line known."""
    with transactions.atomic(durable=True):
        cursor, _ = StatementCursor.objects.get_or_create(
            source=SOURCE, kind=kind, defaults={"updated_at": now}
        )
        if cursor.opened_at is None:
            rules = settings.PROVIDER_STATEMENT
            if cursor.covered_from is None:
                cursor.since = now - dt.timedelta(days=rules["lookback_days"])
            else:
                behind = dt.timedelta(seconds=rules["overlap_seconds"])
                cursor.since = (cursor.covered_to or cursor.covered_from) - behind
            cursor.opened_at, cursor.starting_after, cursor.newest_created_at = now, "", None
            cursor.pages = cursor.lines = cursor.unreadable = 0
            cursor.save()
    return cursor


def _advance(cursor: StatementCursor, page: Page, *, now: dt.datetime) -> bool:
    """Write the place down; at the end of the list, what the read has covered. False: there is no way on."""
    newest = max((dt.datetime.fromtimestamp(row.created, dt.UTC) for row in page.rows), default=None)
    cursor.newest_created_at = max(filter(None, (cursor.newest_created_at, newest)), default=None)
    cursor.pages += 1
    cursor.lines += len(page.rows)
    cursor.unreadable += page.unreadable
    is_stuck = page.has_more and page.last_id in ("", cursor.starting_after)
    cursor.starting_after = page.last_id if page.has_more else ""
    cursor.error_code = cursor.error = ""
    cursor.error_at = None
    cursor.updated_at = now
    if is_stuck:  # the same place again: nobody can tell what lies behind it, so the read begins anew
        cursor.starting_after, cursor.error_at = "", now
        cursor.error_code, cursor.error = UNUSABLE, "the list does not move on"
    elif not page.has_more:
        cursor.covered_from = min(filter(None, (cursor.covered_from, cursor.since)))
        cursor.covered_to = max(filter(None, (cursor.covered_to, cursor.newest_created_at)), default=None)
        cursor.covered_at, cursor.opened_at = cursor.opened_at, None
        if page.unreadable or cursor.unreadable:
            log.error("provider_statement_unreadable_lines", kind=cursor.kind, count=cursor.unreadable)
    with transactions.atomic(durable=True):
        cursor.save()
    return not is_stuck


def _break_off(cursor: StatementCursor, failure: ProviderFailure, *, now: dt.datetime) -> None:
    """Note why a read stopped. A place that the provider knows no more sends the next one to the top."""
    if isinstance(failure, ProviderRejected) and cursor.starting_after:
        cursor.starting_after = ""
    cursor.error_code, cursor.error = _code(failure.error)[:60], failure.error["message"][:500]
    cursor.error_at = cursor.updated_at = now
    with transactions.atomic(durable=True):
        cursor.save()
    log.warning(
        "provider_statement_broke_off", kind=cursor.kind, code=cursor.error_code, message=cursor.error
    )


def _code(error: ProviderErrorObject) -> str:
    return str(error["category"])


def _seconds(instant: dt.datetime | None) -> int:
    return int(instant.timestamp()) if instant else 0
