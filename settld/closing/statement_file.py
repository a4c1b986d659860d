"""Reading a CSV file of party statements: bytes in, rows or a list of what is wrong out; no database."""

import csv
import datetime as dt
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from settld.closing import statement_cells as cells
from settld.closing.statement_cells import CellFault
from settld.core.hashing import sha256_hex

MOST_BYTES: Final = 20_000_000
MOST_ROWS: Final = 100_000
MOST_FAULTS: Final = 200
MOST_MONTHS: Final = 120
COLUMNS: Final = (
    "party_id",
    "period",
    "party_role",
    "payout_cents",
    "amount",
    "currency",
    "payable_after",
    "references",
)
REQUIRED: Final = ("party_id", "period", "party_role")
DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


class UnreadableFile(ValueError):
    """The file as a whole cannot be read; the text says what to do about it."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(f"{problem}. {advice}")
        self.problem = problem
        self.advice = advice


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, what, and what to do."""

    line: int
    column: str
    problem: str
    advice: str


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One statement as the file has it."""

    line: int
    party_id: str
    period: str
    party_role: str
    currency: str
    payout_cents: int
    payable_after: dt.datetime | None = None
    references: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Name the statement; a file may hold it once."""
        return (self.period, self.party_id, self.party_role, self.currency)


@dataclass(frozen=True)
class StatementFile:
    """What a file holds; `fault_count` goes on counting where `faults` stops listing."""

    file_hash: str
    byte_count: int
    encoding: str
    delimiter: str
    rows: list[StatementRow] = field(repr=False)
    faults: list[Fault]
    fault_count: int


def read(content: bytes) -> StatementFile:
    """Read a whole file; rows at fault are listed, all of them up to MOST_FAULTS, and left out.

    Raises UnreadableFile when there are no rows to speak of: wrong encoding, no header, too large.
    """
    if len(content) > MOST_BYTES:
        raise UnreadableFile(
            f"The file has {len(content):,} bytes; at most {MOST_BYTES:,} are read", "Split it into parts."
        )
    text, encoding = _decoded(content)
    text, delimiter = _delimited(text)
    reader = _Reader(text, delimiter)
    rows = list(reader.rows())
    return StatementFile(
        file_hash=sha256_hex(content),
        byte_count=len(content),
        encoding=encoding,
        delimiter=delimiter,
        rows=rows,
        faults=reader.faults,
        fault_count=reader.fault_count,
    )


# --- From bytes to text ----------------------------------------------------------------------------
def _decoded(content: bytes) -> tuple[str, str]:
    """Decode by the byte order mark, else as UTF-8; anything else is refused, never guessed."""
    if not content.strip():
        raise UnreadableFile("The file is empty", "Start from the template.")
    encoding, start = "utf-8", 0
    for bom, name in _BOMS:
        if content.startswith(bom):
            encoding, start = name, len(bom)
            break
    if content.startswith(b"PK\x03\x04"):
        raise UnreadableFile("This is a spreadsheet, not a CSV file", "Save it as CSV UTF-8.")
    try:
        text = content[start:].decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: start + error.start].count(b"\n") + 1
        raise UnreadableFile(
            f"Line {line} holds a byte that is not {encoding.upper()}", "Save the file as CSV UTF-8."
        ) from error
    if "\x00" in text:
        raise UnreadableFile(
            "The file holds NUL characters, as UTF-16 without a byte order mark does",
            "Save it as CSV UTF-8.",
        )
    return text, encoding


def _delimited(text: str) -> tuple[str, str]:
    """Find the delimiter in the header line; a spreadsheet's `sep=` line before it says so itself."""
    named = _SEPARATOR_LINE.match(text)
    if named:
        if named.group(1) not in DELIMITERS:
            raise UnreadableFile(
                f"Line 1 names the separator {named.group(1)!r}", "Use comma, semicolon or tab."
            )
        return text, named.group(1)
    header = re.sub(r'"[^"]*"', "", next((line for line in text.splitlines() if line.strip()), ""))
    counts = {mark: header.count(mark) for mark in DELIMITERS}
    return text, max(counts, key=lambda mark: counts[mark])


# --- From text to rows -----------------------------------------------------------------------------
class _Reader:
    """Walks the lines once, and remembers what was wrong with them."""

    def __init__(self, text: str, delimiter: str) -> None:
        self.text = text
        self.delimiter = delimiter
        self.faults: list[Fault] = []
        self.fault_count = 0
        self.seen: dict[tuple[str, str, str, str], int] = {}

    def fault(self, line: int, column: str, problem: str, advice: str) -> None:
        """Note what is wrong."""
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(line, column, problem, advice))

    def rows(self) -> Iterator[StatementRow]:
        """Give each row that is in order."""
        lines = self._lines()
        header: dict[str, int] | None = None
        width, count = 0, 0
        for line, values in lines:
            if not any(value.strip() for value in values):
                continue
            if header is None:
                if line == 1 and _SEPARATOR_LINE.match(self.text):
                    continue
                header, width = _header(line, values), len(values)
                continue
            count += 1
            if count > MOST_ROWS:
                raise UnreadableFile(f"The file has more than {MOST_ROWS:,} rows", "Split it into parts.")
            row = self._row(line, values, header, width)
            if row is not None:
                yield row
        if header is None or count == 0:
            raise UnreadableFile("The file has no rows", "Put one statement on each line below the header.")
        if len({key[0] for key in self.seen}) > MOST_MONTHS:
            raise UnreadableFile(f"The file has more than {MOST_MONTHS} months", "Split it into parts.")

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Give each record with the number of the line that it begins on."""
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.delimiter, strict=True)
        while True:
            begins = reader.line_num + 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UnreadableFile(
                    f"The quotes of line {begins} do not add up ({error})",
                    'Put quotes round the whole cell, and double those inside: "say ""so""".',
                ) from error
            yield begins, values

    def _row(self, line: int, values: list[str], header: dict[str, int], width: int) -> StatementRow | None:
        if len(values) != width:
            self.fault(
                line, "", f"The line has {len(values)} cells, the header has {width}",
                f"Look for a missing or surplus {DELIMITERS[self.delimiter]}, or quote a cell that has one.",
            )  # fmt: skip
            return None
        named = {name: values[at].strip() for name, at in header.items()}
        faults_before = self.fault_count
        read: dict[str, object] = {}
        for name, parse in cells.PARSERS.items():
            if name not in header and name in ("payout_cents", "amount"):
                continue
            try:
                read[name] = parse(named.get(name, ""), named)
            except CellFault as error:
                self.fault(line, name, error.problem, error.advice)
        if self.fault_count > faults_before:
            return None
        row = cells.row_of(StatementRow, line, read)
        first = self.seen.setdefault(row.key, line)
        if first != line:
            self.fault(
                line, "party_id", f"The same statement stands on line {first}",
                "A party has one statement per period, role and currency; remove one of the two lines.",
            )  # fmt: skip
            return None
        return row


def _header(line: int, values: list[str]) -> dict[str, int]:
    """Find the columns by name, in any order; payoutCents is as good as payout_cents."""
    found: dict[str, int] = {}
    for at, value in enumerate(values):
        plain = re.sub(r"[\s_-]", "", value).lower()
        name = next((column for column in COLUMNS if column.replace("_", "") == plain), "")
        if not name:
            shown = value.strip() or f"(column {at + 1} has no name)"
            raise UnreadableFile(
                f"Line {line} names the column {shown[:60]!r}, which is not known",
                f"The columns are {', '.join(COLUMNS)}.",
            )
        if name in found:
            raise UnreadableFile(f"Line {line} names the column {name} twice", "Remove one of the two.")
        found[name] = at
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise UnreadableFile(
            f"Line {line} lacks the column {', '.join(missing)}", "Name the columns in the first line."
        )
    if ("payout_cents" in found) == ("amount" in found):
        raise UnreadableFile(
            f"Line {line} must name payout_cents or amount, and not both",
            "payout_cents is whole minor units (12345), amount is decimal (123.45).",
        )
    return found
