"""Checkout sessions as the provider tells of them, and merging one as webhooks, Tx B and refresh do."""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import transaction

from billing.models import BillableEntity, BillingOutboxJob, BillingRequest, CheckoutSession, PaymentLink
from billing.provider_time import ProviderTime
from billing.providers import shapes
from billing.providers.facts import SessionFacts
from billing.services import checkout_session, locks, refs
from billing.states import Flow, RefKind
from settld.core import tenancy, transactions
from tests.billing import factories, payloads
from tests.billing.factories import NOW

KEY = "a" * 64
OTHER_KEY = "b" * 64
EXPIRES = ProviderTime(int(NOW.timestamp()) + 86_400)


def facts(
    entity: BillableEntity,
    status: str = "open",
    *,
    session_id: str = "cs_1",
    key: str | None = KEY,
    flow: str = "subscription",
    **more: Any,
) -> SessionFacts:
    """What the provider tells of a session of an operation."""
    values: dict[str, Any] = {"customer": None if status == "open" else "cus_1", "subscription": None}
    values |= {"expires_at": EXPIRES.seconds, "metadata": payloads.labels(entity, key)}
    mode = "subscription" if flow == "subscription" else "payment"
    return shapes.session_facts(payloads.session(session_id, status=status, mode=mode, **(values | more)))


def merge(
    entity: BillableEntity,
    told: SessionFacts,
    *,
    key: str = KEY,
    flow: str = "subscription",
    payment_link: PaymentLink | None = None,
    now: Any = NOW,
    **more: Any,
) -> CheckoutSession:
    """Merge under the locks of 5.1, with the request of the key if there is one; the row as it is stored."""
    with factories.locked(entity):
        locks.lock_subscriptions(entity)
        known = BillingRequest.objects.filter(billable_entity=entity, operation_key=key).first()
        held = None if known is None else locks.lock_request(entity, known.pk)
        locks.lock_sessions(entity)
        row = checkout_session.merge(
            entity=entity,
            operation_key=key,
            flow=Flow(flow),
            facts=told,
            request=held,
            payment_link=payment_link,
            now=now,
            **more,
        )
        row.refresh_from_db()
        return row


def session(
    entity: BillableEntity, status: str, *, flow: str = "subscription", **more: Any
) -> CheckoutSession:
    """A row of the operation KEY, unless another is named."""
    return factories.session(entity, status=status, flow=flow, **({"operation_key": KEY} | more))


def request(entity: BillableEntity, *, flow: str = "subscription", **more: Any) -> BillingRequest:
    """A pending checkout request of the operation KEY."""
    return factories.request(
        entity, **({"operation_key": KEY, "normalized_request_json": {"checkoutType": flow}} | more)
    )


def payment_link(entity: BillableEntity, link_id: str = "plink_1", **more: Any) -> PaymentLink:
    """A payment link of the operation KEY, known to the directory."""
    values = {"operation_key": KEY, "url": f"https://buy.stripe.example/{link_id}"} | more
    with tenancy.tenant_scope(entity.tenant_id), transactions.atomic():
        refs.claim(kind=RefKind.PAYMENT_LINK, ref=link_id, entity=entity)
        refs.claim(kind=RefKind.OPERATION_KEY, ref=values["operation_key"], entity=entity)
        return PaymentLink.objects.create(
            tenant_id=entity.tenant_id, billable_entity=entity, provider_payment_link_id=link_id, **values
        )


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """What is written inside is taken back, so that one test may look at many cells; not with `live_db`.

    A plain savepoint: our durable transactions may begin inside, as they may in a test's own frame.
    """
    point = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(point)


def rows(entity: BillableEntity) -> list[CheckoutSession]:
    """Every session of the entity."""
    with tenancy.tenant_scope(entity.tenant_id):
        return list(CheckoutSession.objects.filter(billable_entity=entity).order_by("id"))


def jobs(entity: BillableEntity) -> list[str]:
    """The sessions whose end is owed to the provider."""
    with tenancy.tenant_scope(entity.tenant_id):
        owed = BillingOutboxJob.objects.filter(billable_entity=entity, job_type="expire_checkout_session")
        return [job.payload_json["providerCheckoutSessionId"] for job in owed.order_by("id")]
