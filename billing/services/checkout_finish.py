"""Tx B and Tx R2: writing down the session that the provider has made, and the answer to the client (5.3)."""

import datetime as dt

from billing import clock
from billing.models import BillableEntity, BillingRequest, Subscription
from billing.providers.facts import Answer as ProviderAnswer
from billing.providers.facts import SessionFacts
from billing.services import blocks, checkout_session, correlation, idempotency, locks, transactions
from billing.states import FailureCode, Flow
from settld.core import failpoints


def finish(request: BillingRequest, answer: ProviderAnswer[SessionFacts]) -> BillingRequest:
    """Merge the session and end the request at the lease version that `request` was read with.

    Gives the row as it is afterwards: succeeded; failed, when a subscription or another session had become
    the entity's meanwhile; or as somebody else ended it. Raises SessionCorrelationMismatch: nothing was
    written, and the request is as pending as before.
    """

    def work() -> BillingRequest:
        entity = locks.lock_entity(entity_id=request.billable_entity_id)
        subscriptions = locks.lock_subscriptions(entity)
        row = locks.lock_request(entity, request.pk)
        if row is None:
            raise LookupError(f"request {request.pk} is gone")
        locks.lock_sessions(entity)
        if not row.is_pending:
            return row
        if row.lease_version != request.lease_version:
            idempotency.fenced(row)
            return row
        _finish(entity, row, subscriptions, answer, now=clock.now())
        failpoints.hit("billing.checkout.before_commit")
        return row

    done = transactions.retried(tenant_id=request.tenant_id, work=work)
    failpoints.hit("billing.checkout.after_commit")
    return done


def _finish(
    entity: BillableEntity,
    request: BillingRequest,
    subscriptions: list[Subscription],
    answer: ProviderAnswer[SessionFacts],
    *,
    now: dt.datetime,
) -> None:
    flow = correlation.flow_of_request(request)
    is_surplus = flow == Flow.SUBSCRIPTION and checkout_session.has_another(
        subscriptions, operation_key=request.operation_key, facts=answer.facts
    )
    session = checkout_session.merge(
        entity=entity,
        operation_key=request.operation_key,
        flow=flow,
        facts=answer.facts,
        request=request,
        snapshot_at=answer.provider_time,
        is_surplus=is_surplus,
        now=now,
    )
    version = request.lease_version
    failure = blocks.why_useless(session, entity=entity, now=now)
    if is_surplus:
        failure = FailureCode.SUBSCRIPTION_EXISTS_USE_PORTAL, {}
    if failure is not None:
        code, details = failure
        status = blocks.end_of(code)
        idempotency.fail(
            request, expected_version=version, code=code, details=details, status=status, now=now
        )
        return
    idempotency.succeed(
        request,
        expected_version=version,
        response=idempotency.checkout_response(request, session, provider_status=answer.facts.status),
        provider_session_id=answer.facts.id,
        now=now,
    )
