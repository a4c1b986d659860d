"""Links that anybody may pay, made once per client key (spec/checkout-billing.md 7.4)."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from billing import clock
from billing.models import BillableEntity, BillingRequest, CheckoutSession, PaymentLink
from billing.providers import base as providers
from billing.providers.facts import PaymentLinkFacts
from billing.services import (
    creations,
    freezing,
    idempotency,
    idempotency_lease,
    limits,
    locks,
    payment_link_params,
    payment_link_usage,
    refs,
    rows,
    transactions,
)
from billing.services.creations import Fenced
from billing.services.idempotency import Answer, Claim, ClaimKind
from billing.services.payment_link_items import LineItem, require_sellable
from billing.services.payment_link_params import Unbuildable
from billing.states import Action, FailureCode, Flow, RefKind, RequestStatus
from settld.core import failpoints, tenancy
from settld.core.errors import Refusal
from settld.stripe_gateway.profiles import Profile

ACTION: Final = Action.PAYMENT_LINK
SUCCESS: Final = 200


@limits.capability("payment_links.create")
def create(
    *,
    entity: BillableEntity,
    client_key: str,
    success_path: str,
    items: Sequence[LineItem],
    now: dt.datetime,
) -> Answer:
    """Make a payment link for checked lines and a checked path of our own pages, once per client key.

    200 {provider, billableEntityId, operationKey, paymentLink{id, url, active}}; stored failures answer with
    their own status. Before anything is claimed: LineItemsRefused (400), PriceCheckFailed (502) and, when
    the plan's limit is reached, limits.LimitExceeded (429). Then the refusals of the claim (section 4). Runs
    in no transaction.
    """
    reservation = None
    if not _is_known(entity, client_key):
        require_sellable(items)
        reservation = payment_link_usage.reserve(entity=entity, client_key=client_key, now=now)
    normalized = {"successPath": success_path, "lineItems": [item.normalized() for item in items]}
    try:
        claim = transactions.retried(
            tenant_id=entity.tenant_id,
            work=lambda: _claim(entity.pk, client_key=client_key, normalized=normalized, now=now),
        )
    except Refusal:
        if not _is_known(entity, client_key):  # otherwise it counts for whoever claimed the key before us
            limits.release(reservation)
        raise
    failpoints.hit("billing.payment_link.claimed")
    if claim.kind == ClaimKind.REPLAY:
        return idempotency.render(claim.request, now=now, is_replay=True)
    if claim.kind == ClaimKind.RECOVER:
        return recover(
            tenant_id=entity.tenant_id,
            entity_id=entity.pk,
            request_id=claim.request.pk,
            is_same_key_retry=True,
        )
    reservation = limits.adopt(reservation)
    answer = _carry_out(claim.request, is_replay=False, profile="request")
    if answer.status == SUCCESS:
        limits.confirm(reservation, now=now)
    else:
        limits.release(reservation)
    return answer


def recover(*, tenant_id: str, entity_id: int, request_id: int, is_same_key_retry: bool) -> Answer:
    """Bring a pending link request whose lease ran out to its end, or answer from the end it has.

    As portal.recover; a crash before the parameters were frozen rebuilds them from the stored request, with
    the same keys for the same prices.
    """
    request = idempotency_lease.take_over(
        tenant_id=tenant_id, entity_id=entity_id, request_id=request_id, is_same_key_retry=is_same_key_retry
    )
    now = clock.now()
    if not request.is_pending:
        return idempotency.render(request, now=now, is_replay=True)
    deadline = request.provider_idempotency_replay_deadline_at
    if deadline is None:
        return creations.give_up(request, code=FailureCode.CHECKOUT_CONFIGURATION_INVALID)
    if now >= deadline:
        return creations.give_up(
            request, code=FailureCode.CHECKOUT_RECOVERY_WINDOW_ELAPSED, status=RequestStatus.EXPIRED
        )
    answer = _carry_out(request, is_replay=True, profile="request" if is_same_key_retry else "worker")
    if answer.status == SUCCESS:
        payment_link_usage.count_recovered(
            tenant_id=tenant_id, entity_id=entity_id, operation_key=request.operation_key, now=now
        )
    return answer


def _is_known(entity: BillableEntity, client_key: str) -> bool:
    """Tell whether the key was used: its first use was checked then, and its answer does not change."""
    with tenancy.tenant_scope(entity.tenant_id):
        return bool(
            BillingRequest.objects.filter(
                tenant_id=entity.tenant_id,
                billable_entity=entity,
                action=ACTION,
                client_idempotency_key=client_key,
            ).exists()
        )


def _claim(entity_id: int, *, client_key: str, normalized: dict[str, Any], now: dt.datetime) -> Claim:
    """Claim the key and say until when its requests may be repeated: prices are made before we can freeze."""
    entity = locks.lock_entity(entity_id=entity_id)
    claim = idempotency.claim(
        entity=entity, action=ACTION, client_key=client_key, normalized=normalized, now=now
    )
    if claim.kind == ClaimKind.CLAIMED:
        claim.request.provider_idempotency_replay_deadline_at = freezing.deadline(now)
        claim.request.save(update_fields=["provider_idempotency_replay_deadline_at"])
    failpoints.hit("billing.payment_link.before_claim_commit")
    return claim


def _carry_out(request: BillingRequest, *, is_replay: bool, profile: Profile) -> Answer:
    """Make the prices, freeze, make the link, write the end down; whoever is fenced answers from the row."""
    try:
        if request.provider_request_params_json is None:
            request, params = _prepare(request, profile=profile)
            request = _freeze(request, params)
        return _dispatch(request, is_replay=is_replay, profile=profile)
    except Fenced as fenced:
        return idempotency.render(fenced.request, now=clock.now())
    except Unbuildable:
        return creations.give_up(request, code=FailureCode.CHECKOUT_CONFIGURATION_INVALID)
    except _PriceFailed as failed:
        return creations.conclude(failed.request, failed.error, is_replay=is_replay)


class _PriceFailed(Exception):
    """A price could not be made, or nobody knows; the request as it was then, and what happened."""

    def __init__(self, request: BillingRequest, error: Exception) -> None:
        super().__init__("a price of a payment link was not made")
        self.request, self.error = request, error


def _prepare(request: BillingRequest, *, profile: Profile) -> tuple[BillingRequest, dict[str, Any]]:
    """Make a price for each ad-hoc line, under a key of its own, and build the link's parameters."""
    provider = providers.named(request.provider)
    price_ids: list[str] = []
    for index, line in enumerate(payment_link_params.lines_of(request)):
        if "priceId" in line:
            price_ids.append(str(line["priceId"]))
            continue
        params = payment_link_params.price_of(request, index=index, line=line)
        request = creations.require_lease(request, now=clock.now())
        key = idempotency.price_key(request.provider_idempotency_key, index=index)
        try:
            price = provider.create_price(params, idempotency_key=key, profile=profile).facts
        except Exception as error:
            raise _PriceFailed(request, error) from error
        price_ids.append(price.id)
        failpoints.hit("billing.payment_link.price_made")
    return request, payment_link_params.link_of(request, price_ids)


def _freeze(request: BillingRequest, params: dict[str, Any]) -> BillingRequest:
    def write(entity: BillableEntity, row: BillingRequest) -> None:
        creations.require_ours(request, row)
        try:
            freezing.freeze(row, params=params, now=clock.now())
        except freezing.NotFreezable as error:
            raise Unbuildable(str(error)) from error
        failpoints.hit("billing.payment_link.before_freeze_commit")

    frozen = creations.locked(request, write)
    failpoints.hit("billing.payment_link.frozen")
    return frozen


def _dispatch(request: BillingRequest, *, is_replay: bool, profile: Profile) -> Answer:
    if not freezing.is_whole(request) or not freezing.is_intact(request):
        return creations.give_up(request, code=FailureCode.CHECKOUT_CONFIGURATION_INVALID)
    request = creations.require_lease(request, now=clock.now())
    params: dict[str, Any] = request.provider_request_params_json or {}
    try:
        link = (
            providers.named(request.provider)
            .create_payment_link(params, idempotency_key=request.provider_idempotency_key, profile=profile)
            .facts
        )
    except Exception as error:  # a certain no, or no answer: the table of 5.3 tells them apart
        return creations.conclude(request, error, is_replay=is_replay)
    failpoints.hit("billing.payment_link.dispatched")

    def write(entity: BillableEntity, row: BillingRequest) -> None:
        _keep(entity, row, link)
        idempotency.succeed(
            row,
            expected_version=request.lease_version,
            response=_response(row, link),
            provider_session_id=link.id,
            now=clock.now(),
        )
        failpoints.hit("billing.payment_link.before_commit")

    return creations.end(request, write)


def _keep(entity: BillableEntity, request: BillingRequest, link: PaymentLinkFacts) -> None:
    """Know the link, also when the request is not ours to end any more: it exists and takes money."""
    row = PaymentLink(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=request.provider,
        provider_payment_link_id=link.id,
        operation_key=request.operation_key,
        url=link.url,
        active=link.active,
        line_items_json=request.normalized_request_json.get("lineItems", []),
    )
    refs.claim(kind=RefKind.PAYMENT_LINK, ref=link.id, entity=entity, provider=request.provider)
    if rows.insert_once(row, target=("tenant_id", "provider", "provider_payment_link_id")):
        # Somebody may have paid before we knew the link; such sessions were told by the operation key.
        CheckoutSession.objects.filter(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            flow=Flow.PAYMENT_LINK,
            operation_key=request.operation_key,
            payment_link=None,
        ).update(payment_link=row)


def _response(request: BillingRequest, link: PaymentLinkFacts) -> dict[str, Any]:
    return {
        "provider": request.provider,
        "billableEntityId": request.billable_entity_id,
        "operationKey": request.operation_key,
        "paymentLink": {"id": link.id, "url": link.url, "active": link.active},
    }
