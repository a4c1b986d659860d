"""/console/statements/import: upload, preview, confirm; nothing written before, all or nothing then."""

import re

from django.core.files.uploadedfile import SimpleUploadedFile

from settld.closing.models import PartyStatement, StatementImport, StatementUpload
from tests.closing.files import file, line, many
from tests.ops_console.world import count_rows, queries_of

UPLOAD = "/console/statements/import"


def send(client, content, *, name="march.csv", tenant="tenant_a"):
    return client.post(UPLOAD, {"tenant": tenant, "file": SimpleUploadedFile(name, content)})


def uploaded(client, content):
    """Upload a file and give the page of its preview."""
    answer = send(client, content)
    assert answer.status_code == 303, answer.content
    return answer["location"]


def form_of(client, address):
    page = client.get(address).content.decode()
    action = re.search(r'action="([^"]*/confirm/[^"]+)"', page).group(1)
    return action, dict(re.findall(r'name="(idempotency_key|tenant)" value="([^"]+)"', page))


def test_a_file_is_previewed_confirmed_and_imported(world, finance):
    world.statement("other")
    preview = uploaded(finance, file(line("pty_1"), line("pty_2", 5)))
    assert count_rows(PartyStatement, "tenant_a", party_id="pty_1") == 0
    page = finance.get(preview).content.decode()
    assert "march.csv" in page
    assert "New <b>2</b>" in page
    assert "New statements are closed and payable at once." in page

    action, form = form_of(finance, preview)
    answer = finance.post(action, form)
    assert (answer.status_code, answer["location"]) == (303, "/console/statements?period=2026-01")
    assert b"Imported: 2 new, 0 replaced, 0 unchanged." in finance.get(answer["location"]).content
    assert count_rows(PartyStatement, "tenant_a", party_id="pty_1", status="CLOSED") == 1
    assert b"march.csv" in finance.get(UPLOAD).content


def test_the_same_form_and_the_same_file_are_imported_once(world, finance):
    world.statement("other")
    content = file(line("pty_1"))
    preview = uploaded(finance, content)
    action, form = form_of(finance, preview)
    finance.post(action, form)
    again = finance.post(action, form)
    assert b"sent before" in finance.get(again["location"]).content
    page = finance.get(uploaded(finance, content)).content
    assert b"This file was imported on" in page
    assert b"/confirm/" not in page
    assert count_rows(StatementImport, "tenant_a") == 1


def test_rows_at_fault_are_shown_and_nothing_is_kept(world, finance):
    world.statement("other")
    answer = send(finance, file(line("good"), line("bad", "1.5")))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "payout_cents" in page
    assert "is no number of cents" in page
    assert "/confirm/" not in page
    assert count_rows(StatementUpload, "tenant_a") == 0


def test_a_file_that_cannot_be_read_says_what_to_do(world, finance):
    world.statement("other")
    answer = send(finance, b"\xff\xfe\xff")
    assert answer.status_code == 422
    assert b"Save the file as CSV UTF-8." in answer.content
    nothing = finance.post(UPLOAD, {"tenant": "tenant_a"})
    assert (nothing.status_code, b"No file was chosen" in nothing.content) == (422, True)


def test_a_conflict_cannot_be_confirmed(world, finance):
    world.statement("pty_1", cents=5)
    page = finance.get(uploaded(finance, file(line("pty_1", 6)))).content.decode()
    assert "Rows contradict closed statements" in page
    assert "0.05 USD" in page
    assert "0.06 USD" in page
    assert "/confirm/" not in page


def test_books_that_change_between_preview_and_confirm_refuse_and_show_what_changed(world, finance):
    world.api.put("/ops/party-statements/pty_0/2026-01", {"partyRole": "operator", "payoutCents": 1})
    preview = uploaded(finance, file(line("pty_1"), line("pty_2")))
    action, form = form_of(finance, preview)
    world.api.put("/ops/party-statements/pty_2/2026-01", {"partyRole": "operator", "payoutCents": 1})

    answer = finance.post(action, form)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "STATEMENT_IMPORT_CHANGED" in page
    assert "Changed since the upload" in page
    assert "New, month open" in page
    assert count_rows(PartyStatement, "tenant_a", party_id="pty_1") == 0

    action, form = form_of(finance, preview)  # what is shown now may be confirmed
    assert finance.post(action, form).status_code == 303
    assert count_rows(PartyStatement, "tenant_a", party_id="pty_2", payout_cents=12_345) == 1


def test_a_form_of_another_tenant_does_nothing(world, finance):
    world.statement("other")
    answer = send(finance, file(line("pty_1")), tenant="tenant_b")
    assert (answer.status_code, b"switched tenants" in answer.content) == (409, True)
    assert count_rows(StatementUpload, "tenant_a") == 0


def test_reading_roles_may_not_import(world, approver):
    world.statement("other")
    assert approver.get(UPLOAD).status_code == 403
    assert send(approver, file(line("pty_1"))).status_code == 403
    assert b"Import a file" not in approver.get("/console/statements").content


def test_a_file_that_is_too_large_is_refused_before_it_is_read(world, finance):
    world.statement("other")
    answer = finance.generic(
        "POST", UPLOAD, b"x", content_type="multipart/form-data; boundary=b", CONTENT_LENGTH="20200000"
    )
    assert answer.status_code == 413


def test_another_tenants_upload_is_not_found(world, finance):
    from tests.ops_console.world import login, make_person

    world.statement("other")
    preview = uploaded(finance, file(line("pty_1")))
    stranger = login(make_person("eve", {"tenant_b": "finance"}))
    assert stranger.get(preview).status_code == 404


def test_the_forms_are_protected_against_other_sites(world):
    from django.test import Client

    from tests.ops_console.world import make_person

    world.statement("other")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(
        make_person("ada", {"tenant_a": "finance"}), backend="django.contrib.auth.backends.ModelBackend"
    )
    assert send(browser, file(line("pty_1"))).status_code == 403


def test_template_and_example_are_files_that_can_be_read(world, finance):
    from settld.closing import statement_file

    world.statement("other")
    example = finance.get(f"{UPLOAD}/example.csv")
    assert example["content-disposition"] == 'attachment; filename="statements-example.csv"'
    found = statement_file.read(example.content)
    assert (len(found.rows), found.faults) == (3, [])
    assert finance.get(f"{UPLOAD}/template.csv").content == example.content.split(b"\r\n")[0] + b"\r\n"


def test_queries_of_the_preview_do_not_grow_with_the_rows(world, finance):
    world.statement("other")
    few = queries_of(finance, uploaded(finance, many(2)))
    assert queries_of(finance, uploaded(finance, many(150))) == few
