"""Reading a request's frame: tenant, body, protocol (P1, P2)."""

import datetime as dt
import json
import math
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.request import RawPostDataException

from settld.core import clock
from settld.core.errors import Invalid, Refusal
from settld.core.principals import Actor, Principal

DEFAULT_TENANT = "tenant_default"
MOST_NESTED = 100
MOST_DROPPED_BYTES = 8_000_000


class OpsRequest(HttpRequest):
    """What a view may rely on; the base view fills it before the handler runs."""

    request_id: str
    received_at: dt.datetime
    principal: Principal
    tenant_id: str
    actor: Actor
    body_json: dict[str, Any]


class BodyTooLarge(Refusal):
    """The body exceeds PROXY_MAX_BODY_BYTES."""

    status = 413
    code = "BODY_TOO_LARGE"
    message = "request body too large"


class UnsupportedMediaType(Refusal):
    """A body that does not say it is JSON."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    message = "content type must be application/json"


def tenant_id(request: HttpRequest) -> str:
    """Read the tenant that a call names; blank means the default tenant."""
    named = request.headers.get("x-proxy-tenant-id", "").strip()
    if len(named) > 200 or any(character < " " for character in named):
        raise Invalid("invalid tenant")
    return named or DEFAULT_TENANT


def principal_label(request: HttpRequest) -> str:
    """Read how a caller without credential names itself; only logs repeat it (platform-operations 1.2)."""
    label = request.headers.get("x-proxy-principal-id", "").strip()
    if len(label) > 200 or any(character < " " for character in label):
        raise Invalid("invalid principal")
    return label


def raw_body(request: HttpRequest, *, limit: int | None = None) -> bytes:
    """Read the body's bytes, refusing more than the limit without keeping them."""
    most = limit or settings.MAX_BODY_BYTES
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > most:
        _drop_body(request, length=int(length))
        raise BodyTooLarge()
    if not length and "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return _chunked_body(request, most=most)
    try:
        content = request.body
    except RawPostDataException as error:
        raise Invalid("the body was already read") from error
    if len(content) > most:
        raise BodyTooLarge()
    return content


def _drop_body(request: HttpRequest, *, length: int) -> None:
    """Read a refused body away: a connection closed on who is still sending resets, and the answer is lost.

    A body far beyond the limit is not waited for.
    """
    left = length if length <= MOST_DROPPED_BYTES else 0
    try:
        while left > 0 and (chunk := request.read(min(left, 65_536))):
            left -= len(chunk)
    except OSError:
        return  # the sender has gone


def _chunked_body(request: Any, *, most: int) -> bytes:
    """Read a body of unannounced length, which Django takes for an empty one."""
    if not hasattr(request, "_body"):
        stream, content = request.META["wsgi.input"], b""
        while len(content) <= most and (chunk := stream.read(most + 1 - len(content))):
            content += chunk
        request._body = content
    if len(request._body) > most:
        raise BodyTooLarge()
    return bytes(request._body)


def json_body(
    request: HttpRequest, *, any_media_type: bool = False, limit: int | None = None
) -> dict[str, Any]:
    """Parse the body as a JSON object; an empty body is an empty object."""
    content = raw_body(request, limit=limit)
    if not content.strip():
        return {}
    media_type = (request.content_type or "").lower()
    if not any_media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType()
    return parse_object(content)


def parse_object(content: bytes) -> dict[str, Any]:
    """Parse bytes as a JSON object that the database and our hashes can hold."""
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Invalid("invalid JSON body") from error
    if not isinstance(value, dict):
        raise Invalid("the JSON body must be an object")
    if content.count(b"[") + content.count(b"{") > MOST_NESTED:
        _require_shallow(value)
    if b"\\u" in content or b"\x00" in content:
        _require_storable(value)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond every JSON number that we can store")
    return number


def _require_shallow(value: Any) -> None:
    """Refuse nesting that would exhaust the stack of whoever walks the value."""
    level = [value]
    for _ in range(MOST_NESTED):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise Invalid("invalid JSON body", details={"message": f"nested deeper than {MOST_NESTED} levels"})


def _require_storable(value: Any) -> None:
    """Refuse texts that PostgreSQL cannot store: NUL and lone surrogates."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise Invalid(
                "invalid JSON body", details={"message": "texts may not hold NUL or lone surrogates"}
            )
    elif isinstance(value, dict):
        for key, member in value.items():
            _require_storable(key)
            _require_storable(member)
    elif isinstance(value, list):
        for member in value:
            _require_storable(member)


# --- Protocol -------------------------------------------------------------------------------------
def require_protocol(request: HttpRequest, *, is_required: bool) -> None:
    """Check the protocol version that a call names, if it names one (platform-operations 1.3)."""
    named = request.headers.get("x-settld-protocol") or request.headers.get("x-nooterra-protocol")
    window = settings.PROTOCOL
    if named is None or not named.strip():
        if is_required and window.is_required:
            raise Invalid("protocol version is required", code="PROTOCOL_VERSION_REQUIRED")
        return
    version = _version(named.strip())
    if version is None:
        raise Invalid("invalid protocol version", code="INVALID_PROTOCOL_VERSION")
    if version < (_version(window.minimum) or (0, 0)):
        raise UpgradeRequired("protocol version is too old", details={"min": window.minimum})
    if version > (_version(window.maximum) or (0, 0)):
        raise Invalid("protocol version is too new", code="PROTOCOL_TOO_NEW", details={"max": window.maximum})
    cutoff = window.deprecations.get(f"{version[0]}.{version[1]}")
    if cutoff and str(clock.iso(clock.now())) >= cutoff:
        raise UpgradeRequired(
            "protocol version is deprecated", code="PROTOCOL_DEPRECATED", details={"cutoffAt": cutoff}
        )


class UpgradeRequired(Refusal):
    """The caller speaks a version that we no longer do."""

    status = 426
    code = "PROTOCOL_TOO_OLD"
    message = "protocol version is too old"


def _version(text: str) -> tuple[int, int] | None:
    major, dot, minor = text.partition(".")
    if (
        dot
        and major.isascii()
        and minor.isascii()
        and major.isdigit()
        and minor.isdigit()
        and len(text) <= 16
    ):
        return int(major), int(minor)
    return None
