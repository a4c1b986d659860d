"""How an invariant is written down: its words, and the statement that gives what breaks it."""

from dataclasses import dataclass
from typing import Final

from reconciliation.states import Severity

MOST_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Sweep:
    """A table that is looked at part by part, so that one look costs the same however long it grows.

    `keys` gives the tenant's keys as `key`, in a form whose order an index keeps; looks go through them from
    the first to the last and begin again. `newest` gives the keys of what was written since `since`, which
    every look takes in beside its part, and beside the keys that are known to be broken. `batch` is how many
    keys a part has at most.
    """

    keys: str
    newest: str = ""
    batch: int = 100_000

    @property
    def part(self) -> str:
        """Give the last key and the number of keys of the part after `after`."""
        return (
            f"SELECT max(key), count(*) FROM (SELECT key FROM ({self.keys}) AS every"  # noqa: S608
            " WHERE key > %(after)s ORDER BY key LIMIT %(batch)s) AS part"
        )

    @property
    def subject(self) -> str:
        """Give the keys that a look is about, as the relation `subject`."""
        newest = f"UNION (SELECT key FROM ({self.newest}) AS lately LIMIT %(batch)s)" if self.newest else ""  # noqa: S608
        return f"""WITH subject AS MATERIALIZED (
  SELECT key FROM ({self.keys}) AS every WHERE key > %(after)s AND key <= %(upto)s
  UNION SELECT key FROM ({self.keys}) AS every WHERE key = ANY(%(suspects)s)
  {newest})
"""  # noqa: S608  (every part is a constant of ours)


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that is always true of one tenant's rows, with the statement that proves it.

    `sql` gives the rows for which it is not true, at most %(limit)s of them, sorted: `key` first, then
    columns that stand still while business goes on (identities and differences, no moving totals), for a
    case is known by its content. Parameters: tenant_id, limit; with a `sweep` it reads `subject`.
    `means` says in one sentence what holds, `advice` what to do when it does not.
    """

    name: str
    severity: Severity
    means: str
    advice: str
    sql: str
    sweep: Sweep | None = None

    @property
    def stops_payouts(self) -> bool:
        """Tell whether a breach stops the tenant's payouts."""
        return self.severity == Severity.CRITICAL

    @property
    def statement(self) -> str:
        """Give the whole statement as it is sent."""
        return (self.sweep.subject if self.sweep else "") + self.sql

    @property
    def code(self) -> str:
        """Give the code of its cases."""
        return f"INVARIANT_{self.name.upper()}"
