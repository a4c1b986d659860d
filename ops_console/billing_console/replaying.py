"""GET /console/billing/operations/webhooks/{eventId}; GET, POST …/replay"""

import json
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from billing.queries import operations as queries
from billing.services import explorer, permissions, reprocess
from billing.services.reprocess import Reprocessed
from ops_console import shell, words
from ops_console.access import Visit
from ops_console.acts import ActForm
from ops_console.billing_console import acting, event_rows, guard
from ops_console.billing_console.acting import Act, Crumb, Told
from ops_console.billing_console.guard import METHODS, billing_page
from ops_console.billing_console.operations import href_of
from ops_console.billing_console.queue_rows import Row
from ops_console.billing_console.retrying import KEY, LARGEST_ID
from ops_console.billing_console.times import Schedule
from ops_console.billing_console.wording import REASONS, events_href
from ops_console.errors import Fact, plain
from settld.core import clock, tenancy
from settld.core.errors import NotFound
from settld.core.transactions import atomic
from settld.stripe_gateway.models import StripeEventConsumption

MOST_VALUE: Final = 200
EMPTY: Final[tuple[Any, ...]] = (None, "", {}, [])
TABLES: Final[dict[str, str]] = {
    "billing_customers": "Customer",
    "billing_subscriptions": "Subscription",
    "billing_subscription_items": "Subscription item",
    "billing_request_idempotency": "Request",
    "billing_checkout_sessions": "Checkout session",
    "billing_invoices": "Invoice",
    "billing_payments": "Payment",
    "billing_payment_methods": "Payment method",
    "billing_payment_method_sync_events": "Payment method sync",
    "billing_subscription_remediations": "Remediation",
    "billing_outbox_jobs": "Outbox job",
}
KINDS: Final = {
    "changed": "info",
    "created": "good",
    "deleted": "bad",
}  # in the order in which they are shown


@dataclass(frozen=True)
class ColumnChange:
    """One column of a row that would be written."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class RowChange:
    """One row that would be written."""

    what: str
    kind: str
    tone: str
    columns: list[ColumnChange]


@dataclass(frozen=True)
class Preview:
    """What a replay would do now, were it done."""

    text: str
    tone: str
    changes: list[RowChange]
    advice: str = ""


@dataclass(frozen=True)
class EventPage:
    """One event of the inbox."""

    row: Row
    facts: list[Fact]
    payload: str
    note: str


@billing_page(permissions.OPERATIONS)
def event(request: HttpRequest, visit: Visit, event_id: int) -> HttpResponse:
    """Show one event: what Stripe said, and what billing made of it."""
    guard.note_read(request, visit)
    found = _find(event_id)
    context = {"page": _page(found, visit)}
    return shell.page(request, visit, "ops_console/billing_console/event.html", context, key=KEY)


@billing_page(permissions.OPERATIONS, methods=METHODS)
def replay(request: HttpRequest, visit: Visit, event_id: int) -> HttpResponse:
    """Rehearse the event and show what it would change; on POST have it applied."""
    found = _find(event_id)
    back = reverse("console:billing-event", args=[event_id])
    # Raises NothingToRetry for an event that is applied, or that somebody is applying.
    preview = None
    if request.method != "POST":
        preview = preview_of(reprocess.preview(event_id=event_id, actor=visit.actor))

    def apply(form: ActForm) -> Told:
        done = reprocess.reprocess(event_id=event_id, actor=visit.actor, reason=form.values["reason"])
        if done.status == "processed":
            return Told(f"Applied; it was {words.label(done.outcome or 'done').lower()}.", back)
        why = ": ".join(part for part in (done.error_code, done.error) if part)
        return Told(f"It could not be applied. {why}", back, is_good=False)

    form = ActForm(
        action=request.path,
        title="Apply this event now?",
        text="It is applied as if Stripe had just delivered it, its attempts counted anew. What is newer here"
        " stays: an older event changes nothing.",
        button="Apply the event",
        back_href=back,
        tenant_id=found.tenant_id or acting.HOME,
        facts=[
            Fact("Event", found.event.event_type),
            Fact("Id", found.event.provider_event_id, is_code=True),
        ],
        fields=(acting.reason_field("What has changed, so that it can be applied now. Kept in the audit."),),
    )
    crumb = Crumb("Webhook inbox", href_of("webhooks"), f"Replay {found.event.event_type}")
    act = Act(KEY, crumb, form, apply, context={"preview": preview})
    return acting.answer(request, visit, act)


def _find(event_id: int) -> StripeEventConsumption:
    found = queries.event(event_id) if event_id <= LARGEST_ID else None
    if found is None:
        raise NotFound()
    return found


def _page(found: StripeEventConsumption, visit: Visit) -> EventPage:
    with tenancy.platform_scope(reason="console: a webhook event"), atomic():
        whose = queries.entities([found.billable_entity_id])
        schedule = Schedule(queries.last_runs(), visit.now)
    event = found.event
    story = events_href(operationKey=found.operation_key)
    facts = [
        Fact("Event id", event.provider_event_id, events_href(providerEventId=event.provider_event_id), True),
        *([Fact("Operation key", found.operation_key, story, is_code=True)] if found.operation_key else []),
        *([Fact("About", event.object_id, is_code=True)] if event.object_id else []),
        Fact("Made at Stripe", f"{words.moment(event.provider_created_at)} UTC, by its clock"),
        Fact("Received", f"{words.moment(event.received_at)} UTC"),
        Fact("Deliveries", f"{event.delivery_count:,}"),
        Fact("Version", event.provider_api_version or "Not told"),
        Fact("Livemode", plain(event.livemode)),
    ]
    note = "Retention has emptied it. A replay fetches it from Stripe, which keeps events for thirty days."
    return EventPage(
        row=event_rows.of_event(found, whose, schedule=schedule),
        facts=facts,
        payload="" if event.is_scrubbed else _document(event.body),
        note=note if event.is_scrubbed else "",
    )


def _document(body: dict[str, Any]) -> str:
    return json.dumps(explorer.shown(body), indent=2, ensure_ascii=False)


# --- The preview ----------------------------------------------------------------------------------
def preview_of(done: Reprocessed) -> Preview:
    """Put what a rehearsal found into words."""
    if done.status != "processed":
        why = ": ".join(part for part in (done.error_code, done.error) if part)
        return Preview(
            f"As things stand it would fail again. {why}",
            "bad",
            [],
            advice=REASONS.get(done.error_code or "", ""),
        )
    order = list(KINDS)
    changes = [_change(change) for change in sorted(done.changes, key=lambda one: order.index(one["kind"]))]
    text = f"It would be {words.label(done.outcome or 'applied').lower()}"
    if not changes:
        return Preview(f"{text}, and change no row.", "info", [])
    return Preview(f"{text}, and write {words.count(len(changes), 'row')}.", "good", changes)


def _change(change: dict[str, Any]) -> RowChange:
    name = TABLES.get(change["table"], change["table"])
    before, after = change["before"], change["after"]
    columns = [
        ColumnChange(words.label(column), _value(before.get(column)), _value(after.get(column)))
        for column in sorted(before.keys() | after.keys())
        if _differ(before.get(column), after.get(column))
    ]
    what = f"{name} {change['id']}" if change["id"] is not None else name
    return RowChange(what, words.label(change["kind"]), KINDS[change["kind"]], columns)


def _differ(before: Any, after: Any) -> bool:
    """Tell whether there is a change to show; one kind of nothing in place of another is none."""
    return before != after and not (before in EMPTY and after in EMPTY)


def _value(value: Any) -> str:
    if value in EMPTY:
        return ""
    if isinstance(value, str) and "T" in value[:11]:
        try:
            return f"{words.moment(clock.parse_iso(value))} UTC"
        except ValueError:
            pass
    return words.shortened(plain(value), most=MOST_VALUE)
