"""The HTTP server: bytes in, outcome out, on loopback with keep-alive."""

import json
import os
import select
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from settld.stripe_simulator import api
from settld.stripe_simulator.access import is_loopback_host
from settld.stripe_simulator.control import door
from settld.stripe_simulator.pages import site
from settld.stripe_simulator.wire import Answer, Hang, Outcome, Request
from settld.stripe_simulator.world import World

MAX_BODY_BYTES = 1_000_000
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Server(ThreadingHTTPServer):
    """One thread per connection; the world's lock keeps them apart where it matters."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, *, host: str, port: int, world: World) -> None:
        self.world = world
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)
        world.base_url = self.url

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "SettldStripeSimulator"
    sys_version = ""
    timeout = 120
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self._read_body()
        if body is None:
            return
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(parts.path),
            query=parts.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        world = self.server.world
        answer = _answering(request.path)
        if answer is not api.answer and not _names_loopback(request.headers.get("host", "")):
            self._send(Answer(status=403, body=b'{"error": "pages and control answer on loopback only"}'))
            return
        try:
            outcome = answer(world, request)
        except Exception as error:
            # A mistake of ours must look like one. Nothing was committed; standard error has the reason.
            traceback.print_exc()
            message = f"the simulator failed: {error!r}"
            failure = {"error": {"type": "api_error", "code": "simulator_failed", "message": message}}
            outcome = Answer(status=500, body=json.dumps(failure).encode())
        self._conclude(outcome)

    def _read_body(self) -> bytes | None:
        if "transfer-encoding" in self.headers:
            self._close_with(411, b'{"error": {"message": "send a Content-Length"}}')
            return None
        length = self.headers.get("content-length", "0")
        if not length.isdigit():
            self._close_with(400, b'{"error": {"message": "bad Content-Length"}}')
            return None
        if int(length) > MAX_BODY_BYTES:
            self._close_with(413, b'{"error": {"message": "request body is too large"}}')
            return None
        return self.rfile.read(int(length))

    def _close_with(self, status: int, body: bytes) -> None:
        self.close_connection = True
        self._send(Answer(status=status, body=body, headers={"Connection": "close"}))

    def _conclude(self, outcome: Outcome) -> None:
        if isinstance(outcome, Answer):
            self._send(outcome)
            return
        if isinstance(outcome, Hang):
            self._hang(outcome)
        else:
            self._reset()
        self.close_connection = True

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value.replace("\r", "").replace("\n", ""))
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def _hang(self, hang: Hang) -> None:
        """Say nothing, until the time is up, the client leaves, or the simulator stops or is reset."""
        ends_at = time.monotonic() + hang.seconds
        while time.monotonic() < ends_at and not self._client_left():
            if not self.server.world.pause(0.05, generation=hang.generation):
                return

    def _reset(self) -> None:
        """Close the descriptor itself: the orderly way out would say goodbye (FIN) before the reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        os.close(self.connection.detach())

    def _client_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The `Date` header follows the virtual clock."""
        return formatdate(self.server.world.clock.now() if timestamp is None else timestamp, usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """The event log says what was called; standard output stays for the one ready line."""


def _answering(path: str) -> Callable[[World, Request], Outcome]:
    if path.startswith("/_sim/"):
        return door.answer
    return site.answer if path.startswith(site.PLACES) else api.answer


def _names_loopback(host_header: str) -> bool:
    """Refuse names that a web page could have pointed at this address."""
    host = urlsplit(f"//{host_header}").hostname or ""
    return is_loopback_host(host)


def serve_in_background(server: Server) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    return thread
