"""The operations page: one list at a time of what is under way, waits or was given up, over all tenants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from billing.models import ReconciliationRun
from billing.queries import operations as queries
from billing.states import Scope
from ops_console import words
from ops_console.access import Visit
from ops_console.billing_console import event_rows, paging, queue_rows, work_rows
from ops_console.billing_console.queue_rows import Link, Row
from ops_console.billing_console.times import Schedule, span
from ops_console.billing_console.wording import SCOPES, label, tone
from ops_console.cursors import Pager
from settld.core import tenancy
from settld.core.transactions import atomic

RUNS: Final = "runs"
ENDED: Final = "ended"


@dataclass(frozen=True)
class Queue:
    """One list: how it is read and shaped, and what it says when it is empty."""

    label: str
    what: str
    ended_label: str
    empty: str
    read: Callable[[bool], "QuerySet[Any]"]
    shape: Callable[[list[Any], Schedule], list[Row]]


QUEUES: Final[dict[str, Queue]] = {
    "sessions": Queue(
        "Sessions",
        "Checkout sessions that are open, or paid without their subscription. One of a subscription keeps its"
        " customer from beginning another.",
        "Ended",
        "No checkout is under way. A customer who begins one appears here until it is paid, expires or is"
        " given up.",
        lambda is_ended: queries.sessions(is_ended=is_ended),
        lambda rows, schedule: queue_rows.of_sessions(rows, schedule=schedule),
    ),
    "holds": Queue(
        "Holds",
        "Places held because nobody knows whether Stripe has made a session. Nothing else may be begun until"
        " that is known, or the hold ends.",
        "",
        "Every outcome is known. A hold appears when a request ends before anybody could learn what Stripe"
        " made of it.",
        lambda is_ended: queries.holds(),
        lambda rows, schedule: queue_rows.of_sessions(rows, schedule=schedule),
    ),
    "requests": Queue(
        "Pending requests",
        "Requests without an end: sent, or about to be. The same key may be sent again until its deadline.",
        "Ended",
        "No request waits. Each has its end, which a repeat with the same key gets word for word.",
        lambda is_ended: queries.requests(is_ended=is_ended),
        lambda rows, schedule: queue_rows.of_requests(rows, now=schedule.now),
    ),
    "webhooks": Queue(
        "Webhook inbox",
        "Events of Stripe that are not applied yet, and why.",
        "Processed",
        "Every event is applied. One that fails is tried again, and waits here with its reason.",
        lambda is_ended: queries.events(is_ended=is_ended),
        lambda rows, schedule: event_rows.of_events(rows, schedule=schedule),
    ),
    "jobs": Queue(
        "Outbox",
        "Effects that we owe to Stripe, such as the end of a session that must not be paid any more.",
        "Done",
        "Nothing is owed to Stripe.",
        lambda is_ended: queries.jobs(is_ended=is_ended),
        lambda rows, schedule: work_rows.of_jobs(rows, now=schedule.now),
    ),
    "remediations": Queue(
        "Remediations",
        "Duplicate subscriptions that are to be cancelled, so that nobody pays twice.",
        "Done",
        "Nobody has two subscriptions.",
        lambda is_ended: queries.remediations(is_ended=is_ended),
        lambda rows, schedule: work_rows.of_remediations(rows, now=schedule.now),
    ),
}


@dataclass(frozen=True)
class Tab:
    """One list to choose, with how much waits in it."""

    label: str
    count: str
    note: str
    tone: str
    href: str
    is_current: bool


@dataclass(frozen=True)
class ScopeRow:
    """One comparison with the provider: what it looks at, how often, how the last run went."""

    name: str
    what: str
    cadence: str
    last: str
    last_age: str
    status: str
    tone: str
    figures: str
    acts: list[Link]


@dataclass(frozen=True)
class Choice:
    """A narrower or another view of the same list."""

    label: str
    href: str
    is_chosen: bool


@dataclass(frozen=True)
class Page:
    """Everything that the page prints."""

    tabs: list[Tab]
    title: str
    what: str
    choices: list[Choice]
    rows: list[Row]
    scopes: list[ScopeRow]
    pager: Pager
    empty: str


def build(visit: Visit, parameters: Mapping[str, str]) -> Page:
    """Read one list and the counts of all; the number of queries does not follow the rows."""
    name = parameters.get("queue", "")
    name = name if name in QUEUES or name == RUNS else "sessions"
    place = paging.read(parameters.get("at", ""))
    with tenancy.platform_scope(reason="console: billing operations"), atomic():
        tabs = _tabs(name, queries.counts())
        last = queries.last_runs()
        schedule = Schedule(last, visit.now)
        if name == RUNS:
            return _runs(tabs, schedule, scope=parameters.get("scope", ""), place=place)
        return _list(name, tabs, schedule, is_ended=parameters.get("state") == ENDED, place=place)


def href_of(queue: str, **more: str) -> str:
    """Lead to one list."""
    return f"{reverse('console:billing-operations')}?{urlencode({'queue': queue, **more})}"


def _tabs(chosen: str, counts: dict[str, dict[str, int]]) -> list[Tab]:
    tabs = []
    for name, queue in QUEUES.items():
        found = counts[name]
        alarming = found["alarming"]
        note = f"{alarming:,} given up" if name != "webhooks" else f"{alarming:,} failed"
        tabs.append(
            Tab(
                queue.label,
                f"{found['waiting']:,}" if found["waiting"] else "",
                note if alarming else "",
                "bad" if alarming else "",
                href_of(name),
                name == chosen,
            )
        )
    return [*tabs, Tab("Comparisons", "", "", "", href_of(RUNS), chosen == RUNS)]


def _list(
    name: str, tabs: list[Tab], schedule: Schedule, *, is_ended: bool, place: paging.Place | None
) -> Page:
    queue = QUEUES[name]
    is_ended = is_ended and bool(queue.ended_label)
    page = paging.slice_by_id(queue.read(is_ended), place=place, is_newest_first=is_ended)
    parameters = {"queue": name} | ({"state": ENDED} if is_ended else {})
    order = "newest first" if is_ended else "longest waiting first"
    choices = []
    if queue.ended_label:
        choices = [
            Choice("Under way", href_of(name), not is_ended),
            Choice(queue.ended_label, href_of(name, state=ENDED), is_ended),
        ]
    return Page(
        tabs=tabs,
        title=f"{queue.label}: {queue.ended_label.lower()}" if is_ended else queue.label,
        what=queue.what,
        choices=choices,
        rows=queue.shape(page.rows, schedule),
        scopes=[],
        pager=page.pager(
            path=reverse("console:billing-operations"),
            parameters=parameters,
            note=f"{words.count(len(page.rows), 'row')} on this page, {order}",
        ),
        empty="There is none yet." if is_ended else queue.empty,
    )


# --- Comparisons ----------------------------------------------------------------------------------
def _runs(tabs: list[Tab], schedule: Schedule, *, scope: str, place: paging.Place | None) -> Page:
    scope = scope if scope in Scope.values else ""
    page = paging.slice_by_id(queries.runs(scope=scope), place=place, is_newest_first=True)
    parameters = {"queue": RUNS} | ({"scope": scope} if scope else {})
    return Page(
        tabs=tabs,
        title=f"Runs of {scope}" if scope else "Runs",
        what="Each comparison of ours with Stripe, newest first.",
        choices=[
            Choice("All", href_of(RUNS), not scope),
            *(Choice(one, href_of(RUNS, scope=one), one == scope) for one in Scope.values),
        ],
        rows=[work_rows.of_run(run, now=schedule.now) for run in page.rows],
        scopes=[_scope(Scope(one), schedule) for one in Scope.values],
        pager=page.pager(
            path=reverse("console:billing-operations"),
            parameters=parameters,
            note=f"{words.count(len(page.rows), 'run')} on this page, newest first",
        ),
        empty="None has run yet.",
    )


def _scope(scope: Scope, schedule: Schedule) -> ScopeRow:
    run = schedule.last.get(scope.value)
    seconds = schedule.every(scope)
    act = {mode: reverse("console:billing-run", args=[scope.value, mode]) for mode in ("run", "dry-run")}
    return ScopeRow(
        name=scope.value,
        what=SCOPES[scope],
        cadence=f"Every {span(seconds)}" if seconds else "By hand only",
        last=words.moment(run.started_at) if run else "",
        last_age=f"{words.age(run.started_at, now=schedule.now)} ago" if run else "Never",
        status=label(run.status) if run else "",
        tone=tone(run.status) if run else "",
        figures=_figures(run) if run else "",
        acts=[Link("Dry run…", act["dry-run"]), Link("Run…", act["run"])],
    )


def _figures(run: ReconciliationRun) -> str:
    seen, differed, repaired = run.scanned_count, run.drift_detected_count, run.repaired_count
    return f"{seen:,} looked at, {differed:,} differed, {repaired:,} repaired"
