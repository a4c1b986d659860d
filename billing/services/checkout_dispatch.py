"""Asking the provider for a checkout session with the frozen parameters, and writing down what came of it."""

from billing.guardrail_codes import Guardrail
from billing.models import BillingRequest
from billing.providers import base as providers
from billing.providers.facts import Answer as ProviderAnswer
from billing.providers.facts import SessionFacts
from billing.services import certainty, checkout_finish, freezing, guardrails, idempotency_close
from billing.services.certainty import Judgement, Outcome
from billing.services.correlation import SessionCorrelationMismatch
from billing.states import FailureCode
from settld.core import failpoints
from settld.stripe_gateway.profiles import Profile

# Parameters that are not those that were frozen are never sent.
TAMPERED = Judgement(Outcome.UNSENT, guardrails=(Guardrail.PROVIDER_REQUEST_HASH_MISMATCH,))


def dispatch(request: BillingRequest, *, is_replay: bool, profile: Profile) -> BillingRequest:
    """Send the frozen request under its key; no transaction is open. Gives the row as it is afterwards.

    `is_replay`: nobody knows what became of an earlier sending (5.4 step 6). A row that is still pending
    afterwards goes on in recovery.
    """
    if not freezing.is_intact(request):
        return close(request, TAMPERED, is_replay=is_replay)
    provider = providers.named(request.provider)
    failpoints.hit("billing.checkout.before_dispatch")
    try:
        answer = provider.create_checkout_session(
            request.provider_request_params_json or {},
            idempotency_key=request.provider_idempotency_key,
            profile=profile,
        )
    except Exception as error:  # whatever it is, it must be judged by what it tells about the session
        failpoints.hit("billing.checkout.dispatch_failed")
        judgement = certainty.judge(
            error,
            action=request.action,
            is_replay=is_replay,
            had_indeterminate_attempt=request.had_indeterminate_attempt,
        )
        return close(request, judgement, is_replay=is_replay, error=error)
    failpoints.hit("billing.checkout.dispatched")
    if is_replay and answer.is_replayed:
        return _adopt_as_it_is_now(request, answer.facts.id, profile=profile)
    return adopt(request, answer)


def adopt(request: BillingRequest, answer: ProviderAnswer[SessionFacts]) -> BillingRequest:
    """Write a session down as this request's; one that contradicts what we know leaves it pending."""
    try:
        return checkout_finish.finish(request, answer)
    except SessionCorrelationMismatch as error:  # its guardrail has been raised where it was found
        judgement = Judgement(
            Outcome.PENDING,
            is_indeterminate=True,
            guardrails=(certainty.INDETERMINATE[request.action],),
        )
        return close(request, judgement, is_replay=False, error=error)


def _adopt_as_it_is_now(request: BillingRequest, session_id: str, *, profile: Profile) -> BillingRequest:
    """A repeated answer may be hours old: the session as it is now decides (5.0)."""
    try:
        answer = providers.named(request.provider).retrieve_checkout_session(session_id, profile=profile)
    except Exception as error:
        guardrails.emit(
            certainty.INDETERMINATE[request.action],
            operation_key=request.operation_key,
            billable_entity_id=request.billable_entity_id,
            **certainty.problem_context(error),
        )
        return idempotency_close.remember(request, provider_session_id=session_id)
    return adopt(request, answer)


def close(
    request: BillingRequest, judgement: Judgement, *, is_replay: bool, error: Exception | None = None
) -> BillingRequest:
    """Write down a call that gave no session, as the decision table of 5.3 says."""
    context = {} if error is None else certainty.problem_context(error)
    for code in judgement.guardrails:
        guardrails.emit(
            code,
            operation_key=request.operation_key,
            billable_entity_id=request.billable_entity_id,
            is_replay=is_replay,
            **context,
        )
    match judgement.outcome:
        case Outcome.PENDING:
            return idempotency_close.remember(
                request,
                is_indeterminate=judgement.is_indeterminate,
                is_saved_failure=judgement.is_saved_failure,
            )
        case Outcome.REJECTED:
            return idempotency_close.terminate(
                request, code=FailureCode.CHECKOUT_PROVIDER_ERROR, details=_told(context)
            )
        case Outcome.MISMATCH:
            return _misconfigured(request, has_hold=True)
        case Outcome.UNSENT:
            return _misconfigured(request, has_hold=is_replay)


def _misconfigured(request: BillingRequest, *, has_hold: bool) -> BillingRequest:
    return idempotency_close.terminate(
        request, code=FailureCode.CHECKOUT_CONFIGURATION_INVALID, has_hold=has_hold
    )


def _told(context: dict[str, object]) -> dict[str, object]:
    """Give what a client may know of a refusal: the provider's code and the id to ask its support with."""
    return {name: context[name] for name in ("providerCode", "providerRequestId") if context.get(name)}
