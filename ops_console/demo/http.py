"""The two servers the demo talks to: our API, and the Stripe simulator."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT_SECONDS = 60
STRIPE_KEY = "sk_test_settld_demo"


class DemoError(Exception):
    """The demo cannot go on; the text says which call failed and how."""


@dataclass(frozen=True)
class Answer:
    """A status and the parsed body."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str:
        """Give the refusal's code; blank when there is none."""
        return str(self.body.get("code") or "")


@dataclass
class Server:
    """One HTTP server; a connection per thread, opened again when the server closed it."""

    base_url: str
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def send(self, method: str, path: str, *, content: bytes = b"", headers: dict[str, str]) -> Answer:
        """Send one request and read the answer; a connection that was idle too long is tried again."""
        for is_last_try in (False, True):
            connection = self._connection()
            try:
                connection.request(method, path, content, headers)
                response = connection.getresponse()
                raw = response.read()
            except (OSError, http.client.HTTPException) as error:
                self._forget()
                if is_last_try:
                    raise DemoError(f"{method} {self.base_url}{path}: no answer ({error})") from error
                continue
            return Answer(response.status, _parsed(raw))
        raise AssertionError("unreachable")

    def _connection(self) -> http.client.HTTPConnection:
        known = getattr(self._local, "connection", None)
        if isinstance(known, http.client.HTTPConnection):
            return known
        parts = urlsplit(self.base_url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._local.connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        made: http.client.HTTPConnection = self._local.connection
        return made

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            self._connection().close()
        self._local.connection = None


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw or b"{}")
    except ValueError:
        return {"text": raw[:300].decode(errors="replace")}
    return value if isinstance(value, dict) else {"value": value}


@dataclass
class Api:
    """Our public API, as one tenant."""

    server: Server
    ops_token: str = field(repr=False)
    tenant_id: str

    def get(self, path: str, *, allow: Iterable[int] = ()) -> Answer:
        """Read; any status but 200 and the allowed ones is a DemoError."""
        return self._call("GET", path, None, "", {200, *allow})

    def put(self, path: str, body: dict[str, Any]) -> Answer:
        """Set."""
        return self._call("PUT", path, body, "", {200, 202})

    def post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        key: str = "",
        request_id: str = "",
        allow: Iterable[int] = (),
    ) -> Answer:
        """Act, under an idempotency key when one is given."""
        return self._call("POST", path, body, key, {200, 201, 202, *allow}, request_id)

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        key: str,
        accepted: set[int],
        request_id: str = "",
    ) -> Answer:
        headers = {"x-proxy-ops-token": self.ops_token, "x-proxy-tenant-id": self.tenant_id}
        if body is not None:
            headers["content-type"] = "application/json"
        if key:
            headers["idempotency-key" if path.startswith("/api/billing/") else "x-idempotency-key"] = key
        if request_id:
            headers["x-request-id"] = request_id
        content = b"" if body is None else json.dumps(body).encode()
        answer = self.server.send(method, path, content=content, headers=headers)
        if answer.status not in accepted:
            problem = answer.body.get("error") or answer.body.get("text") or ""
            raise DemoError(f"{method} {path} answered {answer.status} {answer.code}: {problem}")
        return answer


@dataclass
class Simulator:
    """The stand-in for Stripe: its control door, and its API as a stranger would call it."""

    server: Server

    def control(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Turn one of the knobs under /_sim/."""
        headers = {"content-type": "application/json"}
        answer = self.server.send("POST", f"/_sim/{path}", content=json.dumps(body).encode(), headers=headers)
        return self._accepted(answer, path)

    def call(self, path: str, form: dict[str, str], *, key: str) -> dict[str, Any]:
        """Make a call of Stripe's API outside the product; the key makes a second run harmless."""
        headers = {
            "authorization": f"Bearer {STRIPE_KEY}",
            "content-type": "application/x-www-form-urlencoded",
            "idempotency-key": key,
        }
        answer = self.server.send("POST", path, content=urlencode(form).encode(), headers=headers)
        return self._accepted(answer, path)

    def read(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """Read from Stripe's API as a stranger would."""
        headers = {"authorization": f"Bearer {STRIPE_KEY}"}
        answer = self.server.send("GET", f"{path}?{urlencode(query)}", headers=headers)
        return self._accepted(answer, path)

    @staticmethod
    def _accepted(answer: Answer, path: str) -> dict[str, Any]:
        if answer.status != 200:
            raise DemoError(f"the simulator answered {answer.status} to {path}: {answer.body}")
        return answer.body


def part(text: str) -> str:
    """Spell a value as one part of a path."""
    return quote(text, safe="")
