"""Read and write small tables as CSV and XLSX, trusting neither the file nor the program that opens it."""

import csv
import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from settld.core.errors import Invalid

MOST_BYTES: Final = 10 * 1024 * 1024
MOST_ROWS: Final = 20_000
MOST_COLUMNS: Final = 60
MOST_CELL: Final = 32_000  # what a spreadsheet takes in one cell
MOST_UNPACKED_BYTES: Final = 80 * 1024 * 1024
MOST_PARTS: Final = 500
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_GUARDED: Final = (*FORMULA_STARTS, "'")
_DELIMITERS: Final = (",", ";", "\t")


class FileInvalid(Invalid):
    """The file cannot be read; the text says what to do about it."""

    code = "FILE_INVALID"
    message = "the file cannot be read"


class FileTooLarge(Invalid):
    """The file holds more than is taken at once."""

    status = 413
    code = "FILE_TOO_LARGE"
    message = "the file is too large"


@dataclass(frozen=True)
class Line:
    """One row below the header: its line in the file and its cells by column name."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Sheet:
    """What a file holds: the columns as named in its header, and the rows that are not blank."""

    columns: list[str]
    lines: list[Line]


# --- Reading --------------------------------------------------------------------------------------
def read(content: bytes) -> Sheet:
    """Read a CSV or XLSX file by its first bytes, not by its name. Raises FileInvalid or FileTooLarge."""
    if len(content) > MOST_BYTES:
        raise FileTooLarge(f"a file has at most {MOST_BYTES // 1024 // 1024} MB")
    if not content.strip():
        raise FileInvalid("the file is empty")
    rows = _xlsx_rows(content) if content.startswith(b"PK") else _csv_rows(content)
    return _sheet(rows)


def _sheet(rows: Iterable[tuple[int, list[str]]]) -> Sheet:
    columns: list[str] = []
    lines: list[Line] = []
    for count, (number, values) in enumerate(rows):
        if count > MOST_ROWS:
            raise FileTooLarge(f"a file has at most {MOST_ROWS:,} rows")
        if not any(value.strip() for value in values):
            continue
        if not columns:
            columns = [value.strip() for value in values]
            named = [name.lower() for name in columns if name]
            if len(set(named)) != len(named):
                raise FileInvalid("two columns have the same name")
            continue
        cells = dict(zip(columns, [*values, *itertools.repeat("", len(columns) - len(values))], strict=False))
        lines.append(Line(number, cells))
    if not columns:
        raise FileInvalid("the file has no header line")
    return Sheet(columns, lines)


def _csv_rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    text = _text(content)
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    begins_at = 1
    try:
        for values in reader:
            yield begins_at, values[:MOST_COLUMNS]
            begins_at = reader.line_num + 1
    except csv.Error as error:
        raise FileInvalid(f"line {begins_at} is not CSV: {error}") from error


def _text(content: bytes) -> str:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise FileInvalid("the file is not UTF-8: save it as “CSV UTF-8” or as XLSX") from error


def _xlsx_rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    _require_modest(content)
    book = None
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        rows = sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True)
        for number, values in enumerate(rows, start=1):
            yield number, [_cell_text(value) for value in values]
    except (FileInvalid, FileTooLarge):
        raise
    except Exception as error:  # the library raises whatever a broken part makes it stumble over
        raise FileInvalid("the file is not a workbook that can be read; save it again as XLSX") from error
    finally:
        if book is not None:
            book.close()


def _require_modest(content: bytes) -> None:
    """Refuse what would unpack to far more than it weighs, before anything is unpacked.

    A part never unpacks to more than its entry says: the unpacker stops there.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            parts = package.infolist()
            if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED_BYTES:
                raise FileTooLarge("the workbook unpacks to more than is taken at once")
            for part in parts:
                with package.open(part) as opened:
                    if b"<!DOCTYPE" in opened.read(4096):
                        raise FileInvalid("the workbook holds a document type, which no spreadsheet writes")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise FileInvalid("the file is not a workbook that can be read; save it again as XLSX") from error


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


# --- Writing --------------------------------------------------------------------------------------
def guarded(text: str) -> str:
    """Keep a spreadsheet from running a text that begins like a formula; `unguarded` undoes it."""
    return f"'{text}" if text.startswith(_GUARDED) else text


def unguarded(text: str) -> str:
    """Take the guard off again; an apostrophe that guards nothing is the writer's own."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_GUARDED) else text


def for_workbook(text: str) -> str:
    """Leave out the control characters that a workbook cannot hold, and what is too long for a cell."""
    return ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", text)[:MOST_CELL]


class _Echo:
    """Hands each written line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def csv_lines(columns: Sequence[str], batches: Iterable[Iterable[Sequence[str]]]) -> Iterator[str]:
    """Write CSV as it is asked for; the mark in front tells spreadsheets that it is UTF-8."""
    writer = csv.writer(_Echo())
    yield "\N{ZERO WIDTH NO-BREAK SPACE}" + writer.writerow(columns)
    for batch in batches:
        yield "".join(writer.writerow([guarded(value) for value in row]) for row in batch)


def _text_cell(sheet: Any, value: str) -> Any:
    """Keep a text a text: the library takes one that begins so for a formula or an error."""
    if not value.startswith(("=", "#")):
        return value
    cell = WriteOnlyCell(sheet, value=value)
    cell.data_type = "s"
    return cell


def write_workbook(
    target: IO[bytes],
    *,
    title: str,
    columns: Sequence[str],
    widths: Sequence[int],
    batches: Iterable[Iterable[Sequence[str]]],
) -> None:
    """Write one sheet row by row; every cell is a text, so nothing in it is ever run."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for index, width in enumerate(widths):
        sheet.column_dimensions[chr(ord("A") + index)].width = width
    header = []
    for name in columns:
        cell = WriteOnlyCell(sheet, value=name)
        cell.font = Font(bold=True)
        header.append(cell)
    sheet.append(header)
    for batch in batches:
        for row in batch:
            cells = [_text_cell(sheet, for_workbook(value)) for value in row]
            sheet.append(cells)
    book.save(target)
