"""The end of a request: written once, by compare-and-set on the lease version (INV-10, INV-11).

Whoever writes an end holds the entity's lock; every end clears the lease and moves the version on, so that
whoever else was at work on the request finds himself fenced.
"""

import datetime as dt
from typing import Any, Final

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, BillingRequest, CheckoutSession
from billing.services import blocks, guardrails, rows
from billing.services.idempotency_answers import sentence_of
from billing.states import Action, FailureCode, RequestStatus, SessionStatus
from settld.core import clock

PROVIDER_STATUS: Final[dict[str, str]] = {
    SessionStatus.OPEN: "open",
    SessionStatus.COMPLETED_PENDING_SUBSCRIPTION: "complete",
    SessionStatus.COMPLETED_RECONCILED: "complete",
    SessionStatus.EXPIRED: "expired",
}


def succeed(
    request: BillingRequest,
    *,
    expected_version: int,
    response: dict[str, Any],
    provider_session_id: str | None,
    now: dt.datetime,
) -> bool:
    """Store the answer if the request is pending at this version; False means that it was not, and is not.

    The entity is locked. `request` is read again, so what is rendered from it is what is stored.
    """
    return _end(
        request,
        expected_version=expected_version,
        status=RequestStatus.SUCCEEDED,
        response_json=response,
        provider_session_id=request.provider_session_id or provider_session_id,
        updated_at=now,
    )


def fail(
    request: BillingRequest,
    *,
    expected_version: int,
    code: FailureCode,
    details: dict[str, Any] | None = None,
    now: dt.datetime,
    status: RequestStatus = RequestStatus.FAILED,
) -> bool:
    """Store a failure with its sentence if the request is pending at this version; False otherwise.

    The entity is locked. A checkout ends in `checkout_recovery_window_elapsed` or
    `checkout_replay_provenance_mismatch` only beside a session row or a hold (INV-15): the commit fails
    otherwise.
    """
    return _end(
        request,
        expected_version=expected_version,
        status=status,
        failure_code=code,
        failure_reason=sentence_of(code),
        failure_details_json=details,
        updated_at=now,
    )


def _end(request: BillingRequest, *, expected_version: int, **changes: Any) -> bool:
    ended = rows.compare_and_set(
        request,
        expected={
            "tenant_id": request.tenant_id,
            "status": RequestStatus.PENDING,
            "lease_version": expected_version,
        },
        changes=changes
        | {
            "pending_lease_expires_at": None,
            "lease_owner": None,
            "lease_version": expected_version + 1,
        },
    )
    if not ended:
        fenced(request)
    return ended


def fenced(request: BillingRequest) -> None:
    """Say that somebody who had lost a request's lease came to write its end, and did not."""
    guardrails.emit(
        Guardrail.IDEMPOTENCY_LEASE_FENCED,
        operation_key=request.operation_key,
        billable_entity_id=request.billable_entity_id,
        action=request.action,
        status=request.status,
    )


def note(
    request: BillingRequest,
    *,
    expected_version: int,
    is_indeterminate: bool = False,
    is_saved_failure: bool = False,
    provider_session_id: str | None = None,
) -> bool:
    """Remember what a pending request went through, if it is ours at this version; the entity is locked."""
    changes: dict[str, Any] = {}
    if is_indeterminate:
        changes["had_indeterminate_attempt"] = True
    if is_saved_failure:
        changes["has_saved_failure"] = True
    if provider_session_id and not request.provider_session_id:
        changes["provider_session_id"] = provider_session_id
    ours = BillingRequest.objects.filter(
        tenant_id=request.tenant_id,
        pk=request.pk,
        status=RequestStatus.PENDING,
        lease_version=expected_version,
    )
    return bool(changes and ours.update(**changes))


def checkout_response(
    request: BillingRequest, session: CheckoutSession, *, provider_status: str | None = None
) -> dict[str, Any]:
    """Build the answer to a checkout from its session row; `provider_status` is the provider's own word."""
    return {
        "provider": request.provider,
        "billableEntityId": request.billable_entity_id,
        "operationKey": request.operation_key,
        "checkoutType": request.normalized_request_json.get("checkoutType", session.flow),
        "checkoutSession": {
            "providerCheckoutSessionId": session.provider_checkout_session_id,
            "status": session.status,
            "providerStatus": provider_status or PROVIDER_STATUS.get(session.status),
            "checkoutUrl": session.checkout_url,
            "expiresAt": clock.iso(session.expires_at),
            "customerId": session.provider_customer_id,
            "subscriptionId": session.provider_subscription_id,
        },
    }


def finalise_from_facts(
    *, entity: BillableEntity, request: BillingRequest, session: CheckoutSession, now: dt.datetime
) -> bool:
    """End a checkout request by its session row, which an event or a comparison has just brought up to date.

    For webhooks and reconciliation; the entity, the request and the session are locked, the session row is
    saved. A session that lost its place or ran out ends the request as a failure. A finished request stays,
    but for this: one that a subscription's event finished before the session's id was known gets the id,
    with the rest of the answer. A hold, and a request of another action, are left alone. True if it wrote.
    """
    if request.action != Action.CHECKOUT or session.status == SessionStatus.RECOVERY_VERIFICATION_PENDING:
        return False
    if not request.is_pending:
        return _complete(request, session)
    version = request.lease_version
    failure = blocks.why_useless(session, entity=entity, now=now)
    if failure is not None:
        code, details = failure
        status = blocks.end_of(code)
        return fail(request, expected_version=version, code=code, details=details, status=status, now=now)
    return succeed(
        request,
        expected_version=version,
        response=checkout_response(request, session),
        provider_session_id=session.provider_checkout_session_id,
        now=now,
    )


def _complete(request: BillingRequest, session: CheckoutSession) -> bool:
    """Fill in the session that a finished request did not know yet (the one change that INV-11 allows)."""
    is_open = request.status == RequestStatus.SUCCEEDED and request.provider_session_id is None
    if not is_open or session.provider_checkout_session_id is None:
        return False
    finished = BillingRequest.objects.filter(
        tenant_id=request.tenant_id, pk=request.pk, provider_session_id=None, status=RequestStatus.SUCCEEDED
    )
    filled = finished.update(
        provider_session_id=session.provider_checkout_session_id,
        response_json=checkout_response(request, session),
    )
    request.refresh_from_db()
    return bool(filled)
