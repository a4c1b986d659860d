"""Events about invoices and payments (spec/checkout-billing.md 8.2, 8.7); they write no subscription."""

from typing import Final

from billing import clock
from billing.models import BillableEntity, Invoice
from billing.providers import base, shapes
from billing.providers.facts import Answer, EventFacts, InvoiceFacts, InvoicePaymentFacts, PaymentFacts
from billing.services import invoices, ordering, payments, resolution, webhook_entity
from billing.services.ordering import Fetched, Verdict
from billing.services.payments import Seen
from billing.services.refs import Owner
from billing.services.resolution import Resolved, Traces
from billing.states import PROVIDER, InvoiceStatus, PaymentStatus
from settld.core import tenancy
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.states import Outcome

EVENT_TYPES: Final = ("invoice.paid", "invoice.payment_failed")
PAYMENT_EVENT_TYPES: Final = ("invoice_payment.paid",)


def apply(event: EventFacts) -> Consumed:
    """Project the invoice that an event is about, with its payment."""
    labels = shapes.invoice_correlation(event.thing)
    found = resolution.resolve(
        Traces(
            metadata=labels,
            customer_id=shapes.id_of(event.thing.get("customer")),
            subscription_id=shapes.invoice_subscription_id(event.thing),
        ),
        provider_event_id=event.id,
    )
    if found is None:
        return webhook_entity.not_ours(event)
    with found.correlated():
        return _apply(event, found)


def _apply(event: EventFacts, found: Resolved) -> Consumed:
    tenant_id = found.owner.tenant_id
    told = shapes.invoice_facts(event.thing)
    stamp = webhook_entity.stamp_of(event)

    def look() -> tuple[Verdict, int | None]:
        with tenancy.tenant_scope(tenant_id):
            row = invoices.stored(tenant_id, told.id)
        return ordering.decide(row, stamp), None if row is None else row.revision

    def fetch() -> Answer[InvoiceFacts]:
        return base.active().retrieve_invoice(told.id, profile="worker")

    def write(fetched: Fetched[InvoiceFacts] | None) -> Outcome:
        def work(entity: BillableEntity) -> Outcome:
            row = invoices.stored(tenant_id, told.id)
            is_final = row is not None and row.status == InvoiceStatus.PAID
            decision = ordering.settle(row, stamp, payload=told, fetched=fetched, is_final=is_final)
            if decision.facts is None:
                if row is not None and decision.is_uncertain:
                    ordering.flag(row)
                return Outcome.STALE
            invoices.project(
                entity=entity,
                facts=decision.facts,
                event=stamp,
                snapshot_at=decision.snapshot_at,
                is_uncertain=decision.is_uncertain,
                now=clock.now(),
            )
            return Outcome.APPLIED

        return webhook_entity.write(found, work)

    outcome = ordering.resolved(look=look, fetch=fetch, apply=write)
    return webhook_entity.consumed(found, outcome, f"invoice {told.id}")


def apply_payment(event: EventFacts) -> Consumed:
    """Write the payment that settled an invoice under its real id; an invoice not known yet is asked for.

    A payment that was made is never unmade, so this needs no order; the invoice's own row is left to its
    own events.
    """
    told = shapes.invoice_payment_facts(event.thing)
    if told.payment is None:
        return Consumed(Outcome.IGNORED, f"invoice payment {told.id} names no payment")
    asked: Answer[InvoiceFacts] | None = None
    found = _owner_of(told.invoice_id)
    if found is None:
        asked = base.active().retrieve_invoice(told.invoice_id, profile="worker")
        found = resolution.resolve(
            Traces(
                metadata=asked.facts.metadata,
                customer_id=asked.facts.customer_id,
                subscription_id=asked.facts.subscription_id,
            ),
            provider_event_id=event.id,
        )
    if found is None:
        return webhook_entity.not_ours(event)
    with found.correlated():
        _write_payment(event, found, told, told.payment, asked)
    return webhook_entity.consumed(found, Outcome.APPLIED, f"payment of invoice {told.invoice_id}")


def _write_payment(
    event: EventFacts,
    found: Resolved,
    told: InvoicePaymentFacts,
    payment: PaymentFacts,
    asked: Answer[InvoiceFacts] | None,
) -> None:
    def work(entity: BillableEntity) -> None:
        invoice = invoices.stored(entity.tenant_id, told.invoice_id)
        if asked is not None and invoice is None:
            invoice = invoices.project(
                entity=entity,
                facts=asked.facts,
                event=None,
                snapshot_at=asked.provider_time,
                now=clock.now(),
            )
        if invoice is None:
            raise RuntimeError("an invoice that was there is gone; invoices are never deleted")
        amount = invoice.amount_paid_minor if payment.amount is None else payment.amount
        payments.record(
            invoice=invoice,
            seen=Seen(
                id=payment.id,
                type=payment.kind,
                status=PaymentStatus.PAID,
                amount=amount,
                paid_at=(payment.paid_at or event.created).at,
            ),
            event=webhook_entity.stamp_of(event),
            snapshot_at=None,
        )

    webhook_entity.write(found, work)


def _owner_of(provider_invoice_id: str) -> Resolved | None:
    """Find whose invoice it is among the invoices of all tenants."""
    with tenancy.platform_scope(reason="billing.webhook.invoice"):
        row = Invoice.objects.filter(provider=PROVIDER, provider_invoice_id=provider_invoice_id).first()
    if row is None:
        return None
    owner = Owner(row.tenant_id, row.billable_entity_id)
    return Resolved(owner, row.metadata_json.get("operation_key") or None)
