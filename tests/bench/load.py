"""A closed-loop load generator in processes of its own: kept connections, raw sockets, prepared bytes."""

import dataclasses
import multiprocessing
import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection

GENERATORS = 2
_fork = multiprocessing.get_context("fork")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Requests as bytes; `repeats` starts the list again, `expected` are bodies that answers must equal."""

    requests: Sequence[bytes]
    repeats: bool = False
    expected: Sequence[bytes] | None = None


@dataclasses.dataclass
class Outcome:
    """What came back: latencies in nanoseconds, statuses, some odd answers; `used` requests are spent."""

    latencies: list[int] = dataclasses.field(default_factory=list)
    statuses: Counter[int] = dataclasses.field(default_factory=Counter)
    bodies: list[bytes] = dataclasses.field(default_factory=list)
    differing: int = 0
    seconds: float = 0.0
    used: int = 0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile_ms(self, share: float) -> float:
        if not self.latencies:
            return 0.0
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6


def request_bytes(method: str, path: str, *, headers: dict[str, str], content: bytes = b"") -> bytes:
    """Write a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if content or method != "GET":
        lines += ["content-type: application/json", f"content-length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def run(port: int, prepared: Prepared, *, concurrency: int, seconds: float) -> Outcome:
    """Keep `concurrency` requests in flight until the time or the requests are up."""
    generators = min(GENERATORS, concurrency)
    pipes, processes = [], []
    start_at = time.monotonic() + 0.1
    for number in range(generators):
        ours, theirs = _fork.Pipe(duplex=False)
        share = concurrency // generators + (number < concurrency % generators)
        process = _fork.Process(
            target=_generate, args=(theirs, port, prepared, number, generators, share, start_at, seconds)
        )
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    total = Outcome()
    for pipe, process in zip(pipes, processes, strict=True):
        part: Outcome = pipe.recv()
        process.join()
        total.latencies += part.latencies
        total.statuses += part.statuses
        total.bodies += part.bodies
        total.differing += part.differing
        total.used = max(total.used, part.used)
        total.seconds = max(total.seconds, part.seconds)
    return total


class Lane:
    """One kept connection with at most one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.index = -1
        self.sent_at = 0

    def send(self, index: int, content: bytes) -> None:
        self.index, self.sent_at, self.buffer = index, time.perf_counter_ns(), b""
        self.socket.sendall(content)

    def is_complete(self) -> bool:
        """Take what arrived; tell whether the answer is whole."""
        chunk = self.socket.recv(262_144)
        if not chunk:
            raise ConnectionError(f"the server closed a connection after {self.buffer[:200]!r}")
        self.buffer = self.buffer + chunk if self.buffer else chunk
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        length = _header(head, b"content-length:")
        if length is not None:
            return len(body) >= int(length)
        return body.endswith(b"0\r\n\r\n") or (not body and self.status in (204, 304))

    @property
    def status(self) -> int:
        return int(self.buffer[9:12])

    def body(self) -> bytes:
        head, _, body = self.buffer.partition(b"\r\n\r\n")
        if _header(head, b"content-length:") is not None:
            return body
        whole = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            whole += body[: int(size, 16)]
            body = body[int(size, 16) + 2 :]
        return whole


def _header(head: bytes, name: bytes) -> bytes | None:
    at = head.lower().find(b"\r\n" + name)
    if at < 0:
        return None
    end = head.find(b"\r\n", at + 2)
    return head[at + 2 + len(name) : end if end > 0 else None].strip()


def _generate(
    pipe: Connection,
    port: int,
    prepared: Prepared,
    first: int,
    step: int,
    lanes: int,
    start_at: float,
    seconds: float,
) -> None:
    """The generator process: every `step`-th request is its own."""
    outcome = Outcome()
    waiting = selectors.DefaultSelector()
    requests, count = prepared.requests, len(prepared.requests)
    following = first
    opened = [Lane(port) for _ in range(lanes)]
    time.sleep(max(0.0, start_at - time.monotonic()))
    started = time.monotonic()
    ends = started + seconds
    in_flight = 0
    for lane in opened:
        if following >= count and not prepared.repeats:
            break
        waiting.register(lane.socket, selectors.EVENT_READ, lane)
        lane.send(following % count, requests[following % count])
        following += step
        in_flight += 1
    while in_flight:
        ready = waiting.select(timeout=30)
        if not ready:
            raise TimeoutError("no answer for 30 seconds")
        for key, _ in ready:
            lane = key.data
            if not lane.is_complete():
                continue
            outcome.latencies.append(time.perf_counter_ns() - lane.sent_at)
            note(outcome, lane, prepared)
            if time.monotonic() < ends and (prepared.repeats or following < count):
                lane.send(following % count, requests[following % count])
                following += step
            else:
                in_flight -= 1
    outcome.seconds = time.monotonic() - started
    outcome.used = following
    pipe.send(outcome)
    pipe.close()


def note(outcome: Outcome, lane: Lane, prepared: Prepared) -> None:
    """Count an answer, and keep the first odd ones."""
    status = lane.status
    outcome.statuses[status] += 1
    if prepared.expected is not None and lane.body() != prepared.expected[lane.index]:
        outcome.differing += 1
    if status >= 400 and len(outcome.bodies) < 5:
        outcome.bodies.append(lane.body()[:500])
