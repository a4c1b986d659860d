"""Importing statement files: the rules of a single PUT, all or nothing, once per file."""

import datetime as dt

import pytest

from tests.closing.files import file, line, many
from tests.support.api import body

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


@pytest.fixture
def importer(books):
    """Import as the command and the console do, in tenant_a."""
    from settld.closing.services import imports
    from settld.core import tenancy
    from settld.core.principals import Actor

    class Importer:
        actor = Actor(principal_id="person:7", request_id="req_import")

        def preview(self, content):
            return imports.preview(tenant_id="tenant_a", content=content)

        def __call__(self, content, **more):
            seen = self.preview(content)
            return imports.carry_out(
                tenant_id="tenant_a", file=seen.file, file_name="march.csv", actor=self.actor, now=NOW, **more
            )

    body(books.put("pty_0", period="2025-12"))  # makes the tenant
    with tenancy.tenant_scope("tenant_a"):
        yield Importer()


def statements(**wanted):
    from settld.closing.models import PartyStatement

    rows = PartyStatement.objects.filter(period="2026-01", **wanted).order_by("party_id", "generation")
    return [(row.party_id, row.payout_cents, row.status) for row in rows]


def test_a_preview_writes_nothing_and_says_what_would_happen(books, importer):
    from settld.audit.models import OpsAudit
    from settld.ledger.models import MonthClose

    books.put("pty_1")
    books.put("pty_2", payoutCents=1)
    before = (statements(), OpsAudit.objects.count(), MonthClose.objects.count())
    seen = importer.preview(
        file(line("pty_1"), line("pty_2"), line("pty_3", -5), line("pty_4", currency="EUR"))
    )

    assert seen.plan.counts == {"new": 2, "replaced": 1, "unchanged": 1, "conflict": 0}
    assert [total.as_json() for total in seen.plan.totals] == [
        {"currency": "EUR", "statementCount": 1, "payoutCents": 12_345, "payableCents": 12_345},
        {"currency": "USD", "statementCount": 3, "payoutCents": 24_685, "payableCents": 24_690},
    ]
    assert (statements(), OpsAudit.objects.count(), MonthClose.objects.count()) == before
    assert seen.is_clean


def test_an_import_leaves_what_single_puts_would_have_left(books, importer):
    importer(file(line("pty_a", 777, after="2026-04-01T00:00:00Z", references="settlement:stl_1")))
    imported = books.statement("pty_a")
    document = body(books.api.get("/ops/party-statements/pty_a/2026-01"))["artifact"]
    put = body(
        books.put(
            "pty_a", payoutCents=777, payableAfter="2026-04-01T00:00:00Z",
            references=[{"type": "settlement", "id": "stl_1"}],
        )
    )  # fmt: skip
    assert put["statement"] == imported  # equal content: the PUT changed nothing
    assert put["artifact"] == document


def test_open_statements_are_replaced_and_equal_ones_are_left_alone(books, importer):
    books.put("pty_1", payoutCents=1)
    books.put("pty_2", payoutCents=2)
    done = importer(file(line("pty_1", 10), line("pty_2", 2), line("pty_3", 3)))

    assert (done.record.new_count, done.record.replaced_count, done.record.unchanged_count) == (1, 1, 1)
    assert statements() == [("pty_1", 10, "OPEN"), ("pty_2", 2, "OPEN"), ("pty_3", 3, "OPEN")]


def test_into_a_closed_month_new_statements_come_closed_and_instructed(books, importer):
    from settld.artifacts.models import Artifact

    books.put("pty_1")
    books.close()
    importer(file(line("pty_1"), line("pty_2", 500), line("pty_3", 0)))

    assert statements(party_id__in=["pty_2", "pty_3"]) == [("pty_2", 500, "CLOSED"), ("pty_3", 0, "CLOSED")]
    instructed = Artifact.objects.filter(artifact_type="PayoutInstruction.v1", period="2026-01")
    assert sorted(instructed.values_list("amount_cents", flat=True)) == [500, 12_345]


def test_one_closed_statement_of_other_content_refuses_the_whole_file(books, importer):
    from settld.closing.services.imports import ImportConflict

    books.put("pty_1")
    books.close()
    content = file(line("pty_0"), line("pty_1", 1), line("pty_2"))
    assert [one.row.line for one in importer.preview(content).plan.conflicts] == [3]
    with pytest.raises(ImportConflict) as caught:
        importer(content)
    assert caught.value.details == {"conflictCount": 1, "lines": [3]}
    assert statements() == [("pty_1", 12_345, "CLOSED")]


def test_after_a_reopen_the_frozen_row_is_kept_as_history(books, importer):
    from settld.closing.models import PartyStatement

    books.put("pty_1")
    books.put("pty_2")
    books.close()
    books.reopen()
    importer(file(line("pty_1", 1), line("pty_2"), line("pty_3", 3)))

    assert statements(superseded_at__isnull=True) == [
        ("pty_1", 1, "OPEN"), ("pty_2", 12_345, "OPEN"), ("pty_3", 3, "OPEN"),
    ]  # fmt: skip
    old = PartyStatement.objects.get(superseded_at__isnull=False)
    assert (old.party_id, old.payout_cents, old.superseded_at) == ("pty_1", 12_345, NOW)


def test_the_same_file_again_says_so_and_changes_nothing(books, importer):
    from settld.audit.models import OpsAudit
    from settld.closing.models import StatementImport

    content = file(line("pty_1"))
    first = importer(content)
    books.put("pty_1", payoutCents=9)
    rows = OpsAudit.objects.count()
    again = importer(content)

    assert (again.is_repeat, again.record.pk) == (True, first.record.pk)
    assert importer.preview(content).earlier == first.record
    assert statements() == [("pty_1", 9, "OPEN")]
    assert (OpsAudit.objects.count(), StatementImport.objects.count()) == (rows, 1)


def test_rows_at_fault_refuse_the_whole_file(books, importer):
    from settld.closing.services.imports import ImportFaulty

    with pytest.raises(ImportFaulty):
        importer(file(line("pty_1"), line("pty_2", "x")))
    assert statements() == []


@pytest.mark.parametrize("change", ["written", "closed"])
def test_books_that_changed_since_the_preview_refuse_and_are_shown(books, importer, change):
    from settld.closing.services import imports

    content = file(line("pty_1"), line("pty_2"))
    seen = importer.preview(content)
    if change == "written":
        books.put("pty_2", payoutCents=1)
    else:
        books.close()  # what would have been open is payable at once now
    with pytest.raises(imports.ImportChanged):
        importer(content, expected_plan_hash=seen.plan.hash)
    assert [party for party, _, _ in statements()] == (["pty_2"] if change == "written" else [])
    changed = imports.changes(importer.preview(content).plan, seen.plan.foreseen)
    lines = [(one.planned.row.line, one.planned.outcome) for one in changed]
    assert lines == ([(3, "replaced")] if change == "written" else [(2, "new"), (3, "new")])


def test_the_import_is_recorded_audited_and_never_changed(books, importer):
    from django.db import transaction

    from settld.closing.models import StatementImport

    record = importer(file(line("pty_1"), line("pty_2", period="2026-02"))).record
    assert (record.file_name, record.imported_by, record.row_count) == ("march.csv", "person:7", 2)
    assert [month["period"] for month in record.periods] == ["2026-01", "2026-02"]
    (row,) = books.audits("PARTY_STATEMENT_IMPORT")
    assert (row["targetId"], row["details"]["fileHash"]) == (str(record.pk), record.file_hash)
    months = [row["targetId"] for row in books.audits("PARTY_STATEMENT_UPSERT")]
    assert {"*:2026-01", "*:2026-02"} <= set(months)
    for change in (
        lambda rows: rows.update(file_name="other.csv"),
        lambda rows: rows.delete(),
    ):
        with pytest.raises(Exception, match=r"permission denied|Cannot"), transaction.atomic():
            change(StatementImport.objects.all())


def test_another_tenant_does_not_see_it_and_may_import_the_same_file(books, importer):
    from settld.closing.models import StatementImport
    from settld.closing.services import imports
    from settld.core import tenancy

    content = file(line("pty_1"))
    importer(content)
    with tenancy.tenant_scope("tenant_b"):
        assert StatementImport.objects.count() == 0
        assert imports.preview(tenant_id="tenant_b", content=content).earlier is None


def test_queries_grow_with_the_pieces_and_not_with_the_rows(books, importer, monkeypatch):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from settld.closing.services import import_plan

    def queries(content):
        with CaptureQueriesContext(connection) as captured:
            importer(content)
        return len(captured)

    few = queries(many(10))
    assert queries(many(2_000, period="2026-02")) <= few
    monkeypatch.setattr(import_plan, "CHUNK", 500)
    assert queries(many(2_000, period="2026-03")) <= few + 3 * 5


@pytest.mark.slow
def test_twenty_thousand_rows_take_a_bounded_number_of_queries(books, importer):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        done = importer(many(20_000))
    assert done.record.new_count == 20_000
    assert len(captured) < 100


def test_an_upload_is_kept_for_a_day(books, importer):
    from settld.closing.services import imports

    content = file(line("pty_1"))
    seen = importer.preview(content)
    kept = {"tenant_id": "tenant_a", "content": content, "seen": seen, "actor": importer.actor}
    first = imports.keep_upload(file_name="C:\\dir\\a\u0000b.csv", now=NOW, **kept)
    found = imports.upload(tenant_id="tenant_a", upload_id=first.pk)
    assert (bytes(found.content), found.file_name) == (content, "ab.csv")
    imports.keep_upload(file_name="", now=NOW + dt.timedelta(days=1, seconds=1), **kept)
    with pytest.raises(imports.UploadNotFound):
        imports.upload(tenant_id="tenant_a", upload_id=first.pk)


# --- Real commits ---------------------------------------------------------------------------------
@pytest.fixture
def live(live_db):
    from settld.core import tenancy
    from settld.tenants.services import tenants

    tenants.ensure(tenant_id="tenant_a", source="tests", now=NOW)
    with tenancy.tenant_scope("tenant_a"):
        yield


def carry_out(content):
    from settld.closing.services import imports
    from settld.core.principals import Actor

    seen = imports.preview(tenant_id="tenant_a", content=content)
    return imports.carry_out(
        tenant_id="tenant_a", file=seen.file, file_name="f.csv", actor=Actor.system("tests"), now=NOW
    )


def test_two_imports_of_one_file_at_once_are_one(live):
    import threading

    from django.db import connections

    from settld.closing.models import PartyStatement, StatementImport
    from settld.core import tenancy

    content, done = many(300), []

    def run():
        with tenancy.tenant_scope("tenant_a"):
            done.append(carry_out(content).is_repeat)
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, True]
    assert (StatementImport.objects.count(), PartyStatement.objects.count()) == (1, 300)


@pytest.mark.parametrize("point", ["import.within", "import.before_commit"])
def test_a_crash_in_the_middle_leaves_nothing_and_the_next_run_imports(live, point, monkeypatch):
    from settld.artifacts.models import Artifact
    from settld.closing.models import PartyStatement, StatementImport
    from settld.closing.services import import_plan
    from settld.core import failpoints

    class Killed(BaseException):
        pass

    def visit(name):
        if name == point:
            raise Killed

    monkeypatch.setattr(import_plan, "CHUNK", 10)
    with failpoints.watched(visit), pytest.raises(Killed):
        carry_out(many(30))
    assert (PartyStatement.objects.count(), Artifact.objects.count(), StatementImport.objects.count()) == (
        0,
        0,
        0,
    )
    assert carry_out(many(30)).record.new_count == 30
