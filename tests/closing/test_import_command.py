"""manage.py import_statements: exit codes, previews, and nothing written without --confirm."""

import json

import pytest

from tests.closing.files import file, line
from tests.support.api import body


@pytest.fixture
def command(books, tmp_path, capsys):
    from django.core.management import call_command

    body(books.put("pty_0", period="2025-12"))

    def run(content, *options, tenant="tenant_a"):
        path = tmp_path / "statements.csv"
        if content is not None:
            path.write_bytes(content)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            call_command("import_statements", "--tenant-id", tenant, "--file", str(path), *options)
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def count():
    from settld.closing.models import PartyStatement
    from settld.core import tenancy

    with tenancy.tenant_scope("tenant_a"):
        return PartyStatement.objects.filter(period="2026-01").count()


def test_without_confirm_it_only_previews(command):
    code, out, _ = command(file(line()))
    assert code == 0
    assert "1 rows: 1 new, 0 replaced, 0 unchanged, 0 conflict" in out
    assert "USD: 1 statements, 123.45 USD, payable 123.45 USD" in out
    assert "Nothing was written." in out
    assert count() == 0
    assert command(file(line()), "--dry-run")[0] == 0
    assert count() == 0


def test_with_confirm_it_imports_and_again_says_so(command, books):
    code, out, _ = command(file(line()), "--confirm", "--by", "ada")
    assert (code, count()) == (0, 1)
    assert "Imported (" in out
    (row,) = books.audits("PARTY_STATEMENT_IMPORT")
    assert row["actorPrincipalId"] == "import_statements:ada"
    code, out, _ = command(file(line()), "--confirm")
    assert code == 0
    assert "was imported on" in out


def test_rows_at_fault_exit_2_with_line_column_and_advice(command):
    code, out, _ = command(file(line("good"), line("bad", "1.50")), "--confirm")
    assert (code, count()) == (2, 0)
    assert "line 3, payout_cents: '1.50' is no number of cents. Whole digits" in out


def test_books_that_disagree_exit_3(command, books):
    books.put("pty_1", payoutCents=5)
    books.close()
    code, out, _ = command(file(line("pty_1", 6)), "--confirm")
    assert code == 3
    assert "line 2: pty_1 2026-01 is closed with 0.05 USD, the file says 0.06 USD" in out


def test_a_confirm_that_expects_a_preview_is_refused_when_the_books_have_moved(command, books):
    plan = json.loads(command(file(line()), "--json")[1])["planHash"]
    books.put("pty_1", payoutCents=5)
    code, _, err = command(file(line()), "--confirm", "--expect", plan)
    assert code == 3
    assert "STATEMENT_IMPORT_CHANGED" in err
    now = json.loads(command(file(line()), "--json")[1])
    assert (now["status"], now["counts"]["replaced"]) == ("clean", 1)
    assert command(file(line()), "--confirm", "--expect", now["planHash"])[0] == 0


def test_a_plan_binds_the_content_too(command):
    plan = json.loads(command(file(line(cents=1)), "--json")[1])["planHash"]
    assert command(file(line(cents=2)), "--confirm", "--expect", plan)[0] == 3
    assert count() == 0


@pytest.mark.parametrize(
    ("content", "options", "tenant"),
    [
        (None, (), "tenant_a"),
        (b"", (), "tenant_a"),
        (b"nonsense", (), "tenant_a"),
        (file(line()), (), "tenant_nobody"),
        (file(line()), ("--expect", "x"), "tenant_a"),
        (file(line()), ("--confirm", "--dry-run"), "tenant_a"),
        (file(line()), ("--unknown",), "tenant_a"),
    ],
)
def test_what_is_unusable_exits_1_and_says_why(command, content, options, tenant):
    code, _, err = command(content, *options, tenant=tenant)
    assert code == 1
    assert err.strip()
