"""Starting a checkout: claim and freeze, ask the provider, write down what it made (section 5).

Two short transactions with the call between them. The clock is read here and not handed in: a lock may take
its time to come, and leases and deadlines run from the instant at which it is held.
"""

import datetime as dt

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, BillingRequest, Customer, Subscription
from billing.services import (
    blocks,
    checkout_dispatch,
    checkout_order,
    checkout_session,
    freezing,
    guardrails,
    idempotency,
    locks,
    pricing,
    recovery,
    transactions,
)
from billing.services.checkout_order import CheckoutOrder, Offer
from billing.services.idempotency import Answer, Claim, ClaimKind
from billing.states import Action, FailureCode, Flow
from settld.core import failpoints
from settld.core.transactions import require_no_transaction
from settld.outbox import bell

RECOVERY_TASK = "billing.recover_pending"


def start(*, tenant_id: str, entity_id: int, client_key: str, order: CheckoutOrder) -> Answer:
    """Start the checkout that a key names, or tell its end; never two for one key, never two that block.

    The answer is a success (200) or the stored failure of the request, rendered from the row either way.
    Raises IdempotencyConflict, CheckoutInProgress and RequestInProgress (409): the first two stored nothing;
    with the last the request goes on, by a retry with the same key or by itself. Must not run inside a
    transaction.
    """
    require_no_transaction()
    try:
        claim = _claim(tenant_id, entity_id, client_key, order)
    except idempotency.CheckoutInProgress as refusal:
        if refusal.is_abandoned:
            bell.ring_on_commit(RECOVERY_TASK)
        raise
    request = claim.request
    if claim.kind == ClaimKind.REPLAY:
        return idempotency.render(request, is_replay=True)
    if claim.kind == ClaimKind.RECOVER:
        return recovery.recover(tenant_id=tenant_id, request_id=request.pk, is_same_key_retry=True)
    if request.is_pending:
        request = checkout_dispatch.dispatch(request, is_replay=False, profile="request")
    return idempotency.render(request)


def _claim(tenant_id: str, entity_id: int, client_key: str, order: CheckoutOrder) -> Claim:
    """Tx A."""

    def work() -> Claim:
        entity = locks.lock_entity(entity_id=entity_id)
        now = clock.now()
        subscriptions = locks.lock_subscriptions(entity)
        claim = idempotency.claim(
            entity=entity,
            action=Action.CHECKOUT,
            client_key=client_key,
            normalized=order.normalized(),
            now=now,
        )
        if claim.kind == ClaimKind.CLAIMED:
            failure = _prepare(entity, claim.request, order, subscriptions, now=now)
            if failure is not None:
                _refuse(claim.request, failure, now=now)
        failpoints.hit("billing.checkout.before_claim_commit")
        return claim

    claim = transactions.retried(tenant_id=tenant_id, work=work)
    failpoints.hit("billing.checkout.claimed")
    return claim


def _refuse(request: BillingRequest, failure: blocks.Failure, *, now: dt.datetime) -> None:
    """A refusal of ours is data: the key is used up, and says the same for ever."""
    code, details = failure
    idempotency.fail(request, expected_version=request.lease_version, code=code, details=details, now=now)


def _prepare(
    entity: BillableEntity,
    request: BillingRequest,
    order: CheckoutOrder,
    subscriptions: list[Subscription],
    *,
    now: dt.datetime,
) -> blocks.Failure | None:
    """Steps 3 to 6 of Tx A: make room, price, freeze; gives why not, if not."""
    sessions = locks.lock_sessions(entity)
    offer = None
    if order.flow == Flow.SUBSCRIPTION:
        sessions = checkout_session.expire_overdue(entity, sessions, now=now)
        blocker = checkout_session.blocking_session(sessions, now=now)
        if blocker is not None:
            return checkout_session.blocking_failure(blocker)
        if (failure := blocks.by_subscription(subscriptions)) is not None:
            return failure
        plan = pricing.plan_for_sale(order.plan_code or "")
        if plan is None:
            return FailureCode.CHECKOUT_PLAN_NOT_FOUND, {}
        try:
            offer = Offer(plan, pricing.sellable_price(plan, provider=request.provider))
        except pricing.PriceUnavailable as reason:
            return _misconfigured(request, str(reason), plan_code=plan.code)
    customer = Customer.objects.filter(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=request.provider,
        is_primary=True,
        provider_deleted_at=None,
    ).first()
    params = checkout_order.params(
        order,
        entity=entity,
        request=request,
        offer=offer,
        customer=customer,
        expires_at=freezing.session_expiry(now, request=request),
    )
    try:
        freezing.freeze(request, params=params, now=now)
    except freezing.NotFreezable as reason:
        return _misconfigured(request, str(reason), plan_code=order.plan_code)
    return None


def _misconfigured(request: BillingRequest, reason: str, *, plan_code: str | None) -> blocks.Failure:
    """The client cannot mend this; whoever runs the deployment must hear of it."""
    guardrails.emit(
        Guardrail.CATALOG_INVALID,
        operation_key=request.operation_key,
        billable_entity_id=request.billable_entity_id,
        plan_code=plan_code,
        reason=reason,
    )
    return FailureCode.CHECKOUT_CONFIGURATION_INVALID, {}
