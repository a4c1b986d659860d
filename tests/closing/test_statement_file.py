"""Reading statement files: what is understood, and what is refused with a word about what to do."""

import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settld.closing import statement_file
from settld.closing.statement_file import UnreadableFile
from tests.closing.files import HEADER, PERIOD, file, line


def read(content):
    return statement_file.read(content)


def only(content):
    found = read(content)
    assert found.faults == []
    (row,) = found.rows
    return row


def test_a_row_is_read_cell_by_cell():
    row = only(file(line(after="2026-03-01T00:00:00+01:00", references="settlement:stl_1|receipt:r:2")))
    assert (row.line, row.party_id, row.period, row.party_role) == (2, "pty_1", PERIOD, "operator")
    assert (row.payout_cents, row.currency) == (12_345, "USD")
    assert row.payable_after == dt.datetime(2026, 2, 28, 23, tzinfo=dt.UTC)
    assert row.references == (("settlement", "stl_1"), ("receipt", "r:2"))


def test_columns_come_in_any_order_and_spelling_and_optional_ones_may_lack():
    row = only(b"payoutCents,Party Role,period,PARTY-ID\n5,operator,2026-01,p\n")
    assert (row.party_id, row.payout_cents, row.currency, row.payable_after, row.references) == (
        "p", 5, "USD", None, (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cents"),
    [("0.00", 0), ("1234.50", 123_450), ("-12.00", -1_200), ("0.01", 1), ("90071992547409.91", 2**53 - 1)],
)
def test_a_decimal_amount_is_exact(text, cents):
    header = HEADER.replace("payout_cents", "amount")
    assert only(file(line(cents=text), header=header)).payout_cents == cents


@pytest.mark.parametrize(
    "text",
    ["1", "1.5", "1.505", "1,50", "1 000.00", "1e3", "$1.00", "+1.00", "01.00", ".50", "\u0661.\u0660\u0660"],
)
def test_what_is_no_decimal_amount_is_refused(text):
    header = HEADER.replace("payout_cents", "amount")
    found = read(file(line(cents=f'"{text}"'), header=header))
    assert [(fault.line, fault.column) for fault in found.faults] == [(2, "amount")]
    assert "Two decimals" in found.faults[0].advice


@pytest.mark.parametrize(
    "text", ["1.0", "1_000", "0x1", "1e2", "--1", "", "\u0661\u0662", "9007199254740992", "12 3"]
)
def test_what_is_no_number_of_cents_is_refused(text):
    found = read(file(line(cents=f'"{text}"')))
    assert [(fault.line, fault.column) for fault in found.faults] == [(2, "payout_cents")]


def test_a_decimal_amount_of_yen_is_refused_since_it_has_no_hundredths():
    header = HEADER.replace("payout_cents", "amount")
    found = read(file(line(cents="100.00", currency="JPY"), header=header))
    assert found.faults[0].problem == "JPY has no hundredths"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16"],
)  # fmt: skip
def test_what_spreadsheets_write_is_understood(delimiter, end, encoding):
    text = end.join([HEADER, line("pty_é"), ""]).replace(",", delimiter)
    assert only(text.encode(encoding)).party_id == "pty_é"


def test_a_separator_line_and_blank_lines_are_passed_over():
    text = "sep=;\r\n" + HEADER.replace(",", ";") + "\r\n\r\n;;;;;;\r\n" + line().replace(",", ";") + "\r\n"
    assert only(text.encode()).line == 5


def test_quoted_cells_may_hold_the_delimiter_quotes_and_line_ends():
    row, after = read(file(line('"a, ""b"""'), line("next"))).rows
    assert (row.party_id, after.line) == ('a, "b"', 3)
    found = read(file(line(references='"settlement:one\ntwo"'), line("next", "bad")))
    assert found.rows[0].references == (("settlement", "one\ntwo"),)
    assert [fault.line for fault in found.faults] == [4]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "The file is empty"),
        (b" \n \n", "The file is empty"),
        (HEADER.encode(), "The file has no rows"),
        (file(line("pty_\xe9")).decode().encode("latin-1"), "Line 2 holds a byte that is not UTF-8"),
        (file(line()).decode().encode("utf-16-le"), "The file holds NUL characters"),
        (b"PK\x03\x04whatever", "This is a spreadsheet"),
        (file(line(), header=HEADER + ",colour"), "Line 1 names the column 'colour', which is not known"),
        (file(line(), header=HEADER + ",period"), "Line 1 names the column period twice"),
        (file(line(), header="party_id,party_role,payout_cents"), "Line 1 lacks the column period"),
        (file(line(), header="party_id,period,party_role"), "Line 1 must name payout_cents or amount"),
        (file(line(), header=HEADER + ",amount"), "Line 1 must name payout_cents or amount"),
        (file(line('"open')), "The quotes of line 2 do not add up"),
        (file(line('"a"b')), "The quotes of line 2 do not add up"),
        (b"sep=|\n" + file(line()), "Line 1 names the separator '|'"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_what_to_do(content, problem):
    with pytest.raises(UnreadableFile) as caught:
        read(content)
    assert caught.value.problem.startswith(problem)
    assert caught.value.advice.endswith((".", '"say ""so""".'))


def test_too_many_bytes_rows_or_months_are_refused(monkeypatch):
    monkeypatch.setattr(statement_file, "MOST_ROWS", 1)
    monkeypatch.setattr(statement_file, "MOST_MONTHS", 1)
    with pytest.raises(UnreadableFile, match="more than 1 rows"):
        read(file(line("a"), line("b")))
    monkeypatch.setattr(statement_file, "MOST_ROWS", 9)
    with pytest.raises(UnreadableFile, match="more than 1 months"):
        read(file(line("a"), line("a", period="2026-02")))
    monkeypatch.setattr(statement_file, "MOST_BYTES", 10)
    with pytest.raises(UnreadableFile, match="at most 10 are read"):
        read(file(line()))


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        (line(""), "party_id"),
        (line("x" * 201), "party_id"),
        (line("a\u200bb"), "party_id"),
        (line(period="2026-13"), "period"),
        (line(period="2026-1"), "period"),
        (line(role="Operator"), "party_role"),
        (line(currency="usd"), "currency"),
        (line(after="2026-03-01"), "payable_after"),
        (line(references="stl_1"), "references"),
        (line(references="invoice:1"), "references"),
        (line(references="settlement:"), "references"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(bad, column):
    found = read(file(line("good"), bad))
    assert [row.party_id for row in found.rows] == ["good"]
    assert [(fault.line, fault.column) for fault in found.faults] == [(3, column)]
    assert found.faults[0].advice


def test_every_fault_of_a_row_is_named_and_the_list_is_bounded(monkeypatch):
    monkeypatch.setattr(statement_file, "MOST_FAULTS", 3)
    found = read(file(line("", "x"), line("", "x", role="X")))
    assert [fault.column for fault in found.faults] == ["party_id", "payout_cents", "party_id"]
    assert found.fault_count == 5


def test_the_same_statement_twice_is_refused_even_with_the_same_amount():
    found = read(file(line(), line("other"), line()))
    assert [(fault.line, fault.problem) for fault in found.faults] == [
        (4, "The same statement stands on line 2")
    ]


def test_other_roles_currencies_and_months_of_a_party_are_other_statements():
    found = read(file(line(), line(role="subcontractor"), line(currency="EUR"), line(period="2026-02")))
    assert (len(found.rows), found.faults) == (4, [])


def test_a_line_of_another_width_is_named():
    found = read(file(line(), "a,b"))
    assert [(fault.line, fault.problem) for fault in found.faults] == [
        (3, "The line has 2 cells, the header has 7")
    ]


PLAIN = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=30
)  # fmt: skip

REFERENCE = PLAIN.filter(lambda text: "|" not in text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(PLAIN, st.integers(-(2**53) + 1, 2**53 - 1), st.lists(REFERENCE, max_size=3)),
        min_size=1, max_size=8, unique_by=lambda row: row[0],
    ),
    st.sampled_from([",", ";", "\t"]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)  # fmt: skip
def test_what_a_csv_writer_writes_is_read_back(rows, delimiter, is_decimal, encoding):
    """Property: any party, amount and reference survives the way through a file."""
    import csv
    import io

    def decimal(cents):
        sign, whole = ("-" if cents < 0 else ""), abs(cents)
        return f"{sign}{whole // 100}.{whole % 100:02d}"

    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(
        ["references", "amount" if is_decimal else "payout_cents", "period", "party_role", "party_id"]
    )
    for party, cents, refs in rows:
        amount = decimal(cents) if is_decimal else cents
        writer.writerow(["|".join(f"receipt:{ref}" for ref in refs), amount, PERIOD, "operator", party])
    found = read(out.getvalue().encode(encoding))
    assert found.faults == []
    read_back = [(row.party_id, row.payout_cents, [name for _, name in row.references]) for row in found.rows]
    assert read_back == [(party, cents, refs) for party, cents, refs in rows]
