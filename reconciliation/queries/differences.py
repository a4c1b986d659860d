"""What a comparison found, row by row: counted and hashed whole, kept as far as an answer can carry it."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

from settld.core import canonical_json

MOST_PER_GROUP: Final = 10_000


class Differences:
    """The rows of some groups, in the order of the groups' names.

    Every row is counted and goes into the hash; of each group the first `MOST_PER_GROUP` are kept in
    `kept`, the others lie in a file until they are iterated. So memory does not follow the differences.
    """

    def __init__(self, groups: Sequence[str], *, most: int = MOST_PER_GROUP) -> None:
        self.kept: dict[str, list[dict[str, Any]]] = {group: [] for group in groups}
        self.counts: dict[str, int] = dict.fromkeys(groups, 0)
        self._ahead = sorted(groups)
        self._current = ""
        self._hash = hashlib.sha256(b'{"mismatches":{')
        self._most = most
        self._overflow: IO[bytes] | None = None

    def add(self, group: str, row: dict[str, Any]) -> None:
        """Take the next row; rows come group by group."""
        written = canonical_json.dumps(row)
        self._begin(group)
        self._hash.update(b"," + written if self.counts[group] else written)
        self.counts[group] += 1
        if len(self.kept[group]) < self._most:
            self.kept[group].append(row)
            return
        if self._overflow is None:
            self._overflow = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the rows do)
        self._overflow.write(json.dumps([group, row]).encode() + b"\n")

    def _begin(self, group: str) -> None:
        """Write the heads of the groups up to one; those in between are empty."""
        while self._current != group:
            name = self._ahead.pop(0)
            closing = b"]," if self._current else b""
            self._hash.update(closing + canonical_json.dumps(name) + b":[")
            self._current = name

    def report_hash(self, rest: dict[str, Any]) -> str:
        """Hash `{mismatches, **rest}` canonically; to be called once, when all rows are in.

        Every other member's name must sort after `mismatches`, where it has already been written.
        """
        while self._ahead:
            self._begin(self._ahead[0])
        if min(rest) < "mismatches":
            raise ValueError("a member that sorts before mismatches cannot be hashed after it")
        self._hash.update(b"]}," + canonical_json.dumps(rest)[1:])
        return self._hash.hexdigest()

    @property
    def count(self) -> int:
        """Count the rows over all groups."""
        return sum(self.counts.values())

    @property
    def truncated(self) -> dict[str, int]:
        """Give the true counts of the groups that are not kept whole."""
        return {group: count for group, count in self.counts.items() if count > len(self.kept[group])}

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give every row, those in the file too, in the order in which they came."""
        ahead = self._overflowing()
        following = next(ahead, None)
        for group in sorted(self.kept):
            for row in self.kept[group]:
                yield group, row
            while following is not None and following[0] == group:
                yield following
                following = next(ahead, None)

    def _overflowing(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._overflow is not None:
            self._overflow.seek(0)
            for line in self._overflow:
                group, row = json.loads(line)
                yield group, row
