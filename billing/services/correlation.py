"""Whose a checkout session is: every clause of spec/checkout-billing.md 6.4, or nothing is written."""

from dataclasses import dataclass
from typing import NoReturn

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, BillingRequest, CheckoutSession, PaymentLink
from billing.providers.facts import SessionFacts
from billing.services import guardrails, locks, refs, session_rows
from billing.states import PROVIDER, Action, Flow, RefKind
from settld.core.errors import Conflict


class SessionCorrelationMismatch(Conflict):
    """A checkout session that is not, or not only, what it says it is; no row was written."""

    code = "CHECKOUT_SESSION_CORRELATION_MISMATCH"
    message = "The checkout session does not match what is known of it."


@dataclass(frozen=True)
class Correlation:
    """What we know of the operation that a session belongs to; any of the rows may be missing, not all."""

    operation_key: str
    flow: Flow
    request: BillingRequest | None
    session: CheckoutSession | None
    payment_link: PaymentLink | None


def owner_of(facts: SessionFacts, *, provider_event_id: str | None = None) -> refs.Owner:
    """Find whose a session is by the directory, before any tenant is known and any lock is held.

    A payment link leads before an operation key, as a link may be paid by anybody. Raises
    SessionCorrelationMismatch when neither is known.
    """
    owner = refs.find(kind=RefKind.PAYMENT_LINK, ref=facts.payment_link_id) or refs.find(
        kind=RefKind.OPERATION_KEY, ref=facts.operation_key
    )
    if owner is None:
        refuse(facts, "nothing local is known of it", provider_event_id=provider_event_id)
    return owner


def locate(
    *, entity: BillableEntity, facts: SessionFacts, provider_event_id: str | None = None
) -> Correlation:
    """Find the rows that a session of this entity belongs to; inside the transaction, the entity locked.

    The flow is that of the operation, never what the session says. Raises SessionCorrelationMismatch.
    `require` still has to hold; `checkout_session.merge` asks it.
    """
    link = _link(entity, facts.payment_link_id)
    operation_key = link.operation_key if link is not None else facts.operation_key
    if not operation_key:
        refuse(facts, "no operation key", entity=entity, provider_event_id=provider_event_id)
    found = flow_of(entity=entity, operation_key=operation_key, payment_link=link)
    if found is None:
        refuse(facts, "its operation key is unknown", entity=entity, provider_event_id=provider_event_id)
    return found


def flow_of(
    *, entity: BillableEntity, operation_key: str, payment_link: PaymentLink | None = None
) -> Correlation | None:
    """Tell what an operation key of this entity stands for; None when it is of no checkout or link.

    The request and the session are locked; `payment_link` is that of the key, where it has been read already.
    """
    request = locks.lock_request_of(entity, operation_key, actions=[Action.CHECKOUT, Action.PAYMENT_LINK])
    session = session_rows.of_operation(entity, operation_key)
    link = payment_link
    if link is None and (request is None or request.action == Action.PAYMENT_LINK):
        link = PaymentLink.objects.filter(
            tenant_id=entity.tenant_id, billable_entity=entity, operation_key=operation_key
        ).first()
    if link is not None:
        flow = Flow.PAYMENT_LINK
    elif session is not None:
        flow = Flow(session.flow)
    elif request is not None:
        flow = flow_of_request(request)
    else:
        return None
    return Correlation(operation_key, flow, request, session, link)


def flow_of_request(request: BillingRequest) -> Flow:
    """Tell what sessions of a request sell, by its action and its normalized body."""
    if request.action == Action.PAYMENT_LINK:
        return Flow.PAYMENT_LINK
    body = request.normalized_request_json
    is_one_off = isinstance(body, dict) and body.get("checkoutType") == Flow.ONE_OFF
    return Flow.ONE_OFF if is_one_off else Flow.SUBSCRIPTION


def require(
    *,
    entity: BillableEntity,
    facts: SessionFacts,
    operation_key: str,
    flow: Flow,
    session: CheckoutSession | None,
    request: BillingRequest | None,
    payment_link: PaymentLink | None,
    provider_event_id: str | None = None,
) -> refs.Owners:
    """Let a session through that agrees with all we know of its operation; otherwise nothing is written.

    `session` is the row it would be merged into. Gives what the directory holds of its ids, all of them this
    entity's. Raises SessionCorrelationMismatch and says so in the guardrail
    BILLING_CHECKOUT_CORRELATION_MISMATCH.
    """
    held: refs.Owners = {}
    reason = (
        _wrong_key(facts, operation_key, flow, session, request, payment_link)
        or _wrong_entity(entity, facts, session, request, payment_link)
        or _wrong_ids(facts, flow, session, payment_link)
    )
    if reason is None:
        held = _held(facts)
        reason = _owned_by_another(entity, held) or _subscribed_by_another(entity, facts, session)
    if reason is not None:
        refuse(facts, reason, entity=entity, provider_event_id=provider_event_id)
    return held


def refuse(
    facts: SessionFacts,
    reason: str,
    *,
    entity: BillableEntity | None = None,
    provider_event_id: str | None = None,
) -> NoReturn:
    """Say that a session does not match, and raise."""
    guardrails.emit(
        Guardrail.CHECKOUT_CORRELATION_MISMATCH,
        operation_key=facts.operation_key,
        provider_event_id=provider_event_id,
        billable_entity_id=None if entity is None else entity.pk,
        provider_checkout_session_id=facts.id,
        reason=reason,
    )
    raise SessionCorrelationMismatch(
        details={"providerCheckoutSessionId": facts.id, "operationKey": facts.operation_key, "reason": reason}
    )


def _wrong_key(
    facts: SessionFacts,
    operation_key: str,
    flow: Flow,
    session: CheckoutSession | None,
    request: BillingRequest | None,
    payment_link: PaymentLink | None,
) -> str | None:
    if not facts.id:
        return "no session id"
    if not operation_key:
        return "no operation key"
    if flow != Flow.PAYMENT_LINK and facts.operation_key is None:
        return "no operation key"
    if facts.operation_key is not None and facts.operation_key != operation_key:
        return "another operation key"
    if any(
        row is not None and row.operation_key != operation_key for row in (session, request, payment_link)
    ):
        return "another operation key"
    if session is None and payment_link is None and (request is None or request.action == Action.PORTAL):
        return "its operation key is unknown"
    return None


def _wrong_entity(
    entity: BillableEntity,
    facts: SessionFacts,
    session: CheckoutSession | None,
    request: BillingRequest | None,
    payment_link: PaymentLink | None,
) -> str | None:
    if facts.billable_entity_id is not None and facts.billable_entity_id != str(entity.pk):
        return "another entity in its metadata"
    rows = (session, request, payment_link)
    if any(row is not None and row.billable_entity_id != entity.pk for row in rows):
        return "another entity's operation"
    return None


def _wrong_ids(
    facts: SessionFacts, flow: Flow, session: CheckoutSession | None, payment_link: PaymentLink | None
) -> str | None:
    if (flow == Flow.PAYMENT_LINK) != (facts.payment_link_id is not None):
        return "of a payment link, or not of one"
    if payment_link is not None and payment_link.provider_payment_link_id != facts.payment_link_id:
        return "another payment link"
    if session is None:
        return None
    stored = session.provider_checkout_session_id
    if stored is not None and stored != facts.id:
        return "another session of the operation"
    if _differ(session.provider_customer_id, facts.customer_id):
        return "another customer"
    return None  # another subscription is none of 6.4: one that only carries the label may have come first


def _held(facts: SessionFacts) -> refs.Owners:
    return refs.find_all(
        (RefKind.CHECKOUT_SESSION, facts.id),
        (RefKind.CUSTOMER, facts.customer_id),
        (RefKind.SUBSCRIPTION, facts.subscription_id),
    )


def _owned_by_another(entity: BillableEntity, held: refs.Owners) -> str | None:
    ours = refs.Owner(entity.tenant_id, entity.pk)
    for kind, what in (
        (RefKind.CHECKOUT_SESSION, "session"),
        (RefKind.CUSTOMER, "customer"),
        (RefKind.SUBSCRIPTION, "subscription"),
    ):
        if any(owner != ours for (kind_held, _), owner in held.items() if kind_held == kind):
            return f"another entity's {what}"
    return None


def _subscribed_by_another(
    entity: BillableEntity, facts: SessionFacts, session: CheckoutSession | None
) -> str | None:
    if facts.subscription_id is None:
        return None
    if session is not None and session.provider_subscription_id == facts.subscription_id:
        return None  # it is this session's; a second one cannot have it (INV-18)
    known = session_rows.of_subscription(entity, facts.subscription_id)
    if known is not None and (session is None or known.pk != session.pk):
        return "another session's subscription"
    return None


def _differ(stored: str | None, told: str | None) -> bool:
    return stored is not None and told is not None and stored != told


def _link(entity: BillableEntity, payment_link_id: str | None) -> PaymentLink | None:
    if payment_link_id is None:
        return None
    return PaymentLink.objects.filter(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=PROVIDER,
        provider_payment_link_id=payment_link_id,
    ).first()
