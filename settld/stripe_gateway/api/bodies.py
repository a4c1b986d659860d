"""Reading a webhook's bytes, and never more of them than we would take."""

from typing import Protocol

from django.http import HttpRequest, UnreadablePostError

from settld.core.errors import Refusal
from settld.stripe_gateway.services.inbox import BodyMissing


class BodyTooLarge(Refusal):
    """More bytes than an event has."""

    status = 413
    code = "BODY_TOO_LARGE"
    message = "request body too large"


class Stream(Protocol):
    """What bytes are read from."""

    def read(self, size: int = ..., /) -> bytes:
        """Give up to `size` bytes; none at the end."""


def read_limited(request: HttpRequest, limit: int) -> bytes:
    """Read the raw body; more than `limit` bytes are refused, whether announced or only sent."""
    announced = str(request.META.get("CONTENT_LENGTH") or "")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge()
    is_chunked = "chunked" in str(request.META.get("HTTP_TRANSFER_ENCODING", "")).lower()
    # Django reads nothing when no length was announced; the server's own stream knows where it ends.
    stream = request.META.get("wsgi.input") if is_chunked and not announced else request
    try:
        return _read(stream, limit) if stream is not None else b""
    except (UnreadablePostError, OSError) as error:
        raise BodyMissing() from error


def _read(stream: Stream, limit: int) -> bytes:
    content = b""
    while chunk := stream.read(limit + 1 - len(content)):
        content += chunk
        if len(content) > limit:
            raise BodyTooLarge()
    return content
