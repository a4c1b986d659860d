"""Finding out what became of a checkout request of which nothing is known: the six steps of 5.4."""

import datetime as dt
from typing import Final

from django.conf import settings

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.models import BillingRequest
from billing.provider_time import ProviderTime
from billing.providers import base as providers
from billing.providers.errors import ProviderProblem
from billing.providers.facts import Answer as ProviderAnswer
from billing.providers.facts import SessionFacts
from billing.services import certainty, checkout_dispatch, checkout_finish, freezing, guardrails
from billing.services import idempotency_close as closing
from billing.services.correlation import SessionCorrelationMismatch
from billing.services.freezing import Horizons
from billing.states import FailureCode, RequestStatus
from settld.stripe_gateway.profiles import Profile

LOOKUP_BEFORE_SECONDS: Final = 300
LOOKUP_AFTER_SECONDS: Final = 86_400
MEANINGFUL: Final = {"complete": 0, "open": 1, "expired": 2}


def resolve(request: BillingRequest, *, profile: Profile) -> BillingRequest:
    """Take the first of the six steps that matches; no transaction is open, the request's lease is ours.

    Gives the row as it is afterwards; pending when the provider did not tell.
    """
    if (known := _by_id(request, profile=profile)) is not None:
        return known
    horizons = freezing.horizons(request)
    if horizons is None:
        _alarm(request, Guardrail.PROVIDER_REQUEST_HASH_MISMATCH, reason="frozen request missing or changed")
        return closing.terminate(request, code=FailureCode.CHECKOUT_CONFIGURATION_INVALID, has_hold=True)
    is_over = clock.now() >= horizons.deadline
    drift = freezing.drift(request)
    may_send = not is_over and not drift and not request.has_saved_failure
    is_looked_up = request.recovery_attempt_count >= 2 or not may_send
    if is_looked_up and (found := _look_up(request, horizons, profile=profile)) is not None:
        return found
    # A long look may outlast the deadline, after which the provider may not know our key any more.
    if is_over or (is_looked_up and clock.now() >= horizons.deadline):
        return _give_up(request, horizons)
    if drift:
        return _refuse_replay(request, drift)
    if request.has_saved_failure:
        return closing.remember(request)  # the provider would repeat its own failure; only a look can help
    return checkout_dispatch.dispatch(request, is_replay=True, profile=profile)


def _by_id(request: BillingRequest, *, profile: Profile) -> BillingRequest | None:
    """Step 1: where the session's id is known, it says itself what it is. None for none, or not ours."""
    session_id = request.provider_session_id
    if session_id is None:
        return None
    try:
        answer = providers.named(request.provider).retrieve_checkout_session(session_id, profile=profile)
    except Exception as error:
        if isinstance(error, ProviderProblem) and error.is_missing:
            return closing.terminate(request, code=FailureCode.CHECKOUT_PROVIDER_ERROR)
        _unclear(request, error)
        return closing.remember(request)
    try:
        return checkout_finish.finish(request, answer)
    except SessionCorrelationMismatch:
        return None


def _look_up(request: BillingRequest, horizons: Horizons, *, profile: Profile) -> BillingRequest | None:
    """Step 3: all sessions of the time in question; None when none is ours, or when nobody could say."""
    began = int(horizons.frozen_at.timestamp())
    try:
        found = providers.named(request.provider).list_checkout_sessions_by_operation_key(
            request.operation_key,
            client_reference_id=str(request.billable_entity_id),
            created_from=ProviderTime(began - LOOKUP_BEFORE_SECONDS),
            created_to=ProviderTime(began + LOOKUP_AFTER_SECONDS),
            profile=profile,
        )
    except Exception as error:
        _unclear(request, error)
        return None
    for answer in sorted(found, key=_meaning):
        try:
            return checkout_finish.finish(request, answer)
        except SessionCorrelationMismatch:
            continue
    return None


def _meaning(answer: ProviderAnswer[SessionFacts]) -> tuple[int, int]:
    """One session is what there should be; of more, the one that went furthest, then the oldest."""
    created = answer.facts.created
    return MEANINGFUL.get(answer.facts.status, 3), 0 if created is None else created.seconds


def _give_up(request: BillingRequest, horizons: Horizons) -> BillingRequest:
    """Step 4: nothing may be sent any more. The place is kept while a session may still be open somewhere."""
    grace = dt.timedelta(seconds=settings.BILLING.expires_at_grace_seconds)
    return closing.terminate(
        request,
        code=FailureCode.CHECKOUT_RECOVERY_WINDOW_ELAPSED,
        status=RequestStatus.EXPIRED,
        has_hold=True,
        hold_until=horizons.upper_bound + grace,
    )


def _refuse_replay(request: BillingRequest, drift: list[str]) -> BillingRequest:
    """Step 5: we are not who froze the request; what we would send might be read otherwise."""
    for code in (
        Guardrail.PROVIDER_SDK_API_BASELINE_DRIFT,
        Guardrail.CHECKOUT_REPLAY_PROVENANCE_MISMATCH,
        Guardrail.CHECKOUT_RECOVERY_VERIFICATION_PENDING,
    ):
        _alarm(request, code, drift=",".join(drift))
    return closing.terminate(request, code=FailureCode.CHECKOUT_REPLAY_PROVENANCE_MISMATCH, has_hold=True)


def _unclear(request: BillingRequest, error: Exception) -> None:
    _alarm(request, certainty.INDETERMINATE[request.action], **certainty.problem_context(error))


def _alarm(request: BillingRequest, code: Guardrail, **context: object) -> None:
    known = {"operation_key": request.operation_key, "billable_entity_id": request.billable_entity_id}
    guardrails.emit(code, **(context | known))  # type: ignore[arg-type]
