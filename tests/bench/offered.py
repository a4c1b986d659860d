"""An open-loop load generator: requests come when they come, whether the ones before are answered or not.

A request that finds no free connection waits for one, and its wait counts: latency runs from the instant at
which it was due.
"""

import multiprocessing
import selectors
import time
from collections import deque
from multiprocessing.connection import Connection

from tests.bench.load import Lane, Outcome, Prepared, note

LANES = 64
PATIENCE_SECONDS = 60
_fork = multiprocessing.get_context("fork")


def run(port: int, prepared: Prepared, *, per_second: float) -> Outcome:
    """Offer each request once, evenly spaced, from a process of its own; ends when all are answered."""
    ours, theirs = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_generate, args=(theirs, port, prepared, per_second))
    process.start()
    theirs.close()
    outcome: Outcome = ours.recv()
    process.join()
    return outcome


def _generate(pipe: Connection, port: int, prepared: Prepared, per_second: float) -> None:
    outcome = Outcome()
    waiting = selectors.DefaultSelector()
    free = deque(Lane(port) for _ in range(LANES))
    for lane in free:
        waiting.register(lane.socket, selectors.EVENT_READ, lane)
    count, following, answered = len(prepared.requests), 0, 0
    started = time.monotonic()
    origin = time.perf_counter_ns()
    last_answer = started
    while answered < count:
        passed = time.monotonic() - started
        due = min(count, int(passed * per_second) + 1)
        while following < due and free:
            lane = free.popleft()
            lane.send(following, prepared.requests[following])
            lane.sent_at = origin + int(following / per_second * 1e9)
            following += 1
        is_idle = following < count and bool(free)
        until_next = following / per_second - passed if is_idle else 1.0
        for key, _ in waiting.select(timeout=max(0.0, until_next)):
            lane = key.data
            if not lane.is_complete():
                continue
            outcome.latencies.append(time.perf_counter_ns() - lane.sent_at)
            note(outcome, lane, prepared)
            answered += 1
            last_answer = time.monotonic()
            free.append(lane)
        if time.monotonic() - last_answer > PATIENCE_SECONDS:
            raise TimeoutError(f"no answer for {PATIENCE_SECONDS} seconds")
    outcome.seconds = time.monotonic() - started
    outcome.used = count
    pipe.send(outcome)
    pipe.close()
