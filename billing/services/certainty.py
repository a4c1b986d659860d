"""What a creating call's outcome tells about what the provider made: the decision table of 5.3.

Only a clear no, to a request of which no earlier attempt may have had its effect, is a failure. Everything
that says nothing leaves the request pending for recovery. Action-neutral: checkout, portal and payment links
are judged by the same rows.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from billing.guardrail_codes import Guardrail
from billing.providers.errors import Category, ProviderProblem
from billing.states import Action


class Outcome(StrEnum):
    """What follows for the request."""

    REJECTED = "rejected"  # failed, checkout_provider_error
    MISMATCH = "mismatch"  # hold and failed, checkout_configuration_invalid
    UNSENT = "unsent"  # failed, checkout_configuration_invalid; on a replay with a hold
    PENDING = "pending"  # nothing is known; recovery goes on


@dataclass(frozen=True)
class Judgement:
    """An outcome, what to remember on the row, and what to raise an alarm about."""

    outcome: Outcome
    is_indeterminate: bool = False
    is_saved_failure: bool = False
    guardrails: tuple[Guardrail, ...] = ()


PROVIDER_ERROR: Final[dict[str, Guardrail]] = {
    Action.CHECKOUT: Guardrail.CHECKOUT_PROVIDER_ERROR,
    Action.PORTAL: Guardrail.PORTAL_PROVIDER_ERROR,
    Action.PAYMENT_LINK: Guardrail.PAYMENT_LINK_PROVIDER_ERROR,
}
INDETERMINATE: Final[dict[str, Guardrail]] = {
    Action.CHECKOUT: Guardrail.CHECKOUT_INDETERMINATE_PROVIDER_OUTCOME,
    Action.PORTAL: Guardrail.PORTAL_INDETERMINATE_PROVIDER_OUTCOME,
    Action.PAYMENT_LINK: Guardrail.PAYMENT_LINK_INDETERMINATE_PROVIDER_OUTCOME,
}


def judge(error: Exception, *, action: str, is_replay: bool, had_indeterminate_attempt: bool) -> Judgement:
    """Judge a creating call that gave no usable answer.

    `is_replay`: the call repeated one of which nothing is known. `had_indeterminate_attempt`: the row
    remembers an unclear attempt. What is no ProviderProblem is an unknown exception and proves nothing.
    """
    if not isinstance(error, ProviderProblem):
        return _pending(action, not_normalized=True, is_indeterminate=True)
    if error.is_local:
        return Judgement(Outcome.UNSENT, guardrails=(PROVIDER_ERROR[action],))
    if error.is_idempotency_mismatch:
        return Judgement(Outcome.MISMATCH, guardrails=(Guardrail.PROVIDER_REQUEST_HASH_MISMATCH,))
    if error.is_unusable_answer:
        return _pending(action, not_normalized=True, is_indeterminate=True)
    if error.is_access_denied:
        # A refusal of our key says nothing about a request that went out before it.
        if is_replay or had_indeterminate_attempt or error.had_indeterminate_attempt:
            return _pending(action, is_indeterminate=error.had_indeterminate_attempt)
        return Judgement(Outcome.REJECTED, guardrails=(PROVIDER_ERROR[action],))
    if error.is_rejection:
        return Judgement(Outcome.REJECTED, guardrails=(PROVIDER_ERROR[action],))
    is_indeterminate = any(attempt.is_indeterminate for attempt in error.attempts)
    return _pending(
        action,
        not_normalized=error.category == Category.UNKNOWN,
        is_indeterminate=is_indeterminate,
        is_saved_failure=error.is_saved_failure,
    )


def _pending(
    action: str,
    *,
    not_normalized: bool = False,
    is_indeterminate: bool = False,
    is_saved_failure: bool = False,
) -> Judgement:
    alarms: tuple[Guardrail, ...] = (INDETERMINATE[action],)
    if not_normalized:
        alarms = (Guardrail.PROVIDER_ERROR_NOT_NORMALIZED, *alarms)
    return Judgement(
        Outcome.PENDING,
        is_indeterminate=is_indeterminate,
        is_saved_failure=is_saved_failure,
        guardrails=alarms,
    )


def problem_context(error: Exception) -> dict[str, Any]:
    """Give what a guardrail may say about an outcome; no text of the provider's, which may quote input."""
    if isinstance(error, ProviderProblem):
        return error.as_details()
    return {"category": "unknown", "error": type(error).__name__}
