"""Stripe's error answers."""

from settld.stripe_simulator.wire import Json


class StripeError(Exception):
    """An error answer in Stripe's shape.

    `executed` says whether an endpoint had begun to work: only then is the answer kept under the caller's
    idempotency key. Parameter errors, access errors, rate limits and conflicts are not kept.
    """

    executed = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.kind, self.code, self.param = message, status, kind, code, param
        self.headers = headers or {}
        self.decline_code: str | None = None

    def body(self) -> Json:
        error = {"code": self.code, "message": self.message, "param": self.param, "type": self.kind}
        error["decline_code"] = self.decline_code
        return {"error": {name: value for name, value in error.items() if value is not None}}


class Refused(StripeError):
    """A clear no from an endpoint that had begun to work, such as too little money."""

    executed = True


class Declined(Refused):
    """A payment that was tried and failed: the error is the answer, and what the try left stays.

    `payment_intent` is shown in the error, as Stripe does.
    """

    def __init__(self, *, code: str, decline_code: str, message: str, payment_intent: Json) -> None:
        super().__init__(message, status=402, kind="card_error", code=code)
        self.decline_code = decline_code
        self.payment_intent = payment_intent

    def body(self) -> Json:
        body = super().body()
        body["error"]["payment_intent"] = self.payment_intent
        return body


def missing(*, noun: str, object_id: str, param: str | None = "id", status: int = 404) -> StripeError:
    message = f"No such {noun}: '{object_id}'"
    kind = Refused if status == 400 else StripeError
    return kind(message, status=status, code="resource_missing", param=param)


def internal_error() -> StripeError:
    return Refused("An unknown error occurred", status=500, kind="api_error")


def rate_limited() -> StripeError:
    message = "Request rate limit exceeded. You can slow down and try again."
    return StripeError(message, status=429, kind="invalid_request_error", code="rate_limit")
