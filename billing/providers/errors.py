"""What a provider call ends in when it gives no usable answer, in words of our own (spec 5.3)."""

from enum import StrEnum

from billing.provider_time import ProviderTime
from settld.stripe_gateway.outcomes import ProviderTrouble
from settld.stripe_gateway.replies import Attempt

MISMATCH_TYPE = "idempotency_error"
MISSING_CODE = "resource_missing"
CIRCUIT_OPEN_CODE = "circuit_open"


class Category(StrEnum):
    """Kinds of trouble, told by the HTTP status and the provider's own words."""

    INVALID_REQUEST = "invalid_request"
    AUTH = "auth"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    TRANSIENT_NETWORK = "transient_network"
    TRANSIENT_PROVIDER = "transient_provider"
    UNKNOWN = "unknown"


RETRYABLE = frozenset(
    {
        Category.CONFLICT,
        Category.RATE_LIMITED,
        Category.TRANSIENT_NETWORK,
        Category.TRANSIENT_PROVIDER,
        Category.UNKNOWN,
    }
)


class ProviderProblem(ProviderTrouble):
    """One operation that did not give a usable answer, whatever number of HTTP requests it took.

    `attempts` has an entry for each HTTP request; it is empty when nothing was sent. `is_local` says that
    we failed before anything left (parameters that cannot be sent, a missing key). Status, code, request
    id, `is_replayed`, `provider_time` and `retry_after_seconds` are those of the final answer.
    """

    def __init__(
        self,
        message: str,
        *,
        category: Category,
        http_status: int | None = None,
        provider_code: str | None = None,
        provider_type: str | None = None,
        provider_request_id: str | None = None,
        is_replayed: bool = False,
        is_local: bool = False,
        attempts: tuple[Attempt, ...] = (),
        provider_time: ProviderTime | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        self.message = message
        self.category = category
        self.http_status = http_status
        self.provider_code = provider_code
        self.provider_type = provider_type
        self.provider_request_id = provider_request_id
        self.is_replayed = is_replayed
        self.is_local = is_local
        self.attempts = attempts
        self.provider_time = provider_time
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{category}: {message}")

    @property
    def retryable(self) -> bool:
        """Tell whether asking the same thing again later makes sense."""
        return self.category in RETRYABLE

    @property
    def is_missing(self) -> bool:
        """Tell whether the provider knows no such object: 404 with its code for it, no other 404."""
        return self.http_status == 404 and self.provider_code == MISSING_CODE

    @property
    def is_idempotency_mismatch(self) -> bool:
        """Tell whether the idempotency key was used before with other parameters."""
        return self.http_status == 400 and self.provider_type == MISMATCH_TYPE

    @property
    def is_access_denied(self) -> bool:
        """Tell whether the provider refused us, not what we asked: 401 or 403."""
        return self.category in (Category.AUTH, Category.PERMISSION)

    @property
    def is_rejection(self) -> bool:
        """Tell whether this is a clear no to what was asked: nothing was made, now or under this key before.

        Not a mismatch of parameters, not a refusal of our access, and nothing of our own making.
        """
        refused = self.category in (Category.INVALID_REQUEST, Category.NOT_FOUND)
        return refused and not self.is_idempotency_mismatch and not self.is_local

    @property
    def is_unusable_answer(self) -> bool:
        """Tell whether the provider said yes in a form that we cannot use."""
        return self.http_status is not None and self.http_status < 400

    @property
    def had_indeterminate_attempt(self) -> bool:
        """Tell whether a request before the last of this operation may have had its effect unheard."""
        return any(attempt.is_indeterminate for attempt in self.attempts[:-1])

    @property
    def is_saved_failure(self) -> bool:
        """Tell whether the provider repeats a failure of its own for this key; it will not do otherwise."""
        return self.is_replayed and self.http_status is not None and self.http_status >= 500

    def as_details(self) -> dict[str, object]:
        """Give what a log line or a stored failure may carry."""
        return {
            "category": self.category.value,
            "retryable": self.retryable,
            "httpStatus": self.http_status,
            "providerCode": self.provider_code,
            "providerRequestId": self.provider_request_id,
        }
