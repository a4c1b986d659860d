"""One batch, ready to print: a preview, a progress, or results."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Count
from django.urls import reverse

from ops_console import people, words
from ops_console.access import Visit
from ops_console.errors import Fact
from ops_console.mismatches import batch_rows, filters, listing
from ops_console.mismatches.batch_rows import RESULT_LABELS, RESULT_TONES, Row, labels_of
from ops_console.mismatches.members import Member
from ops_console.mismatches.panel import owner_choices
from ops_console.payouts.filters import Choice
from reconciliation.models import TriageBatch, TriageBatchRow
from reconciliation.services.acts import ACTS, Act, Said
from reconciliation.services.batch_freeze import PREVIEW_LASTS
from reconciliation.states import BatchKind, BatchStatus, RowResult, Severity

ROWS = 50


@dataclass(frozen=True)
class Tally:
    """How many rows have one result."""

    label: str
    count: str
    href: str
    tone: str
    is_chosen: bool


@dataclass(frozen=True)
class Page:
    """The page."""

    href: str
    confirm_href: str
    resume_href: str
    results_href: str
    back_href: str
    tenant_id: str
    status: str
    is_file: bool
    act: Act | None
    title: str
    lead: str
    facts: list[Fact]
    tallies: list[Tally]
    rows: list[Row]
    next_href: str
    done_count: int
    row_count: int
    percent: int
    is_expired: bool
    is_cut: bool
    may_confirm: bool
    may_write: bool
    owners: list[Choice]
    severities: list[Choice]
    said: Said


@dataclass(frozen=True)
class Listed:
    """One batch in the list of them."""

    href: str
    title: str
    status: str
    tone: str
    count: str
    by: str
    at: str


def href_of(batch: TriageBatch) -> str:
    """Name a batch's page."""
    return reverse("console:mismatch-batch", args=[batch.pk])


def build(
    batch: TriageBatch,
    *,
    visit: Visit,
    team: list[Member],
    after: str,
    result: str,
    said: Said | None,
) -> Page:
    """Read a batch and one page of its rows; the number of queries is fixed."""
    rows = TriageBatchRow.objects.filter(tenant_id=visit.tenant_id, batch=batch)
    counts = dict(rows.values_list("result").annotate(number=Count("pk")).order_by())
    statuses = dict(rows.values_list("seen_status").annotate(number=Count("pk")).order_by())
    is_file = batch.kind == BatchKind.FILE
    chosen = result if result in (*RowResult.values, "waiting") and result else ""
    some = rows.filter(result="" if chosen == "waiting" else chosen) if chosen else rows
    place = int(after) if after.isascii() and after.isdigit() and len(after) <= 9 else 0
    found = list(some.filter(position__gt=place).order_by("position")[: ROWS + 1])
    names = people.names({batch.created_by, batch.applied_by} - {""})
    waiting = counts.get("", 0)
    is_preview = batch.status == BatchStatus.PREVIEWED
    is_expired = is_preview and batch.created_at < visit.now - PREVIEW_LASTS
    next_href = ""
    if len(found) > ROWS:
        parameters = {"result": chosen, "after": str(found[ROWS - 1].position)}
        next_href = f"{href_of(batch)}?{urlencode({k: v for k, v in parameters.items() if v})}"
    act = ACTS.get(batch.act)
    done = batch.row_count - waiting
    return Page(
        href=href_of(batch),
        confirm_href=reverse("console:mismatch-batch-confirm", args=[batch.pk]),
        resume_href=reverse("console:mismatch-batch-resume", args=[batch.pk]),
        results_href=reverse("console:mismatch-batch-results", args=[batch.pk]),
        back_href=_back(batch),
        tenant_id=visit.tenant_id,
        status=batch.status,
        is_file=is_file,
        act=act,
        title=_title(batch, act),
        lead=_lead(batch, waiting=waiting),
        facts=_facts(batch, statuses, names),
        tallies=_tallies(batch, counts, chosen),
        rows=batch_rows.build(batch, found[:ROWS], tenant_id=visit.tenant_id),
        next_href=next_href,
        done_count=done,
        row_count=batch.row_count,
        percent=100 * done // max(batch.row_count, 1),
        is_expired=is_expired,
        is_cut=batch.is_cut,
        may_confirm=visit.may("finance_write") and is_preview and not is_expired and waiting > 0,
        may_write=visit.may("finance_write"),
        owners=owner_choices(team, chosen=said.owner if said else ""),
        severities=[
            Choice(name, words.label(name), bool(said) and name == said.severity if said else False)
            for name in reversed(Severity.values)
        ],
        said=said or Said(batch.act),
    )


def listed(batches: list[TriageBatch]) -> list[Listed]:
    """Shape batches for their list."""
    names = people.names({batch.applied_by or batch.created_by for batch in batches})
    tones = {"previewed": "quiet", "running": "warn", "done": "good"}
    labels = {"previewed": "Not confirmed", "running": "Running", "done": "Done"}
    return [
        Listed(
            href=href_of(batch),
            title=_title(batch, ACTS.get(batch.act)),
            status=labels[batch.status],
            tone=tones[batch.status],
            count=f"{batch.row_count:,}",
            by=names[batch.applied_by or batch.created_by],
            at=words.moment(batch.applied_at or batch.created_at),
        )
        for batch in batches
    ]


def _title(batch: TriageBatch, act: Act | None) -> str:
    if batch.kind == BatchKind.FILE:
        return f"Changes from {batch.file_name or 'a file'}"
    how = "chosen" if batch.kind == BatchKind.SELECTION else "matching"
    return f"{act.label if act else batch.act}: {words.count(batch.row_count, f'{how} case')}"


def _lead(batch: TriageBatch, *, waiting: int) -> str:
    if batch.status == BatchStatus.DONE:
        return f"Carried out. {words.count(batch.row_count, 'row')} in all."
    if batch.status == BatchStatus.RUNNING:
        return f"{batch.row_count - waiting:,} of {words.count(batch.row_count, 'row')} carried out."
    if batch.kind == BatchKind.FILE:
        return f"{words.count(waiting, 'row')} of {batch.row_count:,} would change. Nothing is changed yet."
    return "Nothing is changed yet. A case that changes before you confirm is left out, and said."


def _facts(batch: TriageBatch, statuses: dict[str, int], names: dict[str, str]) -> list[Fact]:
    rows = []
    change = batch.change or {}
    if change.get("reason"):
        rows.append(Fact("Reason", change["reason"]))
    if batch.act == "assign" and batch.change is not None:
        owner = change.get("owner", "")
        rows.append(Fact("Owner", people.names([owner])[owner] if owner else "Nobody"))
    if batch.act == "severity" and batch.change is not None:
        rows.append(Fact("Severity", words.label(change.get("severity", "")) or "As found"))
    if batch.kind == BatchKind.FILE:
        rows.append(Fact("File hash", batch.file_hash, is_code=True))
    else:
        spread = ", ".join(
            f"{listing.STATUS_LABELS.get(status, status)} {number:,}"
            for status, number in sorted(statuses.items(), key=lambda pair: -pair[1])
        )
        rows.append(Fact("Status before", spread))
        act = ACTS.get(batch.act)
        if act is not None and act.status is not None:
            rows.append(Fact("Status after", listing.STATUS_LABELS[act.status]))
    if batch.filters:
        rows.append(
            Fact(
                "Filter",
                ", ".join(f"{name} {value}" for name, value in batch.filters.items() if name != "home"),
            )
        )
    rows.append(Fact("Preview", f"{names.get(batch.created_by, '')}, {words.moment(batch.created_at)}"))
    if batch.applied_at is not None:
        rows.append(Fact("Confirmed", f"{names.get(batch.applied_by, '')}, {words.moment(batch.applied_at)}"))
    if batch.finished_at is not None:
        rows.append(Fact("Finished", words.moment(batch.finished_at)))
    return rows


def _tallies(batch: TriageBatch, counts: dict[str, int], chosen: str) -> list[Tally]:
    labels = labels_of(batch)
    found = []
    for value in RowResult.values:
        if not (number := counts.get(value, 0)):
            continue
        name = value or "waiting"
        is_chosen = chosen == name
        href = href_of(batch) if is_chosen else f"{href_of(batch)}?{urlencode({'result': name})}"
        label = labels.get(value, RESULT_LABELS[value])
        found.append(Tally(label, f"{number:,}", href, RESULT_TONES[value], is_chosen))
    return found


def _back(batch: TriageBatch) -> str:
    return filters.read(batch.filters or {}).address()
