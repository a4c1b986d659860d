"""The refusals of /api/billing/* that belong to no verb; settld.api.errors renders them (spec 7.1)."""

from collections.abc import Mapping
from typing import Any

from settld.core.errors import Refusal


class AuthenticationRequired(Refusal):
    """Nobody we know calls, whatever the reason; the body names no code."""

    status = 401
    code = ""
    message = "Authentication required."


class NotFound(Refusal):
    """No such door, or none while billing is off; the body names no code."""

    status = 404
    code = ""
    message = "Not found."


class CsrfFailed(Refusal):
    """A browser's write without the token of one of our pages."""

    status = 403
    code = "CSRF_FAILED"
    message = "CSRF token missing or incorrect."


class ValidationFailed(Refusal):
    """The request does not have the shape that the route takes; each wrong field is named with its fault."""

    status = 400
    code = "VALIDATION_ERROR"
    message = "Validation failed."

    def __init__(self, faults: Mapping[str, str], *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(details=dict(details or {}) | {"fieldErrors": dict(faults)})
        self.faults = dict(faults)
