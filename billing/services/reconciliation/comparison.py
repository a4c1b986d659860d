"""Comparing stored rows with the provider's facts, field by field and by type (section 9.3).

Instants are compared by the whole second, which is all that the provider tells; a missing value equals only
a missing one.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from billing.models import Invoice, Payment, Subscription, SubscriptionItem
from billing.provider_time import ProviderTime
from billing.providers.facts import InvoiceFacts, PaymentFacts, SubscriptionFacts
from billing.states import InvoiceStatus, PaymentStatus, SubscriptionStatus

OURS: Final = {"ended": "canceled"}
INSTANTS: Final = ("current_period_end", "trial_end", "cancel_at", "canceled_at", "ended_at")


def subscription_differs(
    row: Subscription, items: Sequence[SubscriptionItem], facts: SubscriptionFacts
) -> list[str]:
    """Name the fields in which a stored subscription and the provider's differ; empty when they agree."""
    found = []
    status = OURS.get(facts.status, facts.status)
    if status in SubscriptionStatus.values and row.status != status:
        found.append("status")
    found += [name for name in INSTANTS if not _is_same(getattr(row, name), getattr(facts, name))]
    if facts.ended_at is None and status == SubscriptionStatus.CANCELED and "ended_at" in found:
        found.remove("ended_at")  # then ours is made up of what was told
    if row.cancel_at_period_end != facts.cancel_at_period_end:
        found.append("cancel_at_period_end")
    if row.billing_customer.provider_customer_id != facts.customer_id:
        found.append("customer")
    stored = {
        (item.provider_subscription_item_id, item.provider_price_id, item.quantity)
        for item in items
        if item.is_active
    }
    if stored != {(item.id, item.price_id, item.quantity) for item in facts.items}:
        found.append("items")
    return found


def invoice_differs(row: Invoice, payments: Sequence[Payment], facts: InvoiceFacts) -> list[str]:
    """Name the fields in which a stored invoice and the provider's differ; empty when they agree."""
    found = []
    if facts.status in InvoiceStatus.values and row.status != facts.status:
        found.append("status")
    amounts = (facts.amount_due, facts.amount_paid, facts.amount_remaining)
    if (row.amount_due_minor, row.amount_paid_minor, row.amount_remaining_minor) != amounts:
        found.append("amounts")
    if row.provider_subscription_id != facts.subscription_id:
        found.append("subscription")
    if real_ids(payments, facts):
        found.append("payment_ids")
    is_unpaid_here = not any(payment.status == "paid" for payment in payments)
    if facts.is_paid and facts.amount_paid > 0 and is_unpaid_here:
        found.append("payments")
    return found


def real_ids(payments: Sequence[Payment], facts: InvoiceFacts) -> list[PaymentFacts]:
    """Give the provider's payments that name what stands under a made-up id here."""
    statuses = {payment.status for payment in payments if payment.is_fallback_id}
    if facts.is_paid:
        return [told for told in facts.payments if told.status == "paid" and statuses]
    return [told for told in facts.payments if told.status == "open" and PaymentStatus.FAILED in statuses]


def _is_same(stored: dt.datetime | None, told: ProviderTime | None) -> bool:
    if stored is None or told is None:
        return stored is None and told is None
    return ProviderTime.stored(stored) == told
