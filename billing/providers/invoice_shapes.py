"""Invoices and what was paid towards them; see shapes.py, through which others read them."""

from collections.abc import Mapping
from typing import Any, Final

from billing.providers import reading
from billing.providers.facts import InvoiceFacts, InvoicePaymentFacts, Labels, PaymentFacts
from billing.providers.reading import id_of

PAYMENT_KINDS: Final = ("payment_intent", "charge", "payment_record")


def invoice_facts(value: Any) -> InvoiceFacts:
    """Read an invoice; its payments are there only when they were expanded, or in the legacy shape."""
    body = reading.object_of(value, "invoice")
    moments = reading.members(body, "status_transitions")
    created = reading.instant(body, "created")
    return InvoiceFacts(
        id=reading.required_id(body),
        status=reading.required_text(body, "status"),
        is_paid=is_invoice_paid(body),
        created=created,
        customer_id=id_of(body.get("customer")),
        subscription_id=invoice_subscription_id(body),
        amount_due=reading.amount(body, "amount_due"),
        amount_paid=reading.amount(body, "amount_paid"),
        amount_remaining=reading.amount(body, "amount_remaining"),
        currency=reading.required_currency(body),
        issued_at=reading.instant(moments, "finalized_at") or created,
        due_at=reading.instant(body, "due_date"),
        paid_at=reading.instant(moments, "paid_at"),
        payments=payments_of(body),
        metadata=invoice_correlation(body),
    )


def is_invoice_paid(invoice: Mapping[str, Any]) -> bool:
    """Tell whether an invoice is paid: its status alone says so."""
    return invoice.get("status") == "paid"


def invoice_subscription_id(invoice: Mapping[str, Any]) -> str | None:
    """Give the subscription that an invoice bills; None when it bills none."""
    parent = reading.members(invoice, "parent")
    if parent.get("type") == "subscription_details":
        return id_of(reading.members(parent, "subscription_details").get("subscription"))
    return id_of(invoice.get("subscription"))


def invoice_correlation(invoice: Mapping[str, Any]) -> Labels:
    """Give the metadata that leads to an operation: the subscription's copy of it, else the invoice's own."""
    details = reading.members(reading.members(invoice, "parent"), "subscription_details")
    return (
        reading.labels(details)
        or reading.labels(reading.members(invoice, "subscription_details"))
        or reading.labels(invoice)
    )


def payments_of(invoice: Mapping[str, Any]) -> tuple[PaymentFacts, ...]:
    """Give the payments towards an invoice: those expanded, or the one that the legacy shape names."""
    found = [payment for row in reading.rows(invoice, "payments") if (payment := _payment(row)) is not None]
    if found:
        return tuple(found)
    for kind in ("payment_intent", "charge"):
        legacy_id = id_of(invoice.get(kind))
        if legacy_id is not None:
            status = "paid" if is_invoice_paid(invoice) else "open"
            paid_at = reading.instant(reading.members(invoice, "status_transitions"), "paid_at")
            return (PaymentFacts(id=legacy_id, kind=kind, status=status, amount=None, paid_at=paid_at),)
    return ()


def invoice_payment_facts(value: Any) -> InvoicePaymentFacts:
    """Read the object of an `invoice_payment.*` event."""
    body = reading.object_of(value, "invoice_payment")
    return InvoicePaymentFacts(
        id=reading.required_id(body),
        invoice_id=reading.required_id(body, "invoice"),
        currency=reading.currency(body),
        created=reading.instant(body, "created"),
        payment=_payment(body),
    )


def _payment(row: Mapping[str, Any]) -> PaymentFacts | None:
    """Read what an invoice payment paid with; None for a kind that has no id of its own."""
    payment = reading.members(row, "payment")
    for kind in PAYMENT_KINDS:
        payment_id = id_of(payment.get(kind))
        if payment_id is not None:
            return PaymentFacts(
                id=payment_id,
                kind=kind,
                status=reading.text(row, "status") or "",
                amount=reading.whole(row, "amount_paid"),
                paid_at=reading.instant(reading.members(row, "status_transitions"), "paid_at"),
            )
    return None
