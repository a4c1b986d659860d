"""The refusal hierarchy: each refusal knows its wire code, status and text; one handler renders all."""

from typing import Any


class Refusal(Exception):
    """A request we understood and will not carry out; nothing was changed by it."""

    status = 400
    code = "SCHEMA_INVALID"
    message = "invalid request"

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Any = None,
        headers: dict[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.code = code or type(self).code
        self.details = details
        self.headers = headers or {}
        super().__init__(self.message)


class Invalid(Refusal):
    """The request's shape is wrong."""


class Forbidden(Refusal):
    """No credential, a wrong one, or one without the scope; the reason goes to logs only."""

    status = 403
    code = "FORBIDDEN"
    message = "forbidden"

    def __init__(self, reason: str = "missing") -> None:
        super().__init__()
        self.reason = reason


class NotFound(Refusal):
    """No such thing, for this tenant."""

    status = 404
    code = "NOT_FOUND"
    message = "not found"


class Conflict(Refusal):
    """The state of things refuses the request."""

    status = 409
    code = "CONFLICT"
    message = "conflict"


class Unavailable(Refusal):
    """We cannot answer now; trying again later is right."""

    status = 503
    code = "SERVICE_UNAVAILABLE"
    message = "temporarily unavailable"
