"""The delivery queue: which event goes to which endpoint, when, and how it went.

Times here are real, whatever the virtual clock says: a delivery is a thing between two live processes.
"""

import time
from dataclasses import dataclass

from settld.stripe_simulator.ids import scatter
from settld.stripe_simulator.webhooks.endpoints import Listener, listeners
from settld.stripe_simulator.webhooks.rules import DeliveryRule
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

COLUMNS = (
    "id, event_id, event_type, endpoint_id, url, mode, status, attempts, next_attempt_at, created_at, "
    "last_status, last_error"
)
STEP_SECONDS = 1e-5


@dataclass(frozen=True, kw_only=True)
class Due:
    """A delivery claimed by the courier, who must report how it went."""

    delivery_id: int
    event_id: str
    endpoint_id: str
    url: str
    attempts: int
    generation: int


def enqueue(world: World, event: Json) -> int:
    """Queue the event for everyone who hears it, by the delivery rules; the number of endpoints."""
    hearing = [listener for listener in listeners(world) if listener.hears(event)]
    for listener in hearing:
        rule = world.delivery_rules.pick(event_id=event["id"], event_type=event["type"], url=listener.url)
        _queue(world, event, listener, rule)
    if hearing:
        world.deliveries_due.set()
    return len(hearing)


def _queue(world: World, event: Json, listener: Listener, rule: DeliveryRule | None) -> None:
    mode = rule.mode if rule else "normal"
    now = time.time()
    status = {"drop": "dropped", "hold": "held"}.get(mode, "pending")
    due = now + rule.delay_ms / 1000 if rule and mode in ("delay", "reorder") else now
    for _ in range(1 + (rule.copies if rule and mode == "duplicate" else 0)):
        insert(world, event=event, listener=listener, mode=mode, status=status, due=due)
    if rule and mode == "reorder":
        _release_reversed(world, listener.endpoint_id, rule.window)


def insert(world: World, *, event: Json, listener: Listener, mode: str, status: str, due: float) -> None:
    row = (event["id"], event["type"], listener.endpoint_id, listener.url, mode, status, due, time.time())
    sql = (
        "INSERT INTO deliveries (event_id, event_type, endpoint_id, url, mode, status, next_attempt_at, "
        "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    world.store.execute(sql, row)


def _release_reversed(world: World, endpoint_id: str, window: int) -> None:
    sql = (
        "SELECT id FROM deliveries WHERE endpoint_id = ? AND mode = 'reorder' AND status = 'pending' "
        "AND attempts = 0 AND next_attempt_at > ? ORDER BY id DESC"
    )
    waiting = [row[0] for row in world.store.execute(sql, (endpoint_id, time.time())).fetchall()]
    if len(waiting) >= window:
        _release(world, waiting)


def _release(world: World, delivery_ids: list[int]) -> None:
    """Make them due now, in the order given, ahead of what is queued after this."""
    first = time.time() - STEP_SECONDS * len(delivery_ids)
    sql = "UPDATE deliveries SET status = 'pending', next_attempt_at = ? WHERE id = ?"
    rows = [(first + number * STEP_SECONDS, delivery_id) for number, delivery_id in enumerate(delivery_ids)]
    world.store.connection.executemany(sql, rows)
    world.deliveries_due.set()


def flush(world: World, *, order: str) -> int:
    """Let go of what is held or delayed, in the given order (fifo, lifo, shuffle)."""
    sql = (
        "SELECT id FROM deliveries WHERE status = 'held' "
        "OR (status = 'pending' AND next_attempt_at > ?) ORDER BY id"
    )
    waiting = [row[0] for row in world.store.execute(sql, (time.time(),)).fetchall()]
    if order == "lifo":
        waiting.reverse()
    elif order == "shuffle":
        waiting.sort(key=lambda delivery_id: scatter(world.seed, "shuffle", delivery_id))
    _release(world, waiting)
    return len(waiting)


def claim(world: World, *, busy: set[int]) -> Due | float:
    """The next delivery that is due, or the seconds until one may be."""
    now = time.time()
    sql = (
        "SELECT id, event_id, endpoint_id, url, attempts, next_attempt_at FROM deliveries "
        "WHERE status = 'pending' ORDER BY next_attempt_at, id LIMIT ?"
    )
    for row in world.store.execute(sql, (len(busy) + 1,)).fetchall():
        if row[0] in busy:
            continue
        if row[5] > now:
            return float(row[5] - now)
        return Due(
            delivery_id=row[0],
            event_id=row[1],
            endpoint_id=row[2],
            url=row[3],
            attempts=row[4],
            generation=world.generation,
        )
    return 60.0


def report(world: World, due: Due, *, status: int | None, error: str | None) -> None:
    """Write down one attempt: delivered on a 2xx, else due again, or failed when attempts are used up."""
    if due.generation != world.generation:
        return
    settings = world.settings
    attempts = due.attempts + 1
    delay_ms = min(
        settings.webhook_retry_max_ms, settings.webhook_retry_initial_ms * 2 ** min(due.attempts, 20)
    )
    if status is not None and 200 <= status < 300:
        outcome = "delivered"
    elif settings.webhook_max_attempts and attempts >= settings.webhook_max_attempts:
        outcome = "failed"
    else:
        outcome = "pending"
    _finish(world, due.delivery_id, outcome, attempts, time.time() + delay_ms / 1000, status, error)


def give_up(world: World, due: Due, *, error: str) -> None:
    """A delivery that no further attempt can help."""
    if due.generation == world.generation:
        _finish(world, due.delivery_id, "failed", due.attempts, time.time(), None, error)


def _finish(
    world: World,
    delivery_id: int,
    outcome: str,
    attempts: int,
    due: float,
    status: int | None,
    error: str | None,
) -> None:
    sql = (
        "UPDATE deliveries SET status = ?, attempts = ?, next_attempt_at = ?, last_status = ?, "
        "last_error = ? WHERE id = ?"
    )
    world.store.execute(sql, (outcome, attempts, due, status, error, delivery_id))


def undelivered(world: World, event_ids: list[str]) -> dict[str, int]:
    """For each event the number of deliveries that have not arrived yet."""
    marks = ",".join("?" * len(event_ids))
    sql = (
        f"SELECT event_id, count(DISTINCT endpoint_id) FROM deliveries WHERE event_id IN ({marks}) "  # noqa: S608
        "AND status IN ('pending', 'held') GROUP BY event_id"
    )
    return dict(world.store.execute(sql, event_ids).fetchall())


def listing(world: World, *, event_id: str | None, status: str | None, limit: int) -> list[Json]:
    """The delivery log, newest first."""
    sql = (
        f"SELECT {COLUMNS} FROM deliveries WHERE (?1 IS NULL OR event_id = ?1) "  # noqa: S608
        "AND (?2 IS NULL OR status = ?2) ORDER BY id DESC LIMIT ?3"
    )
    rows = world.store.execute(sql, (event_id, status, limit)).fetchall()
    return [dict(zip(COLUMNS.split(", "), row, strict=True)) for row in rows]


def is_idle(world: World) -> bool:
    """Whether nothing is on its way; what is held does not count."""
    return world.store.execute("SELECT 1 FROM deliveries WHERE status = 'pending' LIMIT 1").fetchone() is None


def counts(world: World) -> dict[str, int]:
    return dict(world.store.execute("SELECT status, count(*) FROM deliveries GROUP BY status").fetchall())
