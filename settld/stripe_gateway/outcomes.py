"""What a provider call can end in when it does not succeed, told by what is known about the money."""

import datetime as dt
import re
from typing import ClassVar, Literal, TypedDict

from settld.core.redaction import REDACTED, blanked
from settld.stripe_gateway.replies import Attempt

MESSAGE_MAX = 500
_KEYS = re.compile(r"\b(?:sk|rk|pk|whsec)_[A-Za-z0-9_*]+")

Category = Literal[
    "circuit_open",
    "network_error",
    "rate_limited",
    "upstream_unavailable",
    "upstream_rejected",
    "invalid_response",
    "unknown",
]


class ProviderErrorObject(TypedDict):
    """The provider error object of the API (spec/money-rails.md 2.2); never holds a secret."""

    message: str
    provider: str
    category: Category
    retryable: bool
    httpStatus: int | None
    providerCode: str | None
    providerType: str | None
    providerRequestId: str | None
    endpoint: str
    attempt: int
    maxAttempts: int
    circuitOpenUntil: str | None


class ProviderTrouble(Exception):
    """The provider did not do what was asked, or did not say so; adapters above derive their own from it."""


class ProviderFailure(ProviderTrouble):
    """A provider call that did not succeed; `error` is ready for an answer's details.

    `attempts` has one entry for each HTTP request of the call. The rest is of its final answer: Stripe's
    clock, whether it repeated a saved answer, and the wait that it asks for.
    """

    outcome: ClassVar[str] = "failure"

    def __init__(
        self,
        error: ProviderErrorObject,
        *,
        attempts: tuple[Attempt, ...] = (),
        provider_time: dt.datetime | None = None,
        is_replayed: bool = False,
        retry_after_seconds: int | None = None,
    ) -> None:
        self.error = error
        self.attempts = attempts
        self.provider_time = provider_time
        self.is_replayed = is_replayed
        self.retry_after_seconds = retry_after_seconds
        super().__init__(error["message"])

    @property
    def is_circuit_open(self) -> bool:
        """Tell whether our own circuit, not the provider, ended the call."""
        return self.error["category"] == "circuit_open"


class ProviderRejected(ProviderFailure):
    """A clear no: the provider understood, refused, and moved nothing, in no send of this call."""

    outcome = "rejected"


class ProviderInDoubt(ProviderFailure):
    """No clear answer: what was asked may have happened. Only the provider's own records can tell."""

    outcome = "in_doubt"


class ProviderAnswerUnusable(ProviderInDoubt):
    """The provider said yes in a form we cannot use, so what it did is in doubt."""

    outcome = "unusable"


class ProviderNotExecuted(ProviderFailure):
    """Certainly not carried out: turned away by a rate limit, or never sent."""

    outcome = "not_executed"


def scrub(text: str) -> str:
    """Take keys, client secrets, signatures out of a text for a log or an answer, and cut it short."""
    return _KEYS.sub(REDACTED, blanked(text))[:MESSAGE_MAX]
