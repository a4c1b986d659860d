"""One page of the queue, with the counts that lead to parts of it."""

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from moneyrails.models import Operation
from ops_console import people, words
from ops_console.access import Visit
from ops_console.cursors import ROWS, Pager
from ops_console.mismatches import filters as addresses
from ops_console.mismatches import sides
from ops_console.mismatches.filters import MINE, NOBODY, STANDING_LABELS, Filters
from ops_console.mismatches.members import Member
from ops_console.mismatches.stories import STORIES
from ops_console.payouts.filters import Choice
from ops_console.payouts.listing import href_of
from reconciliation.models import Mismatch
from reconciliation.queries import case_counts, case_queue
from reconciliation.queries.case_counts import Counts
from reconciliation.queries.case_queue import COUNTED_MOST
from reconciliation.states import Severity, SourceType, TriageStatus

STATUS_TONES = {"open": "info", "acknowledged": "info", "in_progress": "warn", "resolved": "good"}
STATUS_LABELS = {
    "open": "Open",
    "acknowledged": "Acknowledged",
    "in_progress": "In progress",
    "resolved": "Resolved",
    "dismissed": "Dismissed",
}


@dataclass(frozen=True)
class Row:
    """One case in the list."""

    triage_key: str
    href: str
    page_href: str
    title: str
    code: str
    about: str
    about_href: str
    expected: str
    actual: str
    expected_label: str
    actual_label: str
    period: str
    provider_id: str
    severity: str
    tone: str
    is_overridden: bool
    age: str
    first_seen_at: str
    owner: str
    is_mine: bool
    status: str
    status_tone: str
    is_drifted: bool
    is_gone: bool
    is_opened: bool


@dataclass(frozen=True)
class Chip:
    """One count that narrows the queue to what it counts."""

    label: str
    count: str
    href: str
    tone: str
    is_chosen: bool


@dataclass(frozen=True)
class Choices:
    """The options of the filters."""

    statuses: list[Choice]
    sources: list[Choice]
    types: list[Choice]
    severities: list[Choice]
    owners: list[Choice]
    providers: list[Choice]
    ages: list[Choice]
    orders: list[Choice]


@dataclass(frozen=True)
class Listing:
    """The page."""

    rows: list[Row]
    chips: list[tuple[str, list[Chip]]]
    choices: Choices
    pager: Pager
    count: int
    count_text: str
    counts_note: str
    query: str
    csv_href: str
    xlsx_href: str
    empty_title: str
    empty_text: str


def build(*, visit: Visit, filters: Filters, place: str, opened: str, team: list[Member]) -> Listing:
    """Read one page and its counts; the number of queries is fixed."""
    wanted = filters.wanted(principal_id=visit.principal.principal_id, now=visit.now)
    page = case_queue.page(
        tenant_id=visit.tenant_id,
        wanted=wanted,
        is_by_age=filters.is_by_age,
        place=addresses.read_place(place) if place else None,
        limit=ROWS,
    )
    counts = case_counts.counts(tenant_id=visit.tenant_id, wanted=wanted)
    operations = operations_of(tenant_id=visit.tenant_id, cases=page.rows)
    names = people.names({row.triage_owner for row in page.rows if row.triage_owner} | set(counts.by_owner))

    def link(place: case_queue.Place | None) -> str:
        return filters.address(at=addresses.write_place(place)) if place else ""

    return Listing(
        rows=[
            row_of(
                case,
                visit=visit,
                operation=operations.get(operation_id_of(case)),
                names=names,
                href=filters.address(at=place, case=case.triage_key),
                is_opened=case.triage_key == opened,
            )
            for case in page.rows
        ],
        chips=_chips(counts, filters=filters, names=names, me=visit.principal.principal_id),
        choices=_choices(filters, counts, team),
        pager=Pager(
            note="Newest first" if filters.is_by_age else "Most urgent first, then oldest",
            previous_href=link(page.previous),
            next_href=link(page.following),
        ),
        count=counts.total,
        count_text=f"{COUNTED_MOST:,}+" if counts.is_capped else f"{counts.total:,}",
        counts_note=f"Of the {COUNTED_MOST:,} most urgent" if counts.is_partial else "",
        query=filters.query(),
        csv_href=f"{reverse('console:mismatches-csv')}{filters.query()}" if page.rows else "",
        xlsx_href=f"{reverse('console:mismatches-xlsx')}{filters.query()}" if page.rows else "",
        empty_title="Nothing matches" if filters.is_set else "No open mismatch",
        empty_text="No case in this tenant matches all of these."
        if filters.is_set
        else "At the last comparison, providers and books agreed. Each reconciliation looks again.",
    )


def operation_id_of(case: Mismatch) -> str:
    """Name the payout that a case is about; blank when it is about something else."""
    named = case.details.get("operationId") if isinstance(case.details, dict) else None
    return named if isinstance(named, str) else ""


def operations_of(*, tenant_id: str, cases: list[Mismatch]) -> dict[str, Operation]:
    """Find the payouts that some cases are about; one query."""
    wanted = {name for case in cases if (name := operation_id_of(case))}
    rows = Operation.objects.filter(tenant_id=tenant_id, operation_id__in=wanted)
    return {row.operation_id: row for row in rows}


def about(case: Mismatch, operation: Operation | None) -> str:
    """Name what a case is about: party and month where they are known."""
    if operation is not None:
        return f"{operation.party_id} {operation.period}"
    if case.source_type == SourceType.FINANCE:
        return case.mismatch_key.replace("|", ", ")
    return words.payout_subject(operation_id_of(case) or case.mismatch_key)


def status_of(case: Mismatch) -> tuple[str, str]:
    """Give the word and the tone for how a case stands."""
    if case.cleared_at is not None and case.resolved_at is None:
        return "No longer found", "quiet"
    return STATUS_LABELS[case.triage_status], STATUS_TONES.get(case.triage_status, "quiet")


def row_of(
    case: Mismatch,
    *,
    visit: Visit,
    operation: Operation | None,
    names: dict[str, str],
    href: str,
    is_opened: bool,
) -> Row:
    """Shape one case for the list."""
    currency = operation.currency if operation is not None else ""
    expected, actual = sides.headline(case, currency=currency)
    story = sides.story_of(case)
    status, tone = status_of(case)
    severity = case.shown_severity
    return Row(
        triage_key=case.triage_key,
        href=href,
        page_href=reverse("console:mismatch", args=[case.triage_key]),
        title=sides.title_of(case.mismatch_type),
        code=case.mismatch_code,
        about=about(case, operation),
        about_href=href_of(operation) if operation is not None else "",
        expected=expected,
        actual=actual,
        expected_label=story.sides[0],
        actual_label=story.sides[1],
        period=case.period,
        provider_id=case.provider_id,
        severity=words.label(severity),
        tone=words.SEVERITY_TONES[severity],
        is_overridden=bool(case.triage_severity) and case.triage_severity != case.severity,
        age=words.age(case.first_seen_at, now=visit.now),
        first_seen_at=words.moment(case.first_seen_at),
        owner=names.get(case.triage_owner, case.triage_owner),
        is_mine=case.triage_owner == visit.principal.principal_id,
        status=status,
        status_tone=tone,
        is_drifted=case.is_drifted,
        is_gone=case.cleared_at is not None,
        is_opened=is_opened,
    )


# --- Counts and choices ---------------------------------------------------------------------------
def _chips(
    counts: Counts, *, filters: Filters, names: dict[str, str], me: str
) -> list[tuple[str, list[Chip]]]:
    def shown(number: int) -> str:
        if number > COUNTED_MOST:
            return f"{COUNTED_MOST:,}+"
        return f"{number:,}+" if counts.is_partial else f"{number:,}"

    def chip(name: str, value: str, label: str, number: int, tone: str = "") -> Chip:
        is_chosen = getattr(filters, name) == value
        href = filters.address(**{name: "" if is_chosen else value})
        return Chip(label, shown(number), href, tone, is_chosen)

    owners = []
    for owner, number in list(counts.by_owner.items())[:8]:
        value = NOBODY if owner == "" else MINE if owner == me else owner
        label = {NOBODY: "Nobody", MINE: "Mine"}.get(value, names.get(owner, owner))
        owners.append(chip("owner", value, label, number))
    return [
        (
            "Severity",
            [
                chip("severity", name, words.label(name), number, words.SEVERITY_TONES[name])
                for name, number in counts.by_severity.items()
            ],
        ),
        (
            "Type",
            [chip("type", name, sides.title_of(name), number) for name, number in counts.by_type.items()],
        ),
        ("Owner", owners),
        (
            "Status",
            [
                chip("status", "new" if name == "open" else name, STATUS_LABELS[name], counts.by_status[name])
                for name in TriageStatus.values
                if counts.by_status.get(name)
            ],
        ),
    ]


def _choices(filters: Filters, counts: Counts, team: list[Member]) -> Choices:
    def of(pairs: dict[str, str], chosen: str) -> list[Choice]:
        known = pairs if not chosen or chosen in pairs else {**pairs, chosen: chosen}
        return [Choice(value, label, value == chosen) for value, label in known.items()]

    types = {name: sides.title_of(name) for name in [*counts.by_type, *STORIES]}
    return Choices(
        statuses=of(
            {name if name != "waiting" else "": label for name, label in STANDING_LABELS.items()},
            filters.status,
        ),
        sources=of(addresses.SOURCE_LABELS, filters.source),
        types=of(dict(sorted(types.items(), key=lambda pair: pair[1])), filters.type),
        severities=of({name: words.label(name) for name in reversed(Severity.values)}, filters.severity),
        owners=of(
            {MINE: "Mine", NOBODY: "Nobody"} | {one.principal_id: one.name for one in team}, filters.owner
        ),
        providers=of({name: name for name in settings.MONEY_RAILS.providers}, filters.provider),
        ages=of({name: label for name, (label, _) in addresses.AGES.items()}, filters.age),
        orders=of(addresses.ORDERS, filters.order),
    )


def since(instant: dt.datetime | None, *, now: dt.datetime) -> str:
    """Write an instant with its age."""
    return f"{words.moment(instant)} ({words.age(instant, now=now)} ago)" if instant else ""
