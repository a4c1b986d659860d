"""Writing down what the provider tells of a checkout session (spec/checkout-billing.md 6).

Everything here runs inside the caller's transaction, with the entity, its subscriptions, the request and the
sessions locked in that order. What comes out does not depend on the order in which facts come in (6.2).
"""

import datetime as dt
from collections.abc import Iterable

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, BillingRequest, CheckoutSession, PaymentLink, Subscription
from billing.provider_time import ProviderTime
from billing.providers.facts import SessionFacts
from billing.services import correlation, customers, displacement, guardrails, refs, session_rows
from billing.services.correlation import SessionCorrelationMismatch
from billing.services.displacement import (
    blocking_failure,
    blocking_session,
    blocks,
    displace_others,
    expire_overdue,
)
from billing.services.session_advance import advance_by_subscription
from billing.services.session_rows import TERMINAL
from billing.states import PROVIDER, Flow, RefKind, SessionStatus

__all__ = [
    "SessionCorrelationMismatch",
    "advance_by_subscription",
    "blocking_failure",
    "blocking_session",
    "blocks",
    "displace_others",
    "expire_overdue",
    "has_another",
    "merge",
    "merged_status",
]
COMPLETE = "complete"
SURPLUS = "subscription_exists"


def merge(
    *,
    entity: BillableEntity,
    operation_key: str,
    flow: Flow,
    facts: SessionFacts,
    request: BillingRequest | None,
    payment_link: PaymentLink | None = None,
    provider_event_id: str | None = None,
    event_created: ProviderTime | None = None,
    snapshot_at: ProviderTime | None = None,
    is_reading: bool = False,
    is_surplus: bool | None = None,
    now: dt.datetime,
) -> CheckoutSession:
    """Merge a provider's session into the row of its operation by the table of 6.2, and give the row.

    `request`, where one exists still, is locked. `provider_event_id` and `event_created` name the event
    that told the facts, `snapshot_at` the provider's clock of an answer; `is_reading` marks the session as
    read again just now. `is_surplus`: another subscription is current already, so a session that is open
    at the provider is stored as abandoned and owed an expire job (5.3 step 3); looked up where not told.

    Ids, customer, subscription and times are filled, never replaced. A newcomer that loses to another
    blocking session is stored as `abandoned`, reason `displaced` (6.3); `displacement.blocking_failure` of
    the winner is then the answer. The customer becomes known, as the primary one if the entity has none and
    the flow is not a payment link's. A completed session whose subscription is known already is reconciled at
    once. The request is not finished here.

    Raises SessionCorrelationMismatch (409): nothing was written, and the transaction must be given up.
    """
    row = _row_of(entity, flow, operation_key, facts)
    held = correlation.require(
        entity=entity,
        facts=facts,
        operation_key=operation_key,
        flow=flow,
        session=row,
        request=request,
        payment_link=payment_link,
        provider_event_id=provider_event_id,
    )
    _claim(entity, flow, facts, held, provider_event_id=provider_event_id, now=now)
    if is_surplus is None:
        is_surplus = facts.status == "open" and _finds_a_subscription(entity, flow, operation_key, facts)
    is_new = row is None
    if row is None:
        row = CheckoutSession(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            provider=PROVIDER,
            flow=flow,
            operation_key=operation_key,
        )
        _begin(entity, row, facts, is_surplus=is_surplus, now=now)
    else:
        _follow(entity, row, facts, provider_event_id=provider_event_id, is_surplus=is_surplus, now=now)
    if request is not None and flow != Flow.PAYMENT_LINK and row.idempotency_row_id is None:
        row.idempotency_row = request
    session_rows.fill(row, payment_link=payment_link, completed_at=now if facts.status == COMPLETE else None)
    session_rows.stamp(
        row, provider_event_id=provider_event_id, event_created=event_created, snapshot_at=snapshot_at
    )
    if is_reading:
        row.last_read_at = now
    row.save()
    is_given_up = row.status == SessionStatus.ABANDONED and flow == Flow.SUBSCRIPTION
    if is_given_up and (is_new or facts.status == "open"):
        displacement.owe_expiry(entity, row, now=now)
    return _catch_up(entity, row, now=now)


def has_another(subscriptions: Iterable[Subscription], *, operation_key: str, facts: SessionFacts) -> bool:
    """Tell whether the current subscription came from something else than the checkout of this operation."""
    current = next((row for row in subscriptions if row.is_current), None)
    if current is None or current.provider_subscription_id == facts.subscription_id:
        return False
    metadata = current.metadata_json if isinstance(current.metadata_json, dict) else {}
    return bool(metadata.get("operation_key") != operation_key)


def _finds_a_subscription(
    entity: BillableEntity, flow: Flow, operation_key: str, facts: SessionFacts
) -> bool:
    """Tell whether a session that was found again would sell a second subscription if it were paid."""
    if flow != Flow.SUBSCRIPTION:
        return False
    current = Subscription.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity, is_current=True)
    return has_another(current, operation_key=operation_key, facts=facts)


def merged_status(*, provider_status: str, flow: str, local: str | None) -> SessionStatus:
    """Give the cell of the table of 6.2; `local` is None when there is no row."""
    if local is not None and local in TERMINAL:
        return SessionStatus(local)
    is_pending = local == SessionStatus.COMPLETED_PENDING_SUBSCRIPTION
    match provider_status:
        case "complete":
            if flow == Flow.SUBSCRIPTION:
                return SessionStatus.COMPLETED_PENDING_SUBSCRIPTION
            return SessionStatus.COMPLETED_RECONCILED
        case "open":
            return SessionStatus.COMPLETED_PENDING_SUBSCRIPTION if is_pending else SessionStatus.OPEN
        case "expired":
            return SessionStatus.COMPLETED_PENDING_SUBSCRIPTION if is_pending else SessionStatus.EXPIRED
    raise ValueError(f"a checkout session is not {provider_status}")


def _catch_up(entity: BillableEntity, row: CheckoutSession, *, now: dt.datetime) -> CheckoutSession:
    """Go on at once where the subscription was told of before its session; the order must not matter."""
    if row.flow != Flow.SUBSCRIPTION or row.status != SessionStatus.COMPLETED_PENDING_SUBSCRIPTION:
        return row
    known = Subscription.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity)
    if row.provider_subscription_id is not None:
        known = known.filter(provider_subscription_id=row.provider_subscription_id)
    else:
        known = known.filter(metadata_json__operation_key=row.operation_key)
    subscription = known.order_by("-is_current", "id").first()
    if subscription is None:
        return row
    advanced = advance_by_subscription(
        entity=entity,
        operation_key=row.operation_key,
        provider_subscription_id=subscription.provider_subscription_id,
        subscription_status=subscription.status,
        request=None,
        now=now,
    )
    return advanced or row


def _row_of(
    entity: BillableEntity, flow: Flow, operation_key: str, facts: SessionFacts
) -> CheckoutSession | None:
    """A payment link has many sessions, told apart by their own ids; any other operation has one."""
    if flow == Flow.PAYMENT_LINK:
        return session_rows.of_provider_session(entity, facts.id)
    return session_rows.of_operation(entity, operation_key)


def _claim(
    entity: BillableEntity,
    flow: Flow,
    facts: SessionFacts,
    held: refs.Owners,
    *,
    provider_event_id: str | None,
    now: dt.datetime,
) -> None:
    """Enter the ids that the directory lacks; one that another entity was first with is a mismatch."""
    try:
        if (RefKind.CHECKOUT_SESSION, facts.id) not in held:
            refs.claim(kind=RefKind.CHECKOUT_SESSION, ref=facts.id, entity=entity)
        if facts.customer_id is not None:
            customers.adopt(
                entity=entity,
                provider_customer_id=facts.customer_id,
                email=facts.customer_email,
                flow=flow,
                now=now,
            )
    except refs.RefOwnedByAnother as taken:
        correlation.refuse(
            facts, f"another entity's {taken.kind}", entity=entity, provider_event_id=provider_event_id
        )


def _begin(
    entity: BillableEntity, row: CheckoutSession, facts: SessionFacts, *, is_surplus: bool, now: dt.datetime
) -> None:
    """Give a new row its state; one that may block must first win against who blocks now."""
    status = merged_status(provider_status=facts.status, flow=row.flow, local=None)
    if is_surplus and status == SessionStatus.OPEN:
        status, row.status_reason = SessionStatus.ABANDONED, SURPLUS
    may_block = row.flow == Flow.SUBSCRIPTION and status in displacement.RANK
    if may_block and not displacement.make_room(
        entity=entity, operation_key=row.operation_key, status=status, now=now
    ):
        status, row.status_reason = SessionStatus.ABANDONED, displacement.DISPLACED
    row.status = status
    _learn(row, facts)


def _follow(
    entity: BillableEntity,
    row: CheckoutSession,
    facts: SessionFacts,
    *,
    provider_event_id: str | None,
    is_surplus: bool,
    now: dt.datetime,
) -> None:
    """Move a row that exists; what contradicts it, or comes too late, is said and changes no state."""
    code = _oddity(row, facts)
    if code is not None:
        guardrails.emit(
            code,
            operation_key=row.operation_key,
            provider_event_id=provider_event_id,
            billable_entity_id=entity.pk,
            provider_checkout_session_id=facts.id,
            local_status=row.status,
        )
    was_hold = row.status == SessionStatus.RECOVERY_VERIFICATION_PENDING
    status = merged_status(provider_status=facts.status, flow=row.flow, local=row.status)
    if is_surplus and status == SessionStatus.OPEN:
        session_rows.enter(row, SessionStatus.ABANDONED, now=now, reason=SURPLUS)
    else:
        session_rows.enter(row, status, now=now)
    _learn(row, facts, leaves_hold=was_hold)


def _oddity(row: CheckoutSession, facts: SessionFacts) -> Guardrail | None:
    known = row.provider_subscription_id
    if known is not None and facts.subscription_id not in (None, known):
        return Guardrail.CHECKOUT_STATE_CONTRADICTION  # the subscription that was told of first stays
    if facts.status == COMPLETE and row.status in (SessionStatus.EXPIRED, SessionStatus.ABANDONED):
        return Guardrail.LATE_CHECKOUT_COMPLETION
    if facts.status == "expired" and row.status == SessionStatus.COMPLETED_PENDING_SUBSCRIPTION:
        return Guardrail.CHECKOUT_STATE_CONTRADICTION
    return None


def _learn(row: CheckoutSession, facts: SessionFacts, *, leaves_hold: bool = False) -> None:
    """Take over what the provider tells; only of an open session may address and expiry be replaced."""
    expires_at = None if facts.expires_at is None else facts.expires_at.at
    session_rows.fill(
        row,
        provider_checkout_session_id=facts.id,
        provider_customer_id=facts.customer_id,
        provider_subscription_id=facts.subscription_id,
    )
    if row.status == SessionStatus.OPEN:
        row.checkout_url = facts.url or row.checkout_url
        row.expires_at = expires_at or row.expires_at
        return
    if leaves_hold and expires_at is not None:
        row.expires_at = expires_at  # what stood there was the end of the hold
    session_rows.fill(row, checkout_url=facts.url, expires_at=expires_at)
