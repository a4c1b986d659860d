"""Rows of the webhook inbox: what billing made of each event, or why it could not."""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final

from django.urls import reverse

from billing.queries import operations as queries
from billing.services.reprocess import WIRE_STATUS
from ops_console import words
from ops_console.billing_console import next_steps, queue_rows
from ops_console.billing_console.queue_rows import Link, Row, Whose
from ops_console.billing_console.times import Schedule
from ops_console.billing_console.wording import REASONS, events_href, label
from ops_console.errors import Fact
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.states import ConsumptionStatus

_TONES: Final = {
    ConsumptionStatus.DONE: "good",
    ConsumptionStatus.FAILED: "warn",
    ConsumptionStatus.DEAD: "bad",
}
_CLASS: Final = re.compile(r"\A[A-Z][A-Za-z]+: ")  # the class that a failure is kept with, beside its code


def of_events(found: Sequence[StripeEventConsumption], *, schedule: Schedule) -> list[Row]:
    """Shape events of the inbox; two queries for any number of them."""
    whose = queries.entities(row.billable_entity_id for row in found)
    return [of_event(row, whose, schedule=schedule) for row in found]


def of_event(row: StripeEventConsumption, whose: Whose, *, schedule: Schedule) -> Row:
    """Shape one event; it leads to its page."""
    href = reverse("console:billing-event", args=[row.event_id])
    return Row(
        title=row.event.event_type,
        sub=row.event.provider_event_id,
        href=href,
        owner=queue_rows.owner_of(row.billable_entity_id, whose),
        status="Given up" if row.status == ConsumptionStatus.DEAD else label(wire_status(row)),
        tone=_TONES.get(ConsumptionStatus(row.status), "info"),
        next_step=next_steps.of_event(row, schedule=schedule),
        facts=[
            *queue_rows.code(
                "Operation", words.short(row.operation_key), events_href(operationKey=row.operation_key)
            ),
            *queue_rows.times(("Received", row.event.received_at), ("Failed", row.last_failed_at)),
            Fact("Attempts", str(row.attempts)),
            *([Fact("Outcome", words.label(row.outcome))] if row.outcome else []),
        ],
        lease=f"{row.lease_owner} until {words.moment(row.lease_expires_at)[11:]}" if row.lease_owner else "",
        error=reason_of(row),
        advice=REASONS.get(row.error_code, "") if is_open(row) else "",
        acts=[Link("Preview and replay…", f"{href}/replay")] if may_replay(row, now=schedule.now) else [],
    )


def wire_status(row: StripeEventConsumption) -> str:
    """Name where an event stands by the words of the API."""
    return WIRE_STATUS[ConsumptionStatus(row.status)]


def is_open(row: StripeEventConsumption) -> bool:
    """Tell whether there is anything left to apply."""
    return row.status != ConsumptionStatus.DONE


def may_replay(row: StripeEventConsumption, *, now: dt.datetime) -> bool:
    """Tell whether an operator may have it applied: it is not done, and nobody is at it."""
    is_held = row.status == ConsumptionStatus.LEASED and (
        row.lease_expires_at is None or row.lease_expires_at > now
    )
    return is_open(row) and not is_held


def reason_of(row: StripeEventConsumption) -> str:
    """Give why it failed: the code, and the words that go with it."""
    return ": ".join(part for part in (row.error_code, _CLASS.sub("", row.error, count=1)) if part)
