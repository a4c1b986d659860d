"""What falls due under the virtual clock: each kind of object says what happens then.

A timer fires once the clock has reached its time: when the clock is moved, before an object is read that
depends on it, and otherwise within a moment. Setting one again for the same object moves it.
"""

from collections.abc import Callable

from settld.stripe_simulator.world import World

Fire = Callable[[World, str], None]
FIRES: dict[str, Fire] = {}


class TooMuchIsDue(Exception):
    """The clock was moved so far that firing everything would take minutes; nothing was done."""


def fires(kind: str) -> Callable[[Fire], Fire]:
    """Register what happens when a timer of this kind falls due; it gets the object's id."""

    def register(function: Fire) -> Fire:
        FIRES[kind] = function
        return function

    return register


def put(world: World, *, kind: str, object_id: str, at: int) -> None:
    world.store.execute("INSERT OR REPLACE INTO timers VALUES (?, ?, ?)", (kind, object_id, at))


def drop(world: World, *, kind: str, object_id: str) -> None:
    world.store.execute("DELETE FROM timers WHERE kind = ? AND object_id = ?", (kind, object_id))


def is_due(world: World) -> bool:
    sql = "SELECT 1 FROM timers WHERE at <= ? LIMIT 1"
    return world.store.execute(sql, (world.clock.now(),)).fetchone() is not None


def run_due(world: World, *, until: int | None = None) -> int:
    """Fire what is due by now, or by the time the clock is about to be set to; the number fired.

    In the order of their times, each with the clock standing at its own time, so that what comes of it is
    dated by when it fell due and not by when the clock was moved. Within a transaction. Beyond the
    setting `most_due_at_once` the clock is not to be set (TooMuchIsDue), and what is due by now waits on.
    """
    fired = 0
    last = world.clock.now() if until is None else until
    sql = "SELECT kind, object_id, at FROM timers WHERE at <= ? ORDER BY at, rowid LIMIT 1"
    while (row := world.store.execute(sql, (last,)).fetchone()) is not None:
        kind, object_id, at = row
        drop(world, kind=kind, object_id=object_id)
        with world.clock.standing_at(at):
            FIRES[kind](world, object_id)
        fired += 1
        if fired > world.settings.most_due_at_once:
            if until is None:
                return fired
            message = f"more than {world.settings.most_due_at_once} things fall due until then"
            raise TooMuchIsDue(f"{message}: go in smaller steps")
    return fired
