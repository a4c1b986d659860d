"""How bytes reach Stripe: one connection a send, no redirect followed, and a hard limit of time."""

import http.client
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import stripe

MAX_ANSWER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back, before anyone interprets it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(stripe.HTTPClient):
    """The SDK's door to the network.

    A send opens its own connection: a kept one that Stripe has just closed would look like an answer
    lost on the way, and so put money in doubt that never left. The SDK's retries are not used.
    Redirects are not followed, since a second POST is ours to decide.
    """

    name = "settld"

    def __init__(self, *, connect_seconds: float, total_seconds: float) -> None:
        super().__init__()
        self.connect_seconds = connect_seconds
        self.total_seconds = total_seconds
        self._memory = threading.local()

    def forget(self) -> None:
        """Begin a send: nothing has left yet."""
        self._memory.has_sent, self._memory.answer = False, None

    @property
    def has_sent(self) -> bool:
        """Tell whether this thread's latest send reached the network at all."""
        return bool(getattr(self._memory, "has_sent", False))

    @property
    def answer(self) -> Answer | None:
        """Give the answer to this thread's latest send; None while there is none."""
        return cast(Answer | None, getattr(self._memory, "answer", None))

    def request(  # type: ignore[override]  # the SDK's own clients leave out _usage, too
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send once and read the whole answer; APIConnectionError when there is none."""
        self._memory.has_sent = True
        try:
            answer = self._exchange(method.upper(), urlsplit(url), dict(headers or {}), post_data)
        except (OSError, http.client.HTTPException) as error:
            raise stripe.APIConnectionError(type(error).__name__) from error  # type: ignore[no-untyped-call]
        self._memory.answer = answer
        return answer.body, answer.status, answer.headers

    def close(self) -> None:
        """Nothing stays open between sends."""

    def _exchange(self, method: str, url: SplitResult, headers: dict[str, str], body: str | None) -> Answer:
        deadline = time.monotonic() + self.total_seconds
        connection = self._connection(url)
        try:
            connection.connect()
            with _Watchdog(connection.sock, seconds=deadline - time.monotonic()):
                target = (url.path or "/") + (f"?{url.query}" if url.query else "")
                content = body.encode() if body is not None else None
                connection.request(method, target, body=content, headers={"Connection": "close"} | headers)
                response = connection.getresponse()
                received = response.read(MAX_ANSWER_BYTES + 1)
            if len(received) > MAX_ANSWER_BYTES or response.length:  # a length left over was never read
                raise http.client.IncompleteRead(received)
            return Answer(response.status, cast("Mapping[str, str]", response.headers), received)
        finally:
            connection.close()

    def _connection(self, url: SplitResult) -> http.client.HTTPConnection:
        host, port = url.hostname or "", url.port
        proxy = _proxy_for(url)
        at_host, at_port = (proxy.hostname or "", proxy.port) if proxy else (host, port)
        connection: http.client.HTTPConnection
        if url.scheme == "https":
            connection = http.client.HTTPSConnection(
                at_host, at_port, timeout=self.connect_seconds, context=_tls()
            )
        else:
            connection = http.client.HTTPConnection(at_host, at_port, timeout=self.connect_seconds)
        if proxy:
            connection.set_tunnel(host, port)
        return connection


class _Watchdog:
    """Cut a socket when its time is over, whatever it is waiting for: a byte a second must not hold us."""

    def __init__(self, sock: socket.socket, *, seconds: float) -> None:
        self.sock = sock
        self.seconds = max(seconds, 0.001)
        self.has_bitten = False
        self.timer = threading.Timer(self.seconds, self._bite)
        self.timer.daemon = True

    def __enter__(self) -> None:
        self.sock.settimeout(self.seconds)
        self.timer.start()

    def __exit__(self, *_error: object) -> None:
        """Whatever a cut socket looked like to its reader, it was a time-out."""
        self.timer.cancel()
        if self.has_bitten:
            raise TimeoutError("the answer took too long")

    def _bite(self) -> None:
        self.has_bitten = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed already: the answer has just arrived


def _proxy_for(url: SplitResult) -> SplitResult | None:
    """Find the proxy that the environment names for an address; the loopback needs none."""
    if url.hostname in ("localhost", "127.0.0.1", "::1") or urllib.request.proxy_bypass(url.hostname or ""):
        return None
    named = urllib.request.getproxies().get(url.scheme)
    return urlsplit(named) if named else None


@cache
def _tls() -> ssl.SSLContext:
    """Trust the system's authorities and those that the SDK ships."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=stripe.ca_bundle_path)
    return context
