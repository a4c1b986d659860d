"""Batches and files at the console: preview, confirm, results; download, edit, bring back."""

import csv
import io
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import load_workbook

from ops_console import uploads
from ops_console.mismatches import batches as batch_views
from reconciliation.models import Mismatch, TriageAction, TriageBatch
from reconciliation.services import batch_run
from settld.core import clock, tenancy
from settld.outbox import services as outbox
from tests.ops_console.world import login, make_person, queries_of
from tests.reconciliation.cases import TENANT, acknowledged, file_many

PREVIEW = "/console/mismatches/batches/preview"


@pytest.fixture
def cases(db):
    return file_many(4, now=clock.now())


def preview(client, act, *, keys=None, back="", **more):
    sent = {"tenant": TENANT, "act": act, "back": back}
    sent |= {"scope": "matching"} if keys is None else {"scope": "selection", "key": keys}
    answer = client.post(PREVIEW, sent | more)
    assert answer.status_code == 303, answer.content
    return answer["location"]


def confirm(client, address, **filled):
    return client.post(f"{address}/confirm", {"tenant": TENANT} | filled)


def statuses():
    with tenancy.tenant_scope(TENANT):
        return dict(Mismatch.objects.values_list("mismatch_key", "triage_status"))


def results(client, address):
    content = b"".join(client.get(f"{address}/results.csv").streaming_content).decode()
    return list(csv.DictReader(io.StringIO(content)))


# --- Batches --------------------------------------------------------------------------------------
def test_a_selection_is_previewed_confirmed_once_and_told_row_by_row(cases, finance):
    keys = [cases[name].triage_key for name in ("mop_0000", "mop_0001")]
    address = preview(finance, "resolve", keys=keys)
    page = finance.get(address).content.decode()
    assert "Resolve: 2 chosen cases" in page
    assert "Open 2" in page
    assert set(statuses().values()) == {"open"}

    acknowledged(cases["mop_0001"])
    for _ in range(2):
        assert confirm(finance, address, reason="paid by hand")["location"] == address
    assert statuses() == {
        "mop_0000": "resolved", "mop_0001": "acknowledged", "mop_0002": "open", "mop_0003": "open",
    }  # fmt: skip
    rows = {row["triageKey"]: row for row in results(finance, address)}
    assert [rows[key]["result"] for key in keys] == ["done", "refused"]
    assert "meanwhile" in rows[keys[1]]["why"]
    done = finance.get(f"{address}?result=refused").content.decode()
    assert done.count("Somebody decided about it meanwhile") == 1
    assert "Resolve: 2 chosen cases" in finance.get("/console/mismatches/batches").content.decode()


def test_everything_that_matches_is_taken_not_only_the_page(db, finance):
    file_many(70, now=clock.now())
    file_many(3, now=clock.now(), prefix="low_", severity="low")
    address = preview(finance, "dismiss", back="?severity=high")
    assert "Dismiss: 70 matching cases" in finance.get(address).content.decode()
    confirm(finance, address, reason="noise")
    found = statuses()
    assert {found[key] for key in found if key.startswith("low_")} == {"open"}
    assert [found[key] for key in found if key.startswith("mop_")] == ["dismissed"] * 70


def test_a_large_batch_is_left_to_a_worker_and_can_be_carried_on_by_hand(db, finance, monkeypatch):
    monkeypatch.setattr(batch_views, "AT_ONCE", 2)
    monkeypatch.setattr(batch_run, "AT_ONCE", 2)
    monkeypatch.setattr(batch_run, "CHUNK", 2)
    file_many(7, now=clock.now())
    address = preview(finance, "note")
    confirm(finance, address, reason="seen")
    page = finance.get(address).content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert "0 of 7 rows carried out" in page
    assert finance.post(f"{address}/resume", {"tenant": TENANT}).status_code == 303
    assert "2 of 7 rows carried out" in finance.get(address).content.decode()

    assert outbox.drain(kinds=(batch_run.KIND,), tenant_id=TENANT) == 1
    assert [row["result"] for row in results(finance, address)] == ["done"] * 7
    assert "hx-trigger" not in finance.get(address).content.decode().split('id="batch"')[1][:200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"act": "resolve", "scope": "selection"}, 400),
        ({"act": "explode", "scope": "matching"}, 400),
        ({"act": "note", "scope": "selection", "key": ["frt_\x00", "x" * 999]}, 400),
        ({"act": "note", "scope": "matching", "tenant": "tenant_b"}, 409),
        ({"act": "note", "scope": "matching", "back": "?status=\x00&at=x&q=zzz"}, 400),
    ],
)
def test_a_choice_at_fault_is_refused(cases, finance, sent, status):
    assert finance.post(PREVIEW, {"tenant": TENANT} | sent).status_code == status
    with tenancy.tenant_scope(TENANT):
        assert not TriageBatch.objects.exists()


def test_a_refused_confirmation_keeps_what_was_written(cases, finance):
    address = preview(finance, "assign")
    answer = confirm(finance, address, owner="other", reason="who knows")
    assert (answer.status_code, "who knows" in answer.content.decode()) == (400, True)
    assert confirm(finance, preview(finance, "resolve"), reason="").status_code == 400
    with tenancy.tenant_scope(TENANT):
        assert not TriageAction.objects.exists()


def test_batches_of_another_tenant_are_not_there_and_readers_only_read(cases, finance, approver):
    address = preview(finance, "note")
    assert approver.get(address).status_code == 200
    assert confirm(approver, address, reason="x").status_code == 403
    other = login(make_person("other", {"tenant_b": "finance"}))
    for look in (address, f"{address}/results.csv"):
        assert other.get(look).status_code == 404
    assert other.post(f"{address}/confirm", {"tenant": "tenant_b", "reason": "x"}).status_code == 404
    assert finance.get(f"{address}?after=%00&result=%00").status_code == 200
    assert finance.get("/console/mismatches/batches/not-a-uuid").status_code == 404


def test_queries_of_a_batch_do_not_grow_with_its_rows(cases, finance):
    few = queries_of(finance, preview(finance, "note"))
    file_many(46, prefix="more_", now=clock.now())
    assert queries_of(finance, preview(finance, "note")) == few <= 18


# --- Files ----------------------------------------------------------------------------------------
def download(client, kind, query=""):
    answer = client.get(f"/console/mismatches.{kind}{query}")
    return b"".join(answer.streaming_content)


def upload(client, content, name="queue.csv"):
    return client.post(
        "/console/mismatches/file", {"tenant": TENANT, "file": SimpleUploadedFile(name, content)}
    )


def edited(content, **changes):
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    for row in rows:
        row.update(changes)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def test_the_queue_comes_out_is_edited_and_comes_back(cases, finance):
    content = download(finance, "csv", "?severity=high")
    assert content.decode("utf-8-sig").count("\r\n") == 5
    answer = upload(finance, edited(content, status="in_progress", notes="=cmd|x"))
    address = answer["location"]
    page = finance.get(address).content.decode()
    assert "4 rows of 4 would change" in page
    assert re.search(r"<del>Open</del>.*?<ins>In progress</ins>", page, re.DOTALL)
    acknowledged(cases["mop_0002"])
    confirm(finance, address)
    assert sorted(statuses().values()) == ["acknowledged", "in_progress", "in_progress", "in_progress"]
    assert b"'=cmd|x" in download(finance, "csv")


def test_a_workbook_holds_the_same_rows_and_comes_back_too(cases, finance):
    sheet = load_workbook(io.BytesIO(download(finance, "xlsx")))
    rows = list(sheet.active.iter_rows(values_only=True))
    lines = list(csv.reader(io.StringIO(download(finance, "csv").decode("utf-8-sig"))))
    assert [["" if value is None else value for value in row] for row in rows] == lines
    target = io.BytesIO()
    sheet.active["C2"] = "dismissed"
    sheet.save(target)
    address = upload(finance, target.getvalue(), "queue.xlsx")["location"]
    assert "1 row of 4 would change" in finance.get(address).content.decode()


def test_a_file_at_fault_says_so_and_one_that_is_too_large_is_not_read(cases, finance, monkeypatch):
    answer = upload(finance, b"nothing of ours")
    assert (answer.status_code, b"FILE_INVALID" in answer.content) == (400, True)
    assert finance.post("/console/mismatches/file", {"tenant": TENANT}).status_code == 400
    monkeypatch.setattr(uploads, "MOST_BYTES", 1_000)
    assert upload(finance, b"x" * 2_000).status_code == 400
    with tenancy.tenant_scope(TENANT):
        assert not TriageBatch.objects.exists()


def test_a_file_is_read_batch_by_batch_and_stops_at_its_limit(db, finance, monkeypatch):
    from ops_console.mismatches import export

    monkeypatch.setattr(export, "BATCH", 3)
    monkeypatch.setattr(export, "MOST_ROWS", 6)
    file_many(8, now=clock.now())
    answer = finance.get("/console/mismatches.csv")
    assert answer["x-settld-rows-limit"] == "6"
    assert b"".join(answer.streaming_content).decode("utf-8-sig").count("\r\n") == 7
