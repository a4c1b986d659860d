"""The payments of an invoice, one row each whatever is told first (spec/checkout-billing.md 8.7).

A webhook body names no payment. Until one is named, its row stands under a made-up id, the invoice's with the
event's type; of these an invoice has one at most, and whoever learns the real id takes the row over.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

import structlog

from billing.models import Invoice, Payment
from billing.provider_time import ProviderTime
from billing.providers.facts import InvoiceFacts, PaymentFacts
from billing.services import ordering, rows
from billing.services.ordering import EventStamp
from billing.states import PaymentStatus

FAILED_EVENT: Final = "invoice.payment_failed"
PAID_EVENT: Final = "invoice.paid"
UNNAMED_TYPE: Final = "invoice"
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Seen:
    """A payment as somebody tells of it; without an id as long as nobody has named it."""

    id: str | None
    type: str
    status: PaymentStatus
    amount: int
    paid_at: dt.datetime | None = None


def seen_in(facts: InvoiceFacts, *, event: EventStamp | None) -> list[Seen]:
    """Read the payments out of an invoice: those that were made, and the one that an event says failed.

    A paid invoice of amount zero had none. Amounts are minor units.
    """
    paid = [one for one in facts.payments if one.status == "paid"]
    seen = [_paid(facts, one) for one in paid]
    if facts.is_paid:
        if not seen and facts.amount_paid > 0:
            seen = [Seen(None, UNNAMED_TYPE, PaymentStatus.PAID, facts.amount_paid, _at(facts.paid_at))]
        return [one for one in seen if one.amount > 0]
    if event is None or event.event_type != FAILED_EVENT:
        return seen
    tried = next((one for one in facts.payments if one.status == "open"), None)
    failed = PaymentStatus.FAILED
    if tried is None:
        return [*seen, Seen(None, UNNAMED_TYPE, failed, facts.amount_remaining)]
    return [*seen, Seen(tried.id, tried.kind, failed, facts.amount_remaining)]


def record(
    *, invoice: Invoice, seen: Seen, event: EventStamp | None, snapshot_at: ProviderTime | None
) -> Payment | None:
    """Write a payment of an invoice into the one row that is its own; None when another invoice has it.

    Inside the caller's transaction, the entity locked. What was paid is not undone by a failure that is
    older or of the same second.
    """
    known = list(
        Payment.objects.filter(tenant_id=invoice.tenant_id, invoice=invoice)
        .order_by("id")
        .select_for_update(no_key=True, of=("self",))
    )
    unnamed = next((row for row in known if row.is_fallback_id), None)
    if seen.id is None:
        row = unnamed
        if row is None and any(one.status in (seen.status, PaymentStatus.PAID) for one in known):
            return None  # it is known by its name already
    else:
        row = next((one for one in known if one.provider_payment_id == seen.id), None)
        if row is None and _is_of_another(invoice, seen.id):
            return None
        if unnamed is not None and _is_same(unnamed, seen):
            if row is None:
                row = unnamed
            else:
                unnamed.delete()
    if row is not None and _is_settled(row, seen, event=event, snapshot_at=snapshot_at):
        return row
    return _write(row or _new(invoice), invoice, seen, event=event, snapshot_at=snapshot_at)


def _is_same(unnamed: Payment, seen: Seen) -> bool:
    """Tell whether a named payment is the unnamed one: what is paid may follow on what failed."""
    return unnamed.status == seen.status or seen.status == PaymentStatus.PAID


def _is_of_another(invoice: Invoice, provider_payment_id: str) -> bool:
    """Tell, and say in the log, that one payment settled two invoices: its row stays with the first."""
    others = Payment.objects.filter(
        tenant_id=invoice.tenant_id, provider=invoice.provider, provider_payment_id=provider_payment_id
    )
    if not others.exists():
        return False
    log.warning(
        "billing.payment_of_two_invoices",
        provider_payment_id=provider_payment_id,
        provider_invoice_id=invoice.provider_invoice_id,
        billable_entity_id=invoice.billable_entity_id,
    )
    return True


def _is_settled(
    row: Payment, seen: Seen, *, event: EventStamp | None, snapshot_at: ProviderTime | None
) -> bool:
    """Tell whether a row holds a payment that this failure does not undo."""
    if row.status != PaymentStatus.PAID or seen.status == PaymentStatus.PAID:
        return False
    told_at = snapshot_at if event is None else event.created
    newest = [at for at in (row.last_provider_event_created_at, row.last_provider_snapshot_at) if at]
    return told_at is None or any(told_at <= ProviderTime.stored(at) for at in newest)


def _new(invoice: Invoice) -> Payment:
    return Payment(tenant_id=invoice.tenant_id, invoice=invoice, provider=invoice.provider)


def _write(
    row: Payment,
    invoice: Invoice,
    seen: Seen,
    *,
    event: EventStamp | None,
    snapshot_at: ProviderTime | None,
) -> Payment:
    row.is_fallback_id = seen.id is None
    row.provider_payment_id = seen.id or f"{invoice.provider_invoice_id}:{_event_type(seen)}"
    row.type, row.status = seen.type, seen.status
    row.amount_minor, row.currency = seen.amount, invoice.currency
    row.paid_at = (seen.paid_at or invoice.paid_at) if seen.status == PaymentStatus.PAID else None
    row.metadata_json = invoice.metadata_json
    ordering.stamp(row, event=event, snapshot_at=snapshot_at)
    if not row._state.adding:
        row.save()
        return row
    if not rows.insert_once(row, target=("tenant_id", "provider", "provider_payment_id")):
        raise RuntimeError("a payment of a locked entity appeared without its lock")
    return row


def _event_type(seen: Seen) -> str:
    return PAID_EVENT if seen.status == PaymentStatus.PAID else FAILED_EVENT


def _paid(facts: InvoiceFacts, one: PaymentFacts) -> Seen:
    amount = facts.amount_paid if one.amount is None else one.amount
    return Seen(one.id, one.kind, PaymentStatus.PAID, amount, _at(one.paid_at or facts.paid_at))


def _at(instant: ProviderTime | None) -> dt.datetime | None:
    return None if instant is None else instant.at
