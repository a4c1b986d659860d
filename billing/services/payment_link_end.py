"""Switching a payment link off, at the provider first (spec/checkout-billing.md 7.2)."""

import datetime as dt

from billing.models import BillableEntity, PaymentLink
from billing.providers import base as providers
from billing.providers.errors import ProviderProblem
from billing.services import idempotency, locks, transactions
from billing.states import Action
from settld.core import failpoints, tenancy
from settld.core.errors import NotFound, Refusal


class PaymentLinkNotFound(NotFound):
    """The entity has no such link."""

    code = "payment_link_not_found"
    message = "Payment link not found."


class PaymentLinkStillActive(Refusal):
    """The provider did not switch the link off, or did not say so; asking again is right."""

    status = 502
    code = "checkout_provider_error"
    message = "The payment provider did not deactivate the link; try again."


def deactivate(*, entity: BillableEntity, payment_link_id: int, now: dt.datetime) -> PaymentLink:
    """Have a link take no more money; one that is off already stays so, and nothing is sent.

    A link that the provider does not know any more is off, too. Runs in no transaction.
    """
    link = _find(entity, payment_link_id)
    if not link.active:
        return link
    try:
        providers.named(link.provider).update_payment_link(
            link.provider_payment_link_id, active=False, idempotency_key=_key(link)
        )
    except ProviderProblem as problem:
        if not problem.is_missing:
            _renew_key(entity, link)
            raise PaymentLinkStillActive() from problem
    failpoints.hit("billing.payment_link_end.dispatched")
    return _switch_off(entity, link, now=now)


def _find(entity: BillableEntity, payment_link_id: int) -> PaymentLink:
    with tenancy.tenant_scope(entity.tenant_id):
        link = PaymentLink.objects.filter(
            tenant_id=entity.tenant_id, billable_entity=entity, pk=payment_link_id
        ).first()
    if link is None:
        raise PaymentLinkNotFound()
    return link


def _key(link: PaymentLink) -> str:
    """Name this switching-off by the row as it is, so that a retry after a crash has the same name."""
    made = idempotency.provider_key(action=Action.PAYMENT_LINK, operation_key=link.operation_key)
    return f"{made}:deactivate:{int(link.updated_at.timestamp() * 1000)}"


def _renew_key(entity: BillableEntity, link: PaymentLink) -> None:
    """Let the next try have its own name: under this one the provider may repeat its failure for a day."""

    def work() -> None:
        locks.lock_entity(entity_id=entity.pk)
        rows = PaymentLink.objects.filter(tenant_id=entity.tenant_id, pk=link.pk, active=True)
        rows.update()  # stamps the row, and changes nothing else

    transactions.retried(tenant_id=entity.tenant_id, work=work)


def _switch_off(entity: BillableEntity, link: PaymentLink, *, now: dt.datetime) -> PaymentLink:
    def work() -> PaymentLink:
        locks.lock_entity(entity_id=entity.pk)
        row: PaymentLink = PaymentLink.objects.select_for_update(no_key=True, of=("self",)).get(
            tenant_id=entity.tenant_id, pk=link.pk
        )
        if row.active:
            row.active, row.deactivated_at = False, now
            row.save(update_fields=["active", "deactivated_at"])
        return row

    return transactions.retried(tenant_id=entity.tenant_id, work=work)
