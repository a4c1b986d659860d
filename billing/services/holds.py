"""The place kept for a checkout whose fate is unknown, until nothing can have come of it (spec 5.4)."""

import datetime as dt

from django.conf import settings

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, BillingRequest, CheckoutSession
from billing.services import displacement, guardrails, session_rows
from billing.services.correlation import flow_of_request
from billing.states import Flow, SessionStatus


def horizon(request: BillingRequest, *, now: dt.datetime) -> dt.datetime:
    """Give the instant after which no session of this request can be open at the provider.

    The later of the frozen upper bound and the replay deadline, plus the grace; a day from now, plus the
    grace, when the request lacks either.
    """
    grace = dt.timedelta(seconds=settings.BILLING.expires_at_grace_seconds)
    bound = request.provider_checkout_session_expires_at_upper_bound
    deadline = request.provider_idempotency_replay_deadline_at
    if bound is None or deadline is None:
        return now + dt.timedelta(hours=24) + grace
    return max(bound, deadline) + grace


def place(
    *, entity: BillableEntity, request: BillingRequest, until: dt.datetime | None = None, now: dt.datetime
) -> CheckoutSession:
    """Keep the place of a request's checkout until an instant (default: its `horizon`).

    In the transaction that ends the request, entity, request and sessions locked. No session yet: a hold
    is inserted, or, while another session blocks the entity, an abandoned row and a guardrail (INV-16).
    A hold is never shortened (INV-20). Any other session of the operation is left as it is.
    """
    until = until or horizon(request, now=now)
    row = session_rows.of_operation(entity, request.operation_key)
    if row is None:
        return _insert(entity, request, until, now=now)
    if (
        row.status == SessionStatus.RECOVERY_VERIFICATION_PENDING
        and row.expires_at is not None
        and row.expires_at < until
    ):
        row.expires_at = until
        row.save()
    return row


def _insert(
    entity: BillableEntity, request: BillingRequest, until: dt.datetime, *, now: dt.datetime
) -> CheckoutSession:
    flow = flow_of_request(request)
    row = CheckoutSession(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=request.provider,
        flow=flow,
        idempotency_row=request,
        operation_key=request.operation_key,
        provider_checkout_session_id=None,
        status=SessionStatus.RECOVERY_VERIFICATION_PENDING,
        expires_at=until,
    )
    if flow == Flow.SUBSCRIPTION and _another_blocks(entity, request, now=now):
        row.status, row.status_reason = SessionStatus.ABANDONED, displacement.DISPLACED
        guardrails.emit(
            Guardrail.CHECKOUT_RECOVERY_VERIFICATION_PENDING,
            operation_key=request.operation_key,
            billable_entity_id=entity.pk,
            outcome="another_session_blocks",
        )
    row.save(force_insert=True)
    return row


def _another_blocks(entity: BillableEntity, request: BillingRequest, *, now: dt.datetime) -> bool:
    others = session_rows.blocking(entity, other_than=request.operation_key)
    return bool(displacement.expire_overdue(entity, others, now=now))
