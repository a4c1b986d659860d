"""One page of runs, newest first, with what each settled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse

from ops_console import cursors, words
from ops_console.addresses import Address
from ops_console.runs import wording
from settld.core import money
from settld.kernel.models import Run, Settlement

STATUSES: Final = {"created": "Created", "running": "Running", "completed": "Completed", "failed": "Failed"}
MONEY: Final = {
    "locked": "Locked",
    "released": "Released",
    "refunded": "Refunded",
    "review": "Waits for a person",
    "disputed": "In dispute",
}


@dataclass(frozen=True)
class Filters:
    """What the operator looks for; an empty text is any."""

    status: str = ""
    money: str = ""
    agent: str = ""
    q: str = ""
    faults: tuple[str, ...] = ()

    def parameters(self) -> dict[str, str]:
        """Spell the filters for an address."""
        values = {"status": self.status, "money": self.money, "agent": self.agent, "q": self.q}
        return {name: value for name, value in values.items() if value}

    @property
    def statuses(self) -> list[tuple[str, str, bool]]:
        """List the states of a run to choose from."""
        return [(value, label, value == self.status) for value, label in STATUSES.items()]

    @property
    def moneys(self) -> list[tuple[str, str, bool]]:
        """List where the money may stand."""
        return [(value, label, value == self.money) for value, label in MONEY.items()]


@dataclass(frozen=True)
class Row:
    """One run."""

    href: str
    run_id: str
    agent_id: str
    payer: str
    status: str
    tone: str
    amount: str
    settled: str
    settled_tone: str
    dispute: str
    created_at: str


@dataclass(frozen=True)
class Listing:
    """The page."""

    rows: list[Row]
    pager: cursors.Pager
    empty_title: str
    empty_text: str


def read(parameters: Mapping[str, str]) -> Filters:
    """Read the filters from an address; what cannot be understood is left out and said."""
    address = Address(parameters)
    return Filters(
        status=address.one_of("status", tuple(STATUSES), "state"),
        money=address.one_of("money", tuple(MONEY), "place where money stands"),
        agent=address.text("agent"),
        q=address.text("q"),
        faults=tuple(address.faults),
    )


def runs(*, tenant_id: str, filters: Filters) -> QuerySet[Run]:
    """Select the runs that the filters let through."""
    rows = Run.objects.filter(tenant_id=tenant_id)
    if filters.status:
        rows = rows.filter(status=filters.status)
    if filters.agent:
        rows = rows.filter(agent_id=filters.agent)
    if filters.q:
        rows = rows.filter(run_id__startswith=filters.q)
    if filters.money:
        settled = Settlement.objects.filter(tenant_id=tenant_id, run_id=OuterRef("run_id"))
        if filters.money == "review":
            settled = settled.filter(status="locked", decision_status="manual_review_required")
        elif filters.money == "disputed":
            settled = settled.filter(dispute_status="open")
        else:
            settled = settled.filter(status=filters.money)
        rows = rows.filter(Exists(settled))
    return rows


def build(*, tenant_id: str, filters: Filters, place: cursors.Cursor | None) -> Listing:
    """Read a page in two queries, whatever its depth and length."""
    page = cursors.slice_of(runs(tenant_id=tenant_id, filters=filters), by="created_at", place=place)
    ids = [run.run_id for run in page.rows]
    settlements = {row.run_id: row for row in Settlement.objects.filter(tenant_id=tenant_id, run_id__in=ids)}
    return Listing(
        rows=[row_of(run, settlements.get(run.run_id)) for run in page.rows],
        pager=cursors.pager(
            page,
            path=reverse("console:runs"),
            parameters=filters.parameters(),
            note=f"{words.count(len(page.rows), 'run')} on this page",
        ),
        empty_title="No run matches" if filters.parameters() else "No runs yet",
        empty_text="Widen the filters, or clear them."
        if filters.parameters()
        else "POST /agents/{agentId}/runs opens one; with a settlement, its pay is set aside.",
    )


def row_of(run: Run, settlement: Settlement | None) -> Row:
    """Shape one run for a list."""
    return Row(
        href=reverse("console:run", args=[run.run_id]),
        run_id=run.run_id,
        agent_id=run.agent_id,
        payer=settlement.payer_agent_id if settlement else "",
        status=STATUSES[run.status],
        tone=wording.RUN_TONES[run.status],
        amount=money.show(settlement.amount_cents, settlement.currency) if settlement else "",
        settled=_settled(settlement),
        settled_tone=wording.SETTLEMENT_TONES[settlement.status] if settlement else "",
        dispute="In dispute" if settlement and settlement.dispute_status == "open" else "",
        created_at=words.moment(run.created_at),
    )


def _settled(settlement: Settlement | None) -> str:
    if settlement is None:
        return ""
    if settlement.status == "released" and settlement.refunded_cents:
        return f"Released {money.show(settlement.released_cents, settlement.currency)}"
    if settlement.status == "locked" and settlement.decision_status == "manual_review_required":
        return "Waits for a person"
    return words.label(settlement.status)


def search(**parameters: str) -> str:
    """Name the list, narrowed."""
    return f"{reverse('console:runs')}?{urlencode(parameters)}"
