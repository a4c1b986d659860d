"""One case: both sides, what to do, what people did, and the form to decide with."""

import uuid
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from django.urls import reverse

from moneyrails.models import Operation
from ops_console import people, words
from ops_console.access import Visit
from ops_console.errors import Fact
from ops_console.mismatches import evidence, history, listing, postings, sides
from ops_console.mismatches.evidence import Table
from ops_console.mismatches.filters import FINANCE, Filters
from ops_console.mismatches.history import Entry
from ops_console.mismatches.members import Member
from ops_console.mismatches.postings import Postings
from ops_console.mismatches.sides import Change, Pair
from ops_console.payouts.filters import Choice
from ops_console.payouts.listing import href_of
from reconciliation.models import Mismatch, ReconcileReport, Triage, TriageAction
from reconciliation.queries import triage as queries
from reconciliation.services import acts
from reconciliation.states import Severity, Side, SourceType
from settld.core.errors import NotFound


class CaseNotFound(NotFound):
    """There is no such case in this tenant."""

    message = "mismatch not found"


@dataclass(frozen=True)
class Version:
    """A decision as it stands, or as somebody wanted it."""

    title: str
    facts: list[Fact]


@dataclass(frozen=True)
class Form:
    """The form: what it saw, and what was filled in before it was refused."""

    action: str
    tenant_id: str
    revision: int
    seen_hash: str
    idempotency_key: str
    act: str = ""
    owner: str = ""
    other_owner: str = ""
    severity: str = ""
    reason: str = ""
    status: str = ""
    step: str = ""


@dataclass(frozen=True)
class Panel:
    """The panel."""

    triage_key: str
    title: str
    about: str
    means: str
    problem: str
    advice: str
    sides: tuple[str, str]
    expected: str
    actual: str
    pairs: list[Pair]
    facts: list[Fact]
    badges: list[tuple[str, str]]
    standing: list[Fact]
    note: str
    drift: list[Change]
    is_drifted: bool
    drift_note: str
    links: list[Fact]
    history: list[Entry]
    may_write: bool
    form: Form
    owners: list[Choice]
    severities: list[Choice]
    buttons: list[acts.Act]
    page_href: str
    close_href: str
    back: str = ""
    home_label: str = "Mismatches"
    is_whole: bool = False
    statuses: list[Choice] = field(default_factory=list)
    postings: Postings | None = None
    table: Table | None = None
    yours: Version | None = None
    stands: Version | None = None


@dataclass(frozen=True)
class Records:
    """Everything about a case."""

    case: Mismatch
    standing: Triage | None
    history: list[TriageAction]
    operation: Operation | None
    report: ReconcileReport | None


def load(*, tenant_id: str, triage_key: str) -> Records:
    """Read a case in five queries at most, its postings apart; CaseNotFound."""
    case = Mismatch.objects.filter(tenant_id=tenant_id, triage_key=triage_key).first()
    if case is None:
        raise CaseNotFound()
    standing = queries.overlay(tenant_id=tenant_id, triage_keys=[triage_key]).get(triage_key)
    actions = queries.history(tenant_id=tenant_id, triage_keys=[triage_key]).get(triage_key, [])
    operations = listing.operations_of(tenant_id=tenant_id, cases=[case])
    report = None
    if case.last_report_hash:
        report = ReconcileReport.objects.filter(
            tenant_id=tenant_id,
            period=case.period,
            provider_id=case.provider_id,
            report_hash=case.last_report_hash,
        ).first()
    return Records(case, standing, actions, operations.get(listing.operation_id_of(case)), report)


def build(found: Records, *, visit: Visit, team: list[Member]) -> Panel:
    """Shape a case for its panel."""
    case, standing = found.case, found.standing
    currency = found.operation.currency if found.operation is not None else ""
    story = sides.story_of(case)
    expected, actual = sides.headline(case, currency=currency)
    names = people.names(
        {action.actor_principal_id for action in found.history}
        | {action.owner_principal_id for action in found.history if action.owner_principal_id}
    )
    names |= {member.principal_id: member.name for member in team}
    form = fresh_form(found, visit=visit)
    drift, drift_note = _drift(found, currency)
    return Panel(
        triage_key=case.triage_key,
        title=sides.title_of(case.mismatch_type),
        about=listing.about(case, found.operation),
        means=evidence.means(case, story),
        problem=_problem(case),
        advice=evidence.advice(case, story),
        sides=story.sides,
        expected=expected or "See below",
        actual=actual or "See below",
        pairs=sides.pairs(case, currency=currency),
        facts=sides.facts(case, currency=currency),
        badges=_badges(case),
        standing=standing_facts(found, names=names, visit=visit),
        note=standing.notes if standing is not None else "",
        drift=drift,
        is_drifted=case.is_drifted,
        drift_note=drift_note,
        links=_links(found),
        history=history.build(found.history, names),
        may_write=visit.may("finance_write"),
        form=form,
        owners=owner_choices(team, chosen=form.owner),
        severities=[
            Choice(name, words.label(name), name == form.severity) for name in reversed(Severity.values)
        ],
        buttons=_buttons(case),
        statuses=status_choices(form.status),
        postings=postings.build(case),
        table=evidence.table(case),
        page_href=reverse("console:mismatch", args=[case.triage_key]),
        close_href=reverse("console:mismatches"),
    )


def leading_back(shown: Panel, filters: Filters) -> Panel:
    """Have a panel lead back to the queue that it was opened from."""
    back = filters.query().removeprefix("?")
    page_href = f"{shown.page_href}?{urlencode({'back': back})}" if filters.home else shown.page_href
    return replace(
        shown,
        back=back,
        close_href=filters.address(),
        page_href=page_href,
        home_label=filters.home_label,
        is_whole=filters.home == FINANCE,
    )


def fresh_form(found: Records, *, visit: Visit) -> Form:
    """Give a form that saw the case as it stands, with a key of its own."""
    case = found.case
    return Form(
        action=reverse("console:mismatch-decide", args=[case.triage_key]),
        tenant_id=visit.tenant_id,
        revision=found.standing.revision if found.standing is not None else 0,
        seen_hash=case.mismatch_hash,
        idempotency_key=str(uuid.uuid4()),
        owner=case.triage_owner,
        severity=case.triage_severity,
        status=case.triage_status,
    )


def status_choices(chosen: str) -> list[Choice]:
    """List how a case may stand."""
    return [Choice(name, label, name == chosen) for name, label in listing.STATUS_LABELS.items()]


def owner_choices(team: list[Member], *, chosen: str) -> list[Choice]:
    """List whom a case can be given to; an owner from elsewhere stays in the list."""
    named = {member.principal_id: member.name for member in team}
    if chosen and chosen not in named:
        named[chosen] = chosen
    return [Choice(value, label, value == chosen) for value, label in named.items()]


def standing_facts(found: Records, *, names: dict[str, str], visit: Visit) -> list[Fact]:
    """List how a case stands."""
    case, standing = found.case, found.standing
    status, _ = listing.status_of(case)
    rows = [
        Fact("Status", f"{status}, drifted" if case.is_drifted else status),
        Fact("Owner", names.get(case.triage_owner, case.triage_owner) or "Nobody"),
        Fact("Severity", _severity(case)),
        Fact("Period", case.period or "None"),
        Fact("Provider", case.provider_id or "None"),
        Fact("First seen", listing.since(case.first_seen_at, now=visit.now)),
        Fact("Last seen", listing.since(case.last_seen_at, now=visit.now)),
    ]
    if case.cleared_at is not None:
        rows.append(Fact("Not found since", listing.since(case.cleared_at, now=visit.now)))
    if standing is not None and standing.resolved_at is not None:
        by = names.get(standing.resolved_by_principal_id, standing.resolved_by_principal_id)
        rows.append(Fact("Closed by", f"{by}, {words.moment(standing.resolved_at)}"))
    rows.append(Fact("Revision", str(standing.revision if standing is not None else 0)))
    return rows


def _severity(case: Mismatch) -> str:
    shown = words.label(case.shown_severity)
    is_set = case.triage_severity and case.triage_severity != case.severity
    return f"{shown}, found as {case.severity}" if is_set else shown


def _badges(case: Mismatch) -> list[tuple[str, str]]:
    status, tone = listing.status_of(case)
    badges = [
        (words.SEVERITY_TONES[case.shown_severity], words.label(case.shown_severity)),
        (tone, status),
    ]
    if case.is_drifted:
        badges.append(("bad", "Drifted"))
    return badges


def _problem(case: Mismatch) -> str:
    """Give what whoever filed the case said is wrong, when they did."""
    said = case.details.get("problem") if isinstance(case.details, dict) else None
    return said[:1].upper() + said[1:] + "." if isinstance(said, str) and said else ""


def _drift(found: Records, currency: str) -> tuple[list[Change], str]:
    case, standing = found.case, found.standing
    if standing is None or not case.is_drifted:
        return [], ""
    before = acts.seen_details(standing)
    note = (
        f"Decided about {words.short(standing.mismatch_hash)}, it is {words.short(case.mismatch_hash)} now."
    )
    return (sides.changes(before, case, currency=currency) if before is not None else []), note


def _buttons(case: Mismatch) -> list[acts.Act]:
    names = {
        "open": ("acknowledge", "start", "resolve", "dismiss"),
        "acknowledged": ("start", "resolve", "dismiss", "reopen"),
        "in_progress": ("acknowledge", "resolve", "dismiss", "reopen"),
        "resolved": ("resolve", "dismiss", "reopen") if case.is_drifted else ("dismiss", "reopen"),
        "dismissed": ("dismiss", "resolve", "reopen") if case.is_drifted else ("resolve", "reopen"),
    }[case.triage_status]
    return [acts.ACTS[name] for name in names]


def _links(found: Records) -> list[Fact]:
    case, operation = found.case, found.operation
    details = case.details if isinstance(case.details, dict) else {}
    party = operation.party_id if operation is not None else str(details.get("partyId") or "")
    links = []
    if operation is not None:
        links.append(Fact("Payout", words.payout_subject(operation.operation_id), href=href_of(operation)))
    if case.mismatch_type == "indeterminate_operation":
        links.append(_link("Unknown outcomes", "Settle it there", "unknown-outcomes"))
    if case.source_type == SourceType.INVARIANT:
        links.append(_link("Controls", "The stop of payouts", "controls"))
    if party and case.period:
        links.append(
            _link("Statement", f"{party} {case.period}", "statements", period=case.period, party=party)
        )
    if party:
        links.append(_link("Party ledger", party, "chargebacks", party=party))
        links.append(_link("All payouts", party, "payouts", party=party))
    if found.report is not None and found.report.side != Side.FINANCE:
        name = found.report.artifact_id
        links.append(Fact("Report", name, href=reverse("console:reconciliation-report", args=[name])))
    links.append(_link("Audit", "Every decision about this case", "audit", target=case.triage_key))
    return links


def _link(label: str, text: str, name: str, **query: str) -> Fact:
    tail = f"?{urlencode(query)}" if query else ""
    return Fact(label, text, href=f"{reverse(f'console:{name}')}{tail}")
