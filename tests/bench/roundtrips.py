"""Counting round trips to PostgreSQL from outside: a proxy on a Unix socket that watches who speaks.

A round trip is a client speaking again after the server has answered, whatever the statements are
called or however they travel together; nothing in the product takes part in the count.
"""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

PORT_FILE = ".s.PGSQL.5432"


class Counter:
    """Counts over all connections of the proxy."""

    def __init__(self) -> None:
        self.count = 0

    def take(self) -> int:
        """Give the count since the last take."""
        taken, self.count = self.count, 0
        return taken


@contextlib.contextmanager
def counting(*, server: Path, folder: Path) -> Iterator[Counter]:
    """Listen in `folder` as PostgreSQL would and pass everything on to the server in `server`."""
    counter = Counter()
    folder.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / PORT_FILE))
    listener.listen(64)
    stopped = threading.Event()
    thread = threading.Thread(target=_serve, args=(listener, server, counter, stopped), daemon=True)
    thread.start()
    try:
        yield counter
    finally:
        stopped.set()
        thread.join(5)
        listener.close()


def _serve(listener: socket.socket, server: Path, counter: Counter, stopped: threading.Event) -> None:
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    peers: dict[socket.socket, socket.socket] = {}
    clients: set[socket.socket] = set()
    spoke_last: dict[socket.socket, bool] = {}  # by client socket: whether the client spoke last
    while not stopped.is_set():
        for key, _ in waiting.select(timeout=0.2):
            if key.fileobj is listener:
                client, _ = listener.accept()
                upstream = socket.socket(socket.AF_UNIX)
                upstream.connect(str(server / PORT_FILE))
                peers[client], peers[upstream] = upstream, client
                clients.add(client)
                waiting.register(client, selectors.EVENT_READ)
                waiting.register(upstream, selectors.EVENT_READ)
                continue
            speaker = key.fileobj
            assert isinstance(speaker, socket.socket)
            if speaker not in peers:
                continue
            content = speaker.recv(262_144)
            other = peers[speaker]
            if not content:
                for end in (speaker, other):
                    waiting.unregister(end)
                    peers.pop(end)
                    clients.discard(end)
                    end.close()
                continue
            client = speaker if speaker in clients else other
            if speaker is client and not spoke_last.get(client):
                counter.count += 1
            spoke_last[client] = speaker is client
            other.sendall(content)
    for end in list(peers):
        end.close()
