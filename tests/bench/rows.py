"""The lowest floor: the same number of inserts in one transaction, by psycopg, with no server between."""

import json
import multiprocessing
import time
import uuid

import psycopg

from tests.bench.floor.table import INSERT
from tests.bench.load import Outcome

_fork = multiprocessing.get_context("fork")
_DOCUMENT = json.dumps({"note": "x" * 400})


def run(url: str, *, inserts: int, connections: int, seconds: float) -> Outcome:
    """Insert from as many processes as there are connections."""
    pipes = []
    for _ in range(connections):
        ours, theirs = _fork.Pipe(duplex=False)
        process = _fork.Process(target=_insert, args=(theirs, url, inserts, seconds))
        process.start()
        theirs.close()
        pipes.append((ours, process))
    total = Outcome()
    for pipe, process in pipes:
        part: Outcome = pipe.recv()
        process.join()
        total.latencies += part.latencies
        total.seconds = max(total.seconds, part.seconds)
    total.statuses[200] = len(total.latencies)
    return total


def _insert(pipe: "multiprocessing.connection.Connection", url: str, inserts: int, seconds: float) -> None:
    outcome = Outcome()
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.Cursor) as connection:
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            sent_at = time.perf_counter_ns()
            with connection.transaction(), connection.cursor() as cursor:
                for number in range(inserts):
                    row_id = uuid.uuid4()
                    values = [row_id, "rows", f"{row_id}:{number}", "new", 100, _DOCUMENT]
                    cursor.execute(INSERT, values)  # type: ignore[arg-type]
            outcome.latencies.append(time.perf_counter_ns() - sent_at)
        outcome.seconds = time.monotonic() - started
    pipe.send(outcome)
    pipe.close()
