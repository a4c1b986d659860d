"""Rows of the operations page: what each is, whose, where it stands, and what happens next."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.models import BillableEntity, BillingRequest, CheckoutSession
from billing.queries import operations as queries
from ops_console import words
from ops_console.billing_console import next_steps
from ops_console.billing_console.times import Countdown, Schedule, countdown
from ops_console.billing_console.wording import ACTIONS, FLOWS, events_href, label, tone
from ops_console.errors import Fact

Whose = dict[int, tuple[BillableEntity, str]]


@dataclass(frozen=True)
class Link:
    """An act on offer, or a place that a row leads to."""

    label: str
    href: str


@dataclass(frozen=True)
class Row:
    """One row, whatever table it is of."""

    title: str
    sub: str
    href: str
    owner: Link
    status: str
    tone: str
    next_step: str
    facts: list[Fact] = field(default_factory=list)
    lease: str = ""
    countdown: Countdown | None = None
    countdown_prefix: str = ""
    error: str = ""
    advice: str = ""
    acts: list[Link] = field(default_factory=list)


def name_of(entity_id: int | None, whose: Whose) -> str:
    """Name an entity as people know it."""
    if entity_id is None:
        return ""
    entity, workspace = whose.get(entity_id, (None, ""))
    if entity is None:
        return f"Entity {entity_id}"
    return workspace or entity.workspace_id or entity.entity_ref or f"Entity {entity_id}"


def owner_of(entity_id: int | None, whose: Whose) -> Link:
    """Say whose a row is; it leads to what happened to them."""
    return Link(name_of(entity_id, whose), events_href(billableEntityId=entity_id))


def times(*pairs: tuple[str, dt.datetime | None]) -> list[Fact]:
    """Give the instants that are known, labelled."""
    return [Fact(name, f"{words.moment(at)}") for name, at in pairs if at is not None]


def code(name: str, value: str | None, href: str = "") -> list[Fact]:
    """Give an identifier, labelled, if there is one."""
    return [Fact(name, value, href=href, is_code=True)] if value else []


# --- Sessions, holds, requests --------------------------------------------------------------------
def of_sessions(found: Sequence[CheckoutSession], *, schedule: Schedule) -> list[Row]:
    """Shape sessions and holds; three queries for any number of them."""
    whose = queries.entities(row.billable_entity_id for row in found)
    requests = queries.requests_of(found)
    return [
        _of_session(row, requests.get(row.idempotency_row_id or 0), whose, schedule=schedule) for row in found
    ]


def _of_session(
    row: CheckoutSession, request: BillingRequest | None, whose: Whose, *, schedule: Schedule
) -> Row:
    is_running = row.status in (*queries.RUNNING, queries.HOLD)
    story = events_href(operationKey=row.operation_key)
    return Row(
        title=FLOWS.get(row.flow, row.flow),
        sub=row.provider_checkout_session_id or "No session known at Stripe",
        href=story,
        owner=owner_of(row.billable_entity_id, whose),
        status=label(row.status),
        tone=tone(row.status),
        next_step=next_steps.of_session(row, schedule=schedule),
        facts=[
            *code("Operation", words.short(row.operation_key), story),
            *times(("Begun", row.created_at), ("Paid", row.completed_at), ("Last read", row.last_read_at)),
            *code("Subscription", row.provider_subscription_id),
        ],
        lease=lease_of(request, now=schedule.now),
        countdown=countdown(row.expires_at, now=schedule.now) if is_running and row.expires_at else None,
        countdown_prefix="Hold: " if row.status == queries.HOLD else "Ends: ",
        error=words.label(row.status_reason) if row.status_reason else "",
    )


def lease_of(request: BillingRequest | None, *, now: dt.datetime) -> str:
    """Say who works on the request behind a row."""
    if request is None:
        return "No request is kept"
    if not request.is_pending:
        return f"Request {label(request.status).lower()}"
    until = request.pending_lease_expires_at
    if until is None or until <= now:
        return "Request pending, nobody on it"
    return f"{request.lease_owner or 'A process'} until {words.moment(until)[11:]}"


def of_requests(found: Sequence[BillingRequest], *, now: dt.datetime) -> list[Row]:
    """Shape requests; two queries for any number of them."""
    whose = queries.entities(row.billable_entity_id for row in found)
    return [_of_request(row, whose, now=now) for row in found]


def _of_request(row: BillingRequest, whose: Whose, *, now: dt.datetime) -> Row:
    story = events_href(operationKey=row.operation_key)
    deadline = row.provider_idempotency_replay_deadline_at
    reason = row.failure_reason or ""
    return Row(
        title=ACTIONS.get(row.action, row.action),
        sub=row.client_idempotency_key,
        href=story,
        owner=owner_of(row.billable_entity_id, whose),
        status=label(row.status),
        tone=tone(row.status),
        next_step=next_steps.of_request(row, now=now),
        facts=[
            *code("Operation", words.short(row.operation_key), story),
            *times(("Begun", row.created_at), ("Last attempt", row.last_recovery_attempt_at)),
            *code("Session", row.provider_session_id),
        ],
        lease=lease_of(row, now=now) if row.is_pending else "",
        countdown=countdown(deadline, now=now) if row.is_pending and deadline else None,
        countdown_prefix="Replay: ",
        error=f"{row.failure_code}: {reason}" if row.failure_code else "",
    )
