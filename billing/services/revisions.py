"""Whether a row was written since before the provider was asked about it (section 8.4).

The provider's clock tells whole seconds; two facts of one second cannot be put in order by it. So a look
counts only while the row is what it was before the look: the database numbers each write.
"""

from collections.abc import Mapping

from billing.models import Invoice, Subscription
from settld.core import tenancy
from settld.core.transactions import atomic

Revisions = Mapping[str, int]


class Overtaken(Exception):
    """The row was written between our look at the provider and our lock; what we saw may be older."""


def of_subscriptions(*, tenant_id: str, entity_id: int) -> Revisions:
    """Read the revisions of an entity's subscriptions by their provider ids; before the provider is asked."""
    with tenancy.tenant_scope(tenant_id), atomic():
        rows = Subscription.objects.filter(billable_entity_id=entity_id)
        return dict(rows.values_list("provider_subscription_id", "revision"))


def of_invoices(*, tenant_id: str, entity_id: int) -> Revisions:
    """Read the revisions of an entity's invoices by their provider ids; before the provider is asked."""
    with tenancy.tenant_scope(tenant_id), atomic():
        rows = Invoice.objects.filter(billable_entity_id=entity_id)
        return dict(rows.values_list("provider_invoice_id", "revision"))


def require_subscription_unchanged(provider_subscription_id: str, before: Revisions) -> None:
    """Compare under the entity's lock with what was read before the look; Overtaken when it has changed."""
    rows = Subscription.objects.filter(provider_subscription_id=provider_subscription_id)
    _require(rows.values_list("revision", flat=True).first(), before.get(provider_subscription_id))


def require_invoice_unchanged(provider_invoice_id: str, before: Revisions) -> None:
    """Compare under the entity's lock with what was read before the look; Overtaken when it has changed."""
    rows = Invoice.objects.filter(provider_invoice_id=provider_invoice_id)
    _require(rows.values_list("revision", flat=True).first(), before.get(provider_invoice_id))


def _require(now: int | None, before: int | None) -> None:
    if now != before:
        raise Overtaken()
