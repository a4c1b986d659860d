"""The timeline of one entity, in words for whoever pays (spec 7.6)."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from billing.models import BillableEntity
from billing.queries import activity
from billing.queries.activity import Entry, Filters, Place, Window

LABELS: Final = {
    "idempotency": "Request",
    "checkout_session": "Checkout",
    "subscription": "Subscription",
    "invoice": "Invoice",
    "payment": "Payment",
    "payment_method_sync": "Payment Methods",
    "outbox_job": "Automation",
    "remediation": "Recovery",
    "reconciliation_run": "Reconciliation",
    "webhook": "Webhook",
}


@dataclass(frozen=True)
class Line:
    """One entry of a timeline."""

    id: str
    occurred_at: dt.datetime
    kind: str
    status: str
    title: str
    description: str
    provider: str | None
    operation_key: str | None
    provider_event_id: str | None
    source_id: int


@dataclass(frozen=True)
class Page:
    """One page, and the cursor of the next; None on the last."""

    lines: list[Line]
    next_cursor: str | None


def entries(
    *,
    entity: BillableEntity,
    size: int,
    page: int = 1,
    after: Place | None = None,
    source: str = "",
    operation_key: str = "",
    provider_event_id: str = "",
) -> Page:
    """Read a page of an entity's timeline, newest first; `after` goes before `page`. Its scope is entered."""
    filters = Filters(
        entity_ids=(entity.pk,),
        source=source,
        operation_key=operation_key,
        provider_event_id=provider_event_id,
    )
    offset = 0 if after is not None else (page - 1) * size
    found = activity.read(filters, Window(size=size, offset=offset, after=after))
    shown = found[:size]
    has_more = len(found) > size
    return Page([line(entry) for entry in shown], shown[-1].place.write() if has_more else None)


def line(entry: Entry) -> Line:
    """Put an entry into words."""
    label = LABELS[entry.source]
    return Line(
        id=entry.id,
        occurred_at=entry.occurred_at,
        kind=entry.source,
        status=entry.status,
        title=f"{label} {words(entry.status).title()}",
        description=entry.message or _sentence(entry),
        provider=entry.provider,
        operation_key=entry.operation_key,
        provider_event_id=entry.provider_event_id,
        source_id=entry.source_id,
    )


def words(name: str) -> str:
    """Write a word of the machine as people do."""
    return name.replace("_", " ").replace(".", " ")


def _sentence(entry: Entry) -> str:
    status, event_type = words(entry.status), words(entry.event_type)
    if entry.source == "idempotency":
        return f"The {event_type} request is {status}."
    if entry.source == "checkout_session":
        return f"The {event_type} checkout session is {status}."
    if entry.source in ("subscription", "invoice"):
        return f"The {entry.source} is {status}."
    if entry.source == "payment":
        return f"The payment by {event_type} is {status}."
    if entry.source == "payment_method_sync":
        return f"Payment methods were updated ({event_type}): {status}."
    if entry.source == "webhook":
        return f"The provider's event {entry.event_type} is {status}."
    return f"The task to {event_type} is {status}."
