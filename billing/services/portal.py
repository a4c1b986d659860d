"""Sending somebody to the provider's portal, where a live subscription is changed (spec 7.3)."""

import datetime as dt
from typing import Any

from billing import clock
from billing.models import BillableEntity, BillingRequest, Subscription
from billing.providers import base as providers
from billing.services import creations, freezing, idempotency, idempotency_lease, locks, transactions
from billing.services.idempotency import Answer, Claim, ClaimKind
from billing.states import Action, FailureCode, RequestStatus
from settld.core import failpoints
from settld.stripe_gateway.profiles import Profile


def start(*, tenant_id: str, entity_id: int, client_key: str, return_path: str, now: dt.datetime) -> Answer:
    """Make a portal session for the customer of the entity's subscription, once per client key.

    200 {provider, portalSession{id, url}}; stored failures answer with their own status. Raises the refusals
    of the claim (section 4). Runs in no transaction. `return_path` is a checked path of our own pages.
    """
    claim = transactions.retried(
        tenant_id=tenant_id,
        work=lambda: _claim(entity_id, client_key=client_key, return_path=return_path, now=now),
    )
    failpoints.hit("billing.portal.claimed")
    if claim.kind == ClaimKind.RECOVER:
        return recover(
            tenant_id=tenant_id, entity_id=entity_id, request_id=claim.request.pk, is_same_key_retry=True
        )
    if claim.kind == ClaimKind.REPLAY or not claim.request.is_pending:
        is_replay = claim.kind == ClaimKind.REPLAY
        return idempotency.render(claim.request, now=now, is_replay=is_replay)
    return _dispatch(claim.request, is_replay=False, profile="request")


def recover(*, tenant_id: str, entity_id: int, request_id: int, is_same_key_retry: bool) -> Answer:
    """Bring a pending portal request whose lease ran out to its end, or answer from the end it has.

    Past the replay deadline it expires; without its frozen parameters, or with others than were hashed, it
    fails; otherwise the same request is sent again. Raises RequestInProgress while its outcome stays
    unknown, and idempotency_lease.NotDue inside the backoff.
    """
    request = idempotency_lease.take_over(
        tenant_id=tenant_id, entity_id=entity_id, request_id=request_id, is_same_key_retry=is_same_key_retry
    )
    now = clock.now()
    if not request.is_pending:
        return idempotency.render(request, now=now, is_replay=True)
    deadline = request.provider_idempotency_replay_deadline_at
    if deadline is not None and now >= deadline:
        return creations.give_up(
            request, code=FailureCode.CHECKOUT_RECOVERY_WINDOW_ELAPSED, status=RequestStatus.EXPIRED
        )
    return _dispatch(request, is_replay=True, profile="request" if is_same_key_retry else "worker")


def _claim(entity_id: int, *, client_key: str, return_path: str, now: dt.datetime) -> Claim:
    """Tx P1: claim the key and freeze what will be asked; a failure that is certain is stored right away."""
    entity = locks.lock_entity(entity_id=entity_id)
    subscriptions = locks.lock_subscriptions(entity)
    claim = idempotency.claim(
        entity=entity,
        action=Action.PORTAL,
        client_key=client_key,
        normalized={"returnPath": return_path},
        now=now,
    )
    if claim.kind == ClaimKind.CLAIMED:
        _freeze(claim.request, _live(subscriptions), return_path=return_path, now=now)
    failpoints.hit("billing.portal.before_claim_commit")
    return claim


def _freeze(
    request: BillingRequest, subscription: Subscription | None, *, return_path: str, now: dt.datetime
) -> None:
    version = request.lease_version
    if subscription is None:
        code = FailureCode.PORTAL_SUBSCRIPTION_REQUIRED
        idempotency.fail(request, expected_version=version, code=code, now=now)
        return
    params = {
        "customer": subscription.billing_customer.provider_customer_id,
        "return_url": creations.absolute(return_path),
    }
    try:
        freezing.freeze(request, params=params, now=now)
    except freezing.NotFreezable:
        code = FailureCode.CHECKOUT_CONFIGURATION_INVALID
        idempotency.fail(request, expected_version=version, code=code, now=now)


def _live(subscriptions: list[Subscription]) -> Subscription | None:
    """Give the subscription to change: the current one, else any that has not ended."""
    live = [subscription for subscription in subscriptions if not subscription.is_terminal]
    return next((subscription for subscription in live if subscription.is_current), live[0] if live else None)


def _dispatch(request: BillingRequest, *, is_replay: bool, profile: Profile) -> Answer:
    """Ask the provider with what is frozen, if it is still that, and write the end down (Tx P2)."""
    if not freezing.is_whole(request) or not freezing.is_intact(request):
        return creations.give_up(request, code=FailureCode.CHECKOUT_CONFIGURATION_INVALID)
    params: dict[str, Any] = request.provider_request_params_json or {}
    try:
        portal = (
            providers.named(request.provider)
            .create_portal_session(params, idempotency_key=request.provider_idempotency_key, profile=profile)
            .facts
        )
    except Exception as error:  # a certain no, or no answer: the table of 5.3 tells them apart
        return creations.conclude(request, error, is_replay=is_replay)
    failpoints.hit("billing.portal.dispatched")
    response = {"provider": request.provider, "portalSession": {"id": portal.id, "url": portal.url}}

    def write(entity: BillableEntity, row: BillingRequest) -> None:
        idempotency.succeed(
            row,
            expected_version=request.lease_version,
            response=response,
            provider_session_id=portal.id,
            now=clock.now(),
        )
        failpoints.hit("billing.portal.before_commit")

    return creations.end(request, write)
