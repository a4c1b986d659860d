"""Rows of payment methods: what is taken over from the provider, and which one is charged (spec 7.5)."""

import datetime as dt
from typing import Final

from django.db.models import QuerySet

from billing.models import Customer, PaymentMethod
from billing.providers.facts import PaymentMethodFacts
from billing.services import rows
from billing.states import PaymentMethodStatus

DEFAULT: Final = "default_payment_method_id"  # in a customer's metadata; a method may be told of after it
LABEL_MAX: Final = 80
TYPE_MAX: Final = 60


def of_customer(customer: Customer) -> "QuerySet[PaymentMethod]":
    """Select the methods that a customer ever had."""
    return PaymentMethod.objects.filter(tenant_id=customer.tenant_id, billing_customer=customer)


def locked(customer: Customer) -> dict[str, PaymentMethod]:
    """Lock and read a customer's methods, by the provider's id of each."""
    found = of_customer(customer).order_by("id").select_for_update(no_key=True, of=("self",))
    return {row.provider_payment_method_id: row for row in found}


def begin(customer: Customer, facts: PaymentMethodFacts) -> PaymentMethod | None:
    """Insert a method that we did not know; None when its id is already that of another customer's."""
    row = PaymentMethod(
        tenant_id=customer.tenant_id,
        billable_entity_id=customer.billable_entity_id,
        billing_customer=customer,
        provider=customer.provider,
        provider_payment_method_id=facts.id,
        status=PaymentMethodStatus.DISABLED,  # until the caller, in the same transaction, says better
    )
    take_over(row, facts)
    return row if rows.insert_once(row, target=_ONCE) else None


def take_over(row: PaymentMethod, facts: PaymentMethodFacts) -> None:
    """Copy what describes a method; what could not be stored is left out, not guessed. The caller saves."""
    row.type = facts.type[:TYPE_MAX]
    row.brand = facts.brand[:LABEL_MAX] if facts.brand else None
    row.last4 = facts.last4 if facts.last4 and len(facts.last4) <= 4 else None
    row.exp_month = facts.exp_month if facts.exp_month in range(1, 13) else None
    row.exp_year = facts.exp_year if facts.exp_year in range(2000, 10_000) else None


def standing(row: PaymentMethod, *, now: dt.datetime) -> PaymentMethodStatus:
    """Tell whether an attached method can be charged: a card's last month is its last (UTC)."""
    is_past = is_past_its_month(row.exp_year, row.exp_month, now=now)
    return PaymentMethodStatus.EXPIRED if is_past else PaymentMethodStatus.ACTIVE


def is_past_its_month(year: int | None, month: int | None, *, now: dt.datetime) -> bool:
    """Tell whether the month after a card's last one has begun (UTC); a card without one never expires."""
    if year is None or month is None:
        return False
    today = now.astimezone(dt.UTC)
    return (today.year, today.month) > (year, month)


def flip_default(customer: Customer) -> None:
    """Mark the method that the customer's default names; cleared first, as only one may be (INV-48)."""
    default = customer.metadata_json.get(DEFAULT)
    others = of_customer(customer).filter(is_default=True)
    (others.exclude(provider_payment_method_id=default) if default else others).update(is_default=False)
    if default:
        of_customer(customer).filter(provider_payment_method_id=default, is_default=False).exclude(
            status=PaymentMethodStatus.DETACHED
        ).update(is_default=True)


def detach_all(customer: Customer) -> None:
    """Give up every method of a customer that is no more."""
    of_customer(customer).exclude(status=PaymentMethodStatus.DETACHED, is_default=False).update(
        status=PaymentMethodStatus.DETACHED, is_default=False
    )


_ONCE: Final = ("tenant_id", "provider", "provider_payment_method_id")
