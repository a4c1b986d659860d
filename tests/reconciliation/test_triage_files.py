"""The queue as a file: dry run by row, nothing else in it believed, hostile files refused in words."""

import csv
import io
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from reconciliation.models import Mismatch, Triage, TriageBatch, TriageBatchRow
from reconciliation.services import batch_run, sheets, triage_file
from reconciliation.services.acts import Said
from reconciliation.services.sheets import FileInvalid, FileTooLarge
from reconciliation.services.triage import Change
from settld.core import tenancy
from tests.reconciliation.cases import ADA, NOW, TENANT, acknowledged, decide, file, file_many, queue_row

HEADER = ["triageKey", "revision", "status", "owner", "severity", "notes"]


@pytest.fixture
def scope(db):
    with tenancy.tenant_scope(TENANT):
        yield


def as_csv(rows, *, header=HEADER, encoding="utf-8"):
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode(encoding)


def as_xlsx(rows, *, header=HEADER):
    book = Workbook()
    for row in [header, *rows]:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def preview(content, name="queue.csv"):
    return triage_file.preview(
        tenant_id=TENANT, content=content, file_name=name, principal_id=ADA.principal_id, now=NOW
    )


def apply(batch):
    assert batch_run.start(tenant_id=TENANT, batch_id=batch.pk, said=Said("file"), actor=ADA, now=NOW)
    assert batch_run.work(tenant_id=TENANT, batch_id=batch.pk, most_rows=10_000, now=NOW)


def outcomes(batch):
    rows = TriageBatchRow.objects.filter(batch=batch).order_by("position")
    return [(row.position, row.result, row.why) for row in rows]


def row_for(case, *, revision=0, status="open", owner="", severity="", notes=""):
    return [case.triage_key, revision, status, owner, severity, notes]


# --- What a row does ------------------------------------------------------------------------------
@pytest.mark.parametrize("write", [as_csv, as_xlsx])
def test_a_dry_run_shows_each_rows_effect_and_changes_nothing(scope, write):
    cases = file_many(6)
    keys = [cases[f"mop_{n:04d}"] for n in range(6)]
    decide(keys[1], Change(status="acknowledged"))
    decide(keys[5], Change(notes="kept"))
    other = file(queue_row("theirs"), tenant="tenant_b")["theirs"]
    batch = preview(
        write(
            [
                row_for(keys[0], status="resolved", owner="person:bob", notes="paid by hand"),
                row_for(keys[1], status="resolved"),
                row_for(keys[2]),
                row_for(keys[3], status="finished"),
                ["frt_202610_" + "0" * 24, 0, "resolved", "", "", ""],
                row_for(keys[0], status="dismissed"),
                row_for(other, status="resolved"),
                row_for(keys[4], revision="two", status="resolved"),
                row_for(keys[5], revision=0, notes="kept"),
            ]
        )
    )

    found = outcomes(batch)
    assert [result for _, result, _ in found] == [
        "", "refused", "unchanged", "invalid", "invalid", "invalid", "invalid", "invalid", "unchanged",
    ]  # fmt: skip
    assert [line for line, _, _ in found] == list(range(2, 11))
    assert found[1][2] == "Changed since the file was made: the file has revision 0, it is at 1."
    assert found[3][2].startswith("The status must be one of open,")
    assert found[4][2] == "This tenant has no case with this triageKey."
    assert found[5][2] == "Line 2 is about the same case."
    assert found[7][2] == "The revision is not a whole number."
    first = TriageBatchRow.objects.get(batch=batch, position=2)
    assert first.before == {"status": "open", "owner": "", "severity": "", "notes": ""}
    assert first.change == {"status": "resolved", "owner_principal_id": "person:bob", "notes": "paid by hand"}
    assert Triage.objects.count() == 2

    apply(batch)
    triage = Triage.objects.get(triage_key=keys[0].triage_key)
    assert (triage.status, triage.owner_principal_id, triage.notes) == (
        "resolved", "person:bob", "paid by hand",
    )  # fmt: skip
    assert (triage.mismatch_hash, triage.metadata["seenDetails"]) == (keys[0].mismatch_hash, keys[0].details)
    assert Triage.objects.count() == 3


def test_of_a_file_only_the_row_that_changed_meanwhile_is_refused(scope):
    cases = file_many(3)
    batch = preview(as_csv([row_for(case, status="in_progress") for case in cases.values()]))
    acknowledged(cases["mop_0001"])
    apply(batch)

    assert dict(Mismatch.objects.values_list("mismatch_key", "triage_status")) == {
        "mop_0000": "in_progress", "mop_0001": "acknowledged", "mop_0002": "in_progress",
    }  # fmt: skip
    assert [result for _, result, _ in outcomes(batch)].count("refused") == 1


def test_the_same_file_again_finds_everything_as_it_wants_it(scope):
    content = as_csv([row_for(case, status="in_progress", notes="x") for case in file_many(2).values()])
    apply(preview(content))
    assert [result for _, result, _ in outcomes(preview(content))] == ["unchanged", "unchanged"]


def test_a_column_that_is_not_there_is_left_alone_and_a_blank_one_clears(scope):
    case = file_many(1)["mop_0000"]
    decide(case, Change(owner_principal_id="person:bob", notes="n", severity="low"))
    apply(preview(as_csv([[case.triage_key, 1, "  "]], header=["TRIAGEKEY", "Revision", "notes"])))
    triage = Triage.objects.get()
    assert (triage.owner_principal_id, triage.severity, triage.notes, triage.revision) == (
        "person:bob", "low", "", 2,
    )  # fmt: skip


def test_figures_and_identity_in_a_file_are_not_believed(scope):
    case = file_many(1)["mop_0000"]
    header = [*HEADER, "mismatchKey", "mismatchHash", "expected", "tenantId", "resolvedAt", "metadata"]
    lies = ["another", "f" * 64, "1,000,000.00 USD", "tenant_b", "2020-01-01T00:00:00Z", '{"a":1}']
    apply(preview(as_csv([row_for(case, status="dismissed", notes="y") + lies], header=header)))
    fresh, triage = Mismatch.objects.get(), Triage.objects.get()
    assert (fresh.mismatch_key, fresh.mismatch_hash, fresh.details) == (
        case.mismatch_key, case.mismatch_hash, case.details,
    )  # fmt: skip
    assert (triage.tenant_id, triage.resolved_at, triage.mismatch_hash) == (TENANT, NOW, case.mismatch_hash)


# --- Round trip -----------------------------------------------------------------------------------
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40
) | st.sampled_from(["=1+1", "'=1+1", "''", "-5", "@x", "a\r\nb", " x ", "\t=x", "+", "1.0", "TRUE", "007"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(owner=texts, notes=texts)
def test_what_was_downloaded_and_not_edited_changes_nothing(scope, owner, notes):
    case = file(queue_row("mop_round"))["mop_round"]
    decide(case, Change(owner_principal_id=owner, notes=notes))
    triage = Triage.objects.get()
    row = [case.triage_key, str(triage.revision), "open", owner, "", notes]
    as_text = "".join(sheets.csv_lines(HEADER, [[row]])).encode()
    book = io.BytesIO()
    sheets.write_workbook(book, title="x", columns=HEADER, widths=[9] * 6, batches=[[row]])

    for content in (as_text, book.getvalue()):
        assert [result for _, result, _ in outcomes(preview(content))] == ["unchanged"], content


@given(text=st.text())
def test_a_guard_comes_off_as_it_went_on(text):
    guarded = sheets.guarded(text)
    assert sheets.unguarded(guarded) == text
    assert not guarded.startswith(sheets.FORMULA_STARTS)


def test_no_cell_of_a_workbook_is_a_formula():
    target = io.BytesIO()
    row = ["=HYPERLINK(1)", "+1", "@x", "-1", "plain", "bad\x07bell"]
    sheets.write_workbook(target, title="x", columns=HEADER, widths=[9] * 6, batches=[[row]])
    cells = next(load_workbook(target).active.iter_rows(min_row=2))
    assert [cell.data_type for cell in cells] == ["s"] * 6
    assert [cell.value for cell in cells][:2] == ["=HYPERLINK(1)", "+1"]


# --- Files at fault -------------------------------------------------------------------------------
def bomb():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/worksheets/sheet1.xml", b"0" * (sheets.MOST_UNPACKED_BYTES + 1))
    return content.getvalue()


def with_entities():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        package.writestr(
            "[Content_Types].xml", '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'
        )
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "fault", "words"),
    [
        (b"", FileInvalid, "empty"),
        (b" \r\n\r\n", FileInvalid, "empty"),
        ("triageKey,revision,notes\nä,0,ü\n".encode("latin-1"), FileInvalid, "CSV UTF-8"),
        (b"PK\x03\x04 not a zip", FileInvalid, "not a workbook"),
        (b"a,b\n1,2\n", FileInvalid, "column triageKey and revision is missing"),
        (b"triageKey,revision\nfrt,0\n", FileInvalid, "nothing to change"),
        (b"triageKey,revision,notes\n", FileInvalid, "no rows"),
        (b"triageKey,revision,notes,NOTES\nx,0,a,b\n", FileInvalid, "same name"),
        (b'triageKey,revision,notes\n"' + b"x" * 200_000 + b'",0,a\n', FileInvalid, "not CSV"),
        (b"x" * (sheets.MOST_BYTES + 1), FileTooLarge, "10 MB"),
        (b"triageKey,revision,notes\n" + b",,\n" * (sheets.MOST_ROWS + 2), FileTooLarge, "20,000 rows"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(scope, content, fault, words):
    with pytest.raises(fault, match=words):
        preview(content)
    assert not TriageBatch.objects.exists()


def test_workbooks_that_unpack_to_too_much_or_declare_entities_are_refused(scope):
    content = bomb()
    assert len(content) < sheets.MOST_BYTES
    with pytest.raises(FileTooLarge, match="unpacks"):
        preview(content)
    with pytest.raises(FileInvalid, match="document type"):
        preview(with_entities())


@pytest.mark.parametrize(
    "content",
    [
        b"triageKey;revision;notes\r\n{key};0;semicolons\r\n",
        b"\xef\xbb\xbftriageKey\trevision\tnotes\n{key}\t0\ttabs\n",
        "triageKey,revision,notes\n{key},0,wide\n".encode("utf-16"),
    ],
)
def test_what_spreadsheets_write_is_read(scope, content):
    key = file_many(1)["mop_0000"].triage_key
    is_wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    name = "{key}".encode("utf-16-le") if is_wide else b"{key}"
    content = content.replace(name, key.encode("utf-16-le") if is_wide else key.encode())
    assert [result for _, result, _ in outcomes(preview(content))] == [""]


def test_a_nul_and_an_overlong_cell_are_invalid_rows_not_errors(scope):
    first, second, third = file_many(3).values()
    batch = preview(
        as_csv(
            [
                row_for(first, notes="a\x00b"),
                row_for(second, owner="o" * 201),
                row_for(third, revision=99999999999, status="resolved"),
                ["frt\x00", 0, "open", "", "", ""],
            ]
        )
    )
    assert [result for _, result, _ in outcomes(batch)] == ["invalid"] * 4


def test_the_queries_of_a_dry_run_do_not_grow_with_its_rows(scope, django_assert_max_num_queries):
    few = as_csv([row_for(c, notes="x") for c in file_many(2, prefix="few_").values()])
    many = as_csv([row_for(c, notes="x") for c in file_many(60, prefix="many_").values()])
    for content in (few, many):
        with django_assert_max_num_queries(12):
            preview(content)
