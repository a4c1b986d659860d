"""One page of unknown outcomes, the oldest first, each with the time left to replay it."""

import datetime as dt
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from moneyrails.models import DispatchAttempt
from moneyrails.queries import unknown_outcomes as queries
from moneyrails.services import resolution
from ops_console import cursors, words
from settld.core import clock, money

ROWS = 50


@dataclass(frozen=True)
class Countdown:
    """The time until the replay deadline, as it was when the page was made; a script keeps it going."""

    text: str
    tone: str
    deadline_iso: str
    deadline: str
    is_over: bool


@dataclass(frozen=True)
class Row:
    """One unknown outcome in the list."""

    href: str
    party_id: str
    period: str
    amount: str
    provider_id: str
    status: str
    tone: str
    since: str
    age: str
    countdown: Countdown
    said: str
    submitted_by: str


@dataclass(frozen=True)
class Choice:
    """One way to narrow the list."""

    label: str
    count: str
    href: str
    is_chosen: bool


@dataclass(frozen=True)
class Page:
    """The list."""

    rows: list[Row]
    choices: list[Choice]
    pager: cursors.Pager
    status: str


def href_of(attempt: DispatchAttempt) -> str:
    """Name the page of an unknown outcome."""
    return reverse("console:unknown-outcome", args=[attempt.pk])


def build(*, tenant_id: str, status: str, place: cursors.Cursor | None, now: dt.datetime) -> Page:
    """Read the page in two queries, whatever its depth and length."""
    path = reverse("console:unknown-outcomes")
    rows = queries.listing(tenant_id=tenant_id, now=now, status=status or None)
    if place is not None:
        rows = rows.filter(
            Q(created_at__gt=place.at) | Q(created_at=place.at, pk__gt=place.row_id),
            created_at__gte=place.at,
        )
    found = list(rows[: ROWS + 1])
    has_more, found = len(found) > ROWS, found[:ROWS]
    kept = {"status": status} if status else {}
    next_href = ""
    if has_more:
        last = cursors.Cursor(found[-1].created_at, found[-1].pk)
        next_href = f"{path}?{urlencode({**kept, 'at': last.write()})}"
    counts = queries.count(tenant_id=tenant_id, now=now)
    return Page(
        rows=[row_of(attempt, now=now) for attempt in found],
        choices=[
            Choice("All", f"{counts.total:,}", path, not status),
            Choice("In doubt", f"{counts.in_doubt:,}", f"{path}?status=in_doubt", status == "in_doubt"),
            Choice(
                "Indeterminate", f"{counts.indeterminate:,}", f"{path}?status=indeterminate",
                status == "indeterminate",
            ),
        ],
        pager=cursors.Pager(
            note=f"{words.count(len(found), 'payout')} on this page",
            previous_href=f"{path}?{urlencode(kept)}" if place else "",
            next_href=next_href,
        ),
        status=status,
    )  # fmt: skip


def row_of(attempt: DispatchAttempt, *, now: dt.datetime) -> Row:
    """Shape one attempt for the list."""
    operation = attempt.operation
    since = attempt.first_sent_at or attempt.created_at
    return Row(
        href=href_of(attempt),
        party_id=operation.party_id,
        period=operation.period,
        amount=money.show(operation.amount_cents, operation.currency),
        provider_id=operation.provider_id,
        status=status_of(attempt),
        tone=words.DISPATCH_TONES["indeterminate" if attempt.status == "indeterminate" else "in_doubt"],
        since=words.moment(since),
        age=words.age(since, now=now),
        countdown=countdown(attempt, now=now),
        said=str((attempt.error or {}).get("message") or "Nothing was written down"),
        submitted_by=attempt.submitted_by,
    )


def status_of(attempt: DispatchAttempt) -> str:
    """Name how an attempt stands; one whose sender vanished is in doubt though nobody has said so yet."""
    return words.DISPATCH_LABELS["in_doubt" if attempt.status == "dispatching" else attempt.status]


def countdown(attempt: DispatchAttempt, *, now: dt.datetime) -> Countdown:
    """Say how long the same key may still be sent; never longer than it is."""
    deadline = resolution.replay_deadline(attempt)
    left = int((deadline - now).total_seconds())
    if now >= deadline:
        text, tone = "Over", "bad"
    else:
        hours, minutes = divmod(left // 60, 60)
        text = f"{hours} h {minutes:02d} min left" if hours else f"{minutes} min left"
        tone = "warn" if left < 4 * 3600 else "info"
    return Countdown(
        text=text,
        tone=tone,
        deadline_iso=clock.iso(deadline) or "",
        deadline=words.moment(deadline),
        is_over=now >= deadline,
    )
