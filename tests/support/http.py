"""HTTP as a stranger speaks it: one kept connection per thread, raw bytes at hand."""

import contextlib
import dataclasses
import http.client
import json
import threading
from typing import Any
from urllib.parse import urlsplit


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    raw: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class Server:
    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._local = threading.local()

    def send(self, method: str, path: str, *, content: bytes = b"", headers: dict[str, str]) -> Answer:
        """Send one request. A kept connection that the server has closed meanwhile is opened again."""
        is_kept = getattr(self._local, "connection", None) is not None
        try:
            return self._send(method, path, content, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            if not is_kept:
                raise
            return self._send(method, path, content, headers)

    def close(self) -> None:
        connection, self._local.connection = getattr(self._local, "connection", None), None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _send(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> Answer:
        if getattr(self._local, "connection", None) is None:
            parts = urlsplit(self.base_url)
            self._local.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        connection: http.client.HTTPConnection = self._local.connection
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        raw = response.read()
        return Answer(response.status, raw, {name.lower(): value for name, value in response.getheaders()})
