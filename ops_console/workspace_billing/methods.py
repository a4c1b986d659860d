"""The payment methods tab."""

from dataclasses import dataclass

from billing.models import PaymentMethod
from billing.queries import payment_methods
from billing.services import customers
from ops_console import words
from ops_console.workspace_billing.desk import Desk


@dataclass(frozen=True)
class MethodRow:
    """One way to pay."""

    name: str
    ending: str
    expires: str
    is_default: bool


@dataclass(frozen=True)
class Methods:
    """What the tab shows; without a customer at the provider there is nothing to sync."""

    rows: list[MethodRow]
    has_customer: bool
    synced_at: str


def build(desk: Desk) -> Methods:
    """Read what the workspace can pay with, as of the last sync and the events since."""
    found = payment_methods.usable(desk.entity)
    synced = [row.last_provider_synced_at for row in found if row.last_provider_synced_at]
    return Methods(
        rows=[_row(method) for method in found],
        has_customer=customers.primary_of(desk.entity) is not None,
        synced_at=words.moment(max(synced)) if synced else "",
    )


def _row(method: PaymentMethod) -> MethodRow:
    kind = words.label(method.type)
    brand = words.label(method.brand) if method.brand else ""
    expires = f"{method.exp_month:02d}/{method.exp_year}" if method.exp_month and method.exp_year else ""
    return MethodRow(
        name=f"{brand} {kind.lower()}" if brand else kind,
        ending=f"•••• {method.last4}" if method.last4 else "",
        expires=expires,
        is_default=method.is_default,
    )
