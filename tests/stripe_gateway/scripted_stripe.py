"""A server that answers as a test scripts it, for the answers that no healthy Stripe gives."""

import json
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Say:
    """One scripted answer; `manner` is plain, silent, reset, truncated or dribbling."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = "plain"


@dataclass(frozen=True)
class Heard:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]


class ScriptedStripe:
    """Answers in the order of its script; the last answer is repeated."""

    def __init__(self) -> None:
        self.script: deque[Say] = deque()
        self.heard: list[Heard] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def will(self, *answers: Say) -> None:
        self.script = deque(answers)

    def next_answer(self) -> Say:
        return self.script.popleft() if len(self.script) > 1 else self.script[0]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def _handler(owner: ScriptedStripe) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def log_message(self, *_arguments: object) -> None:
            """Keep quiet."""

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            parts = urlsplit(self.path)
            owner.heard.append(
                Heard(
                    method=self.command,
                    path=parts.path,
                    query=dict(parse_qsl(parts.query)),
                    form=dict(parse_qsl(body)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                )
            )
            answer = owner.next_answer()
            getattr(self, f"_{answer.manner}")(answer)
            self.close_connection = True

        def _plain(self, answer: Say) -> None:
            self._send(answer, content := _bytes(answer), length=len(content))

        def _truncated(self, answer: Say) -> None:
            content = _bytes(answer)
            self._send(answer, content[: len(content) // 2], length=len(content))

        def _dribbling(self, answer: Say) -> None:
            self._send(answer, b"", length=1000)
            for _ in range(200):
                time.sleep(0.05)
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:
                    return

        def _silent(self, answer: Say) -> None:
            self.connection.settimeout(10)
            try:
                self.connection.recv(1)  # until the client goes away
            except OSError:
                return

        def _reset(self, answer: Say) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def _send(self, answer: Say, content: bytes, *, length: int) -> None:
            self.send_response_only(answer.status)
            usual = {"Date": self.date_time_string(), "Request-Id": "req_test"}
            for name, value in (usual | answer.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

    return Handler


def _bytes(answer: Say) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()


def refusal(status: int, **error: str) -> Say:
    """Stripe's error body."""
    return Say(status, {"error": {"type": "invalid_request_error", "message": "No.", **error}})


def transfer(**changes: Any) -> dict[str, Any]:
    """A transfer as Stripe shows it."""
    return {
        "id": "tr_1",
        "object": "transfer",
        "amount": 12_345,
        "amount_reversed": 0,
        "created": 1_790_000_000,
        "currency": "usd",
        "destination": "acct_1",
        "livemode": False,
        "metadata": {"settld_operation_id": "mop_1"},
        "reversed": False,
        "transfer_group": "group_1",
    } | changes
