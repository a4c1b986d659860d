"""Durable state: one SQLite file, one connection, one writer at a time."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from settld.stripe_simulator.wire import Json

TABLES = (
    "objects",
    "labels",
    "balances",
    "idempotency_keys",
    "secrets",
    "behaviours",
    "deliveries",
    "timers",
    "log",
    "counters",
    "settings",
)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which objects of a kind, newest first. `labels` must all match, each by one of its values."""

    kind: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    created: Mapping[str, int] = field(default_factory=dict)
    older_than_seq: int | None = None
    newer_than_seq: int | None = None
    where: str = ""


COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Store:
    """Not thread-safe by itself: callers hold the world's lock, and write inside `transaction()`.

    A commit survives the death of the process (WAL, synchronous=NORMAL); it may be lost with the machine,
    which a stand-in for tests and demos can afford.
    """

    def __init__(self, *, path: Path) -> None:
        self.connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=NORMAL")
        self.connection.execute("PRAGMA wal_autocheckpoint=4000")
        self.connection.execute("PRAGMA cache_size=-32000")
        script = resources.files("settld.stripe_simulator").joinpath("schema.sql").read_text("utf-8")
        self.connection.executescript(script)
        self._counters: dict[str, int] = dict(self.execute("SELECT name, value FROM counters").fetchall())
        self._moved: set[str] = set()

    def execute(self, sql: str, arguments: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self.connection.execute(sql, arguments)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another transaction it only joins."""
        if self.connection.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._write_counters()
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part of a transaction that may fail on its own: its writes vanish, the rest stays."""
        self.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK TO attempt")
            self.execute("RELEASE attempt")
            raise
        self.execute("RELEASE attempt")

    def clear(self) -> None:
        for table in TABLES:
            self.execute(f"DELETE FROM {table}")  # noqa: S608
        self.execute("DELETE FROM sqlite_sequence")
        self._counters.clear()
        self._moved.clear()

    def close(self) -> None:
        self.connection.close()

    # Counters are handed out from memory and written with the transaction that used them.
    def bump(self, name: str) -> int:
        value = self._counters.get(name, 0) + 1
        self._counters[name] = value
        self._moved.add(name)
        return value

    def _write_counters(self) -> None:
        rows = [(name, self._counters[name]) for name in self._moved]
        self.connection.executemany("INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)", rows)
        self._moved.clear()

    def setting(self, name: str) -> Any:
        row = self.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def keep_setting(self, name: str, value: object) -> None:
        self.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, json.dumps(value)))

    # Objects
    def insert(self, *, kind: str, body: Json, labels: Mapping[str, str | None] | None = None) -> None:
        row = (kind, body["id"], body["created"], json.dumps(body))
        cursor = self.execute("INSERT INTO objects (kind, id, created, body) VALUES (?, ?, ?, ?)", row)
        named = [(f"{kind}.{n}", v, cursor.lastrowid) for n, v in (labels or {}).items() if v is not None]
        self.connection.executemany("INSERT INTO labels (name, value, seq) VALUES (?, ?, ?)", named)

    def relabel(self, *, kind: str, object_id: str, name: str, values: Sequence[str]) -> None:
        """The values that an object is found by from now on, in place of those of this name."""
        seq, full = self.seq(kind=kind, object_id=object_id), f"{kind}.{name}"
        self.execute("DELETE FROM labels WHERE seq = ? AND name = ?", (seq, full))
        self.connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", [(full, v, seq) for v in values])

    def replace(self, *, kind: str, body: Json) -> None:
        self.execute(
            "UPDATE objects SET body = ? WHERE kind = ? AND id = ?", (json.dumps(body), kind, body["id"])
        )

    def delete(self, *, kind: str, object_id: str) -> None:
        self.execute("DELETE FROM labels WHERE seq = ?", (self.seq(kind=kind, object_id=object_id),))
        self.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, object_id))

    def get(self, *, kind: str, object_id: str) -> Json | None:
        row = self.execute("SELECT body FROM objects WHERE kind = ? AND id = ?", (kind, object_id)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def seq(self, *, kind: str, object_id: str) -> int | None:
        row = self.execute("SELECT seq FROM objects WHERE kind = ? AND id = ?", (kind, object_id)).fetchone()
        return None if row is None else int(row[0])

    def count(self, *, kind: str) -> int:
        return int(self.execute("SELECT count(*) FROM objects WHERE kind = ?", (kind,)).fetchone()[0])

    def select(self, selection: Selection, *, limit: int) -> list[Json]:
        """Newest first; with `newer_than_seq` the ones next to that row, still newest first."""
        joins: list[str] = []
        conditions: list[str] = []
        arguments: list[str | int] = []
        for number, (name, values) in enumerate(selection.labels.items()):
            marks = ",".join("?" * len(values))
            joins.append(f"JOIN labels l{number} ON l{number}.seq = o.seq")
            conditions.append(f"l{number}.name = ? AND l{number}.value IN ({marks})")
            arguments += [f"{selection.kind}.{name}", *values]
        conditions.append("o.kind = ?")
        arguments.append(selection.kind)
        for bound, value in selection.created.items():
            conditions.append(f"o.created {COMPARISONS[bound]} ?")
            arguments.append(value)
        if selection.older_than_seq is not None:
            conditions.append("o.seq < ?")
            arguments.append(selection.older_than_seq)
        if selection.newer_than_seq is not None:
            conditions.append("o.seq > ?")
            arguments.append(selection.newer_than_seq)
        if selection.where:
            conditions.append(selection.where)
        ascending = selection.newer_than_seq is not None
        key = "l0.seq" if joins else "o.seq"
        # Only our own names and operators are put into the text; values are bound.
        sql = (
            f"SELECT o.body FROM objects o {' '.join(joins)} WHERE {' AND '.join(conditions)} "  # noqa: S608
            f"ORDER BY {key} {'ASC' if ascending else 'DESC'} LIMIT ?"
        )
        found = [dict(json.loads(row[0])) for row in self.execute(sql, [*arguments, limit])]
        return found[::-1] if ascending else found
