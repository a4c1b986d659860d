"""Projecting a provider's invoice and its payments onto our rows (spec/checkout-billing.md 8.7)."""

import datetime as dt
from typing import Final

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, Customer, Invoice, Subscription
from billing.provider_time import ProviderTime
from billing.providers.facts import InvoiceFacts
from billing.services import correlation, customers, guardrails, ordering, payments, refs, resolution, rows
from billing.services.ordering import EventStamp
from billing.states import PROVIDER, Flow, InvoiceStatus
from settld.core import rows as core_rows

PAID: Final = "invoice.paid"


def project(
    *,
    entity: BillableEntity,
    facts: InvoiceFacts,
    event: EventStamp | None,
    snapshot_at: ProviderTime | None,
    is_uncertain: bool = False,
    now: dt.datetime,
) -> Invoice:
    """Write an invoice and what is known of its payments; link it to its subscription, or let it wait.

    Inside the caller's transaction, the entity locked. `event` has been placed already (`ordering.settle`);
    facts of a look (`snapshot_at`) that is older than the row are dropped here. An invoice writes neither
    subscriptions nor sessions. Raises CorrelationMismatch (409) for a customer that is another entity's, or
    whom nothing of ours vouches for.
    """
    row = _lock(entity, facts.id)
    if row is not None and event is None and ordering.is_outdated(row, snapshot_at):
        return row
    payer = _payer(entity, facts, event=event, now=now)
    if row is None:
        row = Invoice(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            billing_customer=payer,
            provider=PROVIDER,
            provider_invoice_id=facts.id,
        )
    _fill(row, facts, event=event)
    row.needs_reconciliation = is_uncertain
    ordering.stamp(row, event=event, snapshot_at=snapshot_at, is_uncertain=is_uncertain)
    _write(row)
    for seen in payments.seen_in(facts, event=event):
        payments.record(invoice=row, seen=seen, event=event, snapshot_at=snapshot_at)
    return row


def stored(tenant_id: str, provider_invoice_id: str) -> Invoice | None:
    """Read the row of a provider's invoice; the tenant's scope is entered, no lock is taken."""
    return core_rows.first(
        Invoice,
        "tenant_id = %s AND provider = %s AND provider_invoice_id = %s",
        [tenant_id, PROVIDER, provider_invoice_id],
    )


def _lock(entity: BillableEntity, provider_invoice_id: str) -> Invoice | None:
    """Lock and read the row; that it may be another entity's shows at the insert."""
    return core_rows.first(
        Invoice,
        "tenant_id = %s AND provider = %s AND provider_invoice_id = %s AND billable_entity_id = %s"
        " FOR NO KEY UPDATE",
        [entity.tenant_id, PROVIDER, provider_invoice_id, entity.pk],
    )


def _payer(
    entity: BillableEntity, facts: InvoiceFacts, *, event: EventStamp | None, now: dt.datetime
) -> Customer:
    """Give the invoice's customer; one that we do not know is adopted on the word of a known operation."""
    if facts.customer_id is None:
        raise _mismatch("an invoice without a customer", entity, facts, event)
    known = Customer.objects.filter(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=PROVIDER,
        provider_customer_id=facts.customer_id,
    ).first()
    if known is not None:
        return known
    if not resolution.knows_operation(entity, facts.operation_key):
        raise _mismatch("a customer that nothing of ours vouches for", entity, facts, event)
    try:
        return customers.adopt(
            entity=entity,
            provider_customer_id=facts.customer_id,
            email=None,
            flow=_flow(entity, facts),
            now=now,
        )
    except refs.RefOwnedByAnother as taken:
        raise _mismatch("another entity's customer", entity, facts, event) from taken


def _flow(entity: BillableEntity, facts: InvoiceFacts) -> Flow:
    """Tell what sold the invoice; whoever pays a link is never taken for the entity's own customer."""
    found = None
    if facts.operation_key is not None:
        found = correlation.flow_of(entity=entity, operation_key=facts.operation_key)
    if found is not None:
        return found.flow
    return Flow.SUBSCRIPTION if facts.subscription_id is not None else Flow.PAYMENT_LINK


def _fill(row: Invoice, facts: InvoiceFacts, *, event: EventStamp | None) -> None:
    row.status = _status(row, facts, event=event)
    row.amount_due_minor = facts.amount_due
    row.amount_paid_minor = facts.amount_paid
    row.amount_remaining_minor = facts.amount_remaining
    row.currency = facts.currency
    row.issued_at = _at(facts.issued_at)
    row.due_at = _at(facts.due_at)
    row.paid_at = _at(facts.paid_at) if facts.is_paid else None
    if facts.is_paid and row.paid_at is None and event is not None and event.event_type == PAID:
        row.paid_at = event.created.at
    row.metadata_json = facts.metadata
    row.provider_subscription_id = facts.subscription_id
    row.subscription = _subscription(row)


def _status(row: Invoice, facts: InvoiceFacts, *, event: EventStamp | None) -> str:
    if facts.status in InvoiceStatus.values:
        return facts.status
    guardrails.emit(
        Guardrail.PROVIDER_SDK_API_BASELINE_DRIFT,
        operation_key=facts.operation_key,
        provider_event_id=None if event is None else event.event_id,
        billable_entity_id=row.billable_entity_id,
        provider_invoice_id=facts.id,
        unknown_status=facts.status[:40],
    )
    return row.status or InvoiceStatus.OPEN


def _subscription(row: Invoice) -> Subscription | None:
    """Give the subscription if it is known; otherwise the invoice waits, and its projection links it."""
    if row.provider_subscription_id is None:
        return None
    return Subscription.objects.filter(
        tenant_id=row.tenant_id,
        billable_entity_id=row.billable_entity_id,
        provider=row.provider,
        provider_subscription_id=row.provider_subscription_id,
    ).first()


def _write(row: Invoice) -> None:
    if not row._state.adding:
        row.save()
    elif not rows.insert_once(row, target=("tenant_id", "provider", "provider_invoice_id")):
        raise RuntimeError("an invoice of another entity has this id")


def _mismatch(
    reason: str, entity: BillableEntity, facts: InvoiceFacts, event: EventStamp | None
) -> resolution.CorrelationMismatch:
    return resolution.mismatch(
        reason,
        operation_key=facts.operation_key,
        provider_event_id=None if event is None else event.event_id,
        entity=entity,
    )


def _at(instant: ProviderTime | None) -> dt.datetime | None:
    return None if instant is None else instant.at
