"""The event log: what was called and what came of it, the same for the same seed and calls."""

import hashlib
import json

from settld.stripe_simulator.clock import Clock
from settld.stripe_simulator.store import Store
from settld.stripe_simulator.wire import Json

KEEP_ENTRIES = 200_000


class EventLog:
    """Entries carry no time and nothing of webhook deliveries, which depend on how fast others are."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    def add(self, kind: str, *, details: Json | None = None, **entry: object) -> None:
        """`details` are remembered, but left out of what must be equal for equal calls."""
        seq = self.store.bump("log")
        text = json.dumps({"kind": kind, **entry}, sort_keys=True)
        more = json.dumps({"at": self.clock.now(), **(details or {})})
        self.store.execute("INSERT INTO log (seq, entry, details) VALUES (?, ?, ?)", (seq, text, more))
        if seq % 10_000 == 0:
            self.store.execute("DELETE FROM log WHERE seq <= ?", (seq - KEEP_ENTRIES,))

    def read(self, *, after: int, limit: int, details: bool) -> Json:
        """Entries in order; `digest` covers exactly the entries returned, without details."""
        sql = "SELECT seq, entry, details FROM log WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = self.store.execute(sql, (after, limit)).fetchall()
        entries = [{"seq": seq, **json.loads(entry)} for seq, entry, _ in rows]
        digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
        if details:
            entries = [{**entry, **json.loads(row[2])} for entry, row in zip(entries, rows, strict=True)]
        return {"entries": entries, "digest": digest, "next_after": rows[-1][0] if rows else after}
