"""A server that answers from a script and remembers what it was asked."""

import contextlib
import dataclasses
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

OPERATION = "mop_t:party:p1:period:2026-01:statement:ab"


@dataclasses.dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclasses.dataclass
class Scripted:
    """The product in miniature: one operation that obeys events, a debt, a payout that is refused."""

    base_url: str = ""
    asked: list[Asked] = dataclasses.field(default_factory=list)
    state: str = "initiated"
    mode: str = "sandbox"
    party: str | None = "p1"
    outstanding: int = 12_500
    override: Callable[[Asked], tuple[int, Any] | None] = lambda _asked: None

    def answer(self, asked: Asked) -> tuple[int, Any]:
        self.asked.append(asked)
        overriding = self.override(asked)
        if overriding is not None:
            return overriding
        if asked.path.endswith("/events/ingest"):
            before, self.state = self.state, asked.body["eventType"]
            return 200, {"operation": self.operation(), "applied": before != self.state}
        if asked.path.startswith("/ops/money-rails/"):
            return 200, {"operation": self.operation(), "dispatch": None}
        if asked.path == "/ops/finance/money-rails/chargebacks":
            return 200, self.exposure()
        if asked.path == "/ops/finance/money-rails/reconcile":
            return 200, {"ok": True, "status": "pass", "summary": {"share": 0.5}, "text": "é\u2028"}
        if asked.path.endswith("/enqueue"):
            return 409, {"error": "held", "code": "NEGATIVE_BALANCE_PAYOUT_HOLD", "details": {}}
        return 404, {"error": "not found", "code": "NOT_FOUND"}

    def operation(self) -> dict[str, Any]:
        metadata = {"providerMode": self.mode} | ({"partyId": self.party} if self.party else {})
        return {"operationId": OPERATION, "state": self.state, "metadata": metadata}

    def exposure(self) -> dict[str, Any]:
        parties = [
            {"partyId": "p0", "outstandingCents": 1},
            {"partyId": "p1", "outstandingCents": self.outstanding},
        ]
        return {"summary": {"totalOutstandingCents": self.outstanding + 1}, "parties": parties}

    def lines(self) -> list[str]:
        """List what was asked, in order."""
        return [f"{asked.method} {asked.path.rsplit('/', 1)[-1]}" for asked in self.asked]


@contextlib.contextmanager
def serving() -> Iterator[Scripted]:
    """Serve on a free port of this machine."""
    scripted = Scripted()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, body = scripted.answer(
                Asked(
                    self.command,
                    unquote(parts.path),
                    dict(parse_qsl(parts.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(raw) if raw else None,
                )
            )
            if body is CUT:
                self.connection.close()
                return
            content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("location", f"{scripted.base_url}/elsewhere")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815  (the name that http.server looks for)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


CUT = object()
