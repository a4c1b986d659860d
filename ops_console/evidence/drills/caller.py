"""Calling a live server as an operator would."""

import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from ops_console.evidence.drills.errors import DrillStopped
from ops_console.evidence.drills.redaction import redacted
from settld import evidence_verifier

TIMEOUT_SECONDS: Final = 60
MOST_ANSWER_BYTES: Final = 64 * 1024 * 1024
MOST_TEXT: Final = 2_000
PROTOCOL: Final = "1.0"
_HEADER_SAFE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True)
class Answer:
    """What the server answered; a body that is not JSON is kept as a text, cut."""

    status_code: int
    body: Any

    @property
    def is_ok(self) -> bool:
        """Tell whether it was a 2xx."""
        return 200 <= self.status_code < 300

    def member(self, *path: str) -> Any:
        """Look a member of the body up; None where anything on the way is missing."""
        value = self.body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def as_json(self) -> dict[str, Any]:
        """Show it as evidence does."""
        return {"statusCode": self.status_code, "ok": self.is_ok, "body": self.body}


@dataclass(frozen=True)
class Caller:
    """One tenant's caller of one server; redirects are not followed, so the token goes nowhere else."""

    base_url: str
    tenant_id: str
    ops_token: str = field(repr=False)

    def get(self, path: str, query: Mapping[str, str | None] | None = None) -> Answer:
        """Read; absent query values are left out."""
        sent = {name: value for name, value in (query or {}).items() if value is not None}
        return self._send("GET", f"{path}?{urlencode(sent)}" if sent else path, None, "")

    def post(self, path: str, body: dict[str, Any], *, idempotency_key: str) -> Answer:
        """Write, once per key."""
        return self._send("POST", path, body, idempotency_key)

    def _send(self, method: str, path: str, body: dict[str, Any] | None, key: str) -> Answer:
        headers = {
            "accept": "application/json",
            "x-proxy-ops-token": self.ops_token,
            "x-proxy-tenant-id": self.tenant_id,
            "x-settld-protocol": PROTOCOL,
        }
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False).encode()
            headers["content-type"] = "application/json"
        if key:
            headers["x-idempotency-key"] = key
        parts = urlsplit(self.base_url)
        connection = _connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.request(method, f"{parts.path}{path}", content, headers)
            response = connection.getresponse()
            raw = response.read(MOST_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            # Not chained: what the network says may quote what was sent.
            raise DrillStopped(f"network error: {method} {self.base_url}: {_reason(error)}") from None
        finally:
            connection.close()
        if len(raw) > MOST_ANSWER_BYTES:
            raise DrillStopped(f"the answer of {self.base_url} is larger than {MOST_ANSWER_BYTES} bytes")
        return Answer(response.status, redacted(_parsed(raw), self.ops_token))


def require_base_url(text: str) -> str:
    """Take the address of a server; DrillStopped when it is none, or carries a password."""
    address = text.strip().rstrip("/")
    if not _HEADER_SAFE.fullmatch(address) or " " in address or not _is_server(address):
        raise DrillStopped("--base-url must be http(s)://host[:port] without user, query or fragment")
    return address


def _is_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        is_named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_named and "@" not in parts.netloc and not any(mark in address for mark in "?#")


def require_header_safe(text: str, *, flag: str) -> str:
    """Take a value that travels in a header; DrillStopped, without the value, when it cannot."""
    if not _HEADER_SAFE.fullmatch(text.strip()):
        raise DrillStopped(f"{flag} must be printable ASCII and not empty")
    return text.strip()


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(
            host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)


def _parsed(raw: bytes) -> Any:
    try:
        return evidence_verifier.strict_json(raw)
    except evidence_verifier.Refused:
        return raw[:MOST_TEXT].decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    named = getattr(error, "strerror", None)
    return str(named) if named else type(error).__name__
