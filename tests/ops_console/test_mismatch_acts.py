"""One case at the console: its panel and page, deciding, stale forms, hostile forms."""

import re

import pytest

from reconciliation.models import Mismatch, Triage, TriageAction
from reconciliation.services.triage import Change
from settld.core import tenancy
from tests.ops_console.world import PERIOD, login, make_person, page_of, queries_of
from tests.reconciliation.cases import TENANT, decide, file, file_many, queue_row

HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "case"}


@pytest.fixture
def case(db):
    return file(queue_row("mop_x"))["mop_x"]


def fields(page):
    """Read the hidden inputs of the form on a page."""
    html = page.content.decode()
    form = html[html.index('id="decide"') :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def path(case, act=""):
    return f"/console/mismatches/{case.triage_key}{act}"


def send(client, case, act, *, form=None, headers=None, **filled):
    sent = (form or fields(client.get(path(case)))) | {"act": act} | filled
    return client.post(path(case, "/decide"), sent, **(headers or {}))


def standing():
    with tenancy.tenant_scope(TENANT):
        return Triage.objects.get()


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


# --- Looking --------------------------------------------------------------------------------------
def test_the_panel_shows_both_sides_what_to_do_links_and_history(world, approver):
    operation = world.payout("broken", state="failed")
    world.api.get(f"/ops/finance/money-rails/reconcile?period={PERIOD}&providerId=stub_default&persist=true")
    with tenancy.tenant_scope(TENANT):
        case = Mismatch.objects.get()
    decide(case, Change(status="acknowledged", notes="looking into it", owner_principal_id="person:0"))
    page = approver.get(path(case))
    text = text_of(page)

    assert page.status_code == 200
    for words in ("Payout failed or reversed", f"broken {PERIOD}", "What to do", "Acknowledged", "Failed"):
        assert words in text
    html = page.content.decode()
    assert f'href="{page_of(operation)}"' in html
    assert f"/console/statements?period={PERIOD}&amp;party=broken" in html
    assert "/console/reconciliation/reports/money_rail_reconcile_" in html
    assert f"/console/audit?target={case.triage_key}" in html
    assert "looking into it" in text
    assert "Deciding needs a role that may change money." in text
    assert 'id="decide"' not in html


def test_the_address_opens_the_case_beside_the_queue_and_htmx_gets_the_panel_alone(case, finance):
    page = finance.get(f"/console/mismatches?severity=high&case={case.triage_key}").content.decode()
    assert 'class="panel case"' in page
    assert "is-opened" in page
    panel = finance.get(path(case), **HTMX).content.decode()
    assert panel.lstrip().startswith('<section class="panel case"')
    missing = finance.get("/console/mismatches?case=frt_202610_000000000000000000000000")
    assert (missing.status_code, "does not exist in this tenant" in missing.content.decode()) == (200, True)


def test_a_case_of_another_tenant_is_not_there(case, finance):
    theirs = file(queue_row("theirs"), tenant="tenant_b")["theirs"]
    assert finance.get(path(theirs)).status_code == 404
    assert finance.post(path(theirs, "/decide"), {"act": "note"}).status_code == 404
    other = login(make_person("other", {"tenant_b": "finance"}))
    assert other.get(path(case)).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/console/mismatches?status=%00&severity=%27&type=%00x&owner=%00&period=9999-99&q=%00%25_",
        "/console/mismatches?at=%00&case=%00&order=x&age=-1&provider=" + "x" * 5_000,
        "/console/mismatches?at=Znww" + "A" * 300,
        "/console/mismatches.csv?severity=none&q=%ff%fe",
        "/console/mismatches/batches?x=%00",
        "/console/mismatches?back=" + "%26" * 2_000,
    ],
)
def test_hostile_addresses_are_no_errors(case, finance, address):
    assert finance.get(address).status_code == 200


@pytest.mark.parametrize(
    "address", ["/console/mismatches/%00", "/console/mismatches/frt%00", "/console/mismatches/" + "x" * 3_000]
)
def test_hostile_keys_are_not_found(case, finance, address):
    assert finance.get(address).status_code == 404


def test_queries_are_as_many_for_fifty_rows_as_for_five_hundred(db, finance):
    address = "/console/mismatches?severity=high"
    file_many(50)
    few = queries_of(finance, address)
    assert queries_of(finance, "/console/mismatches/" + first_key()) <= 16
    file_many(450, prefix="more_")
    assert queries_of(finance, address) == few <= 14
    assert queries_of(finance, f"{address}&case={first_key()}") <= few + 5


def first_key():
    with tenancy.tenant_scope(TENANT):
        return Mismatch.objects.order_by("mismatch_key").first().triage_key


# --- Deciding -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("act", "filled", "columns"),
    [
        ("acknowledge", {}, {"status": "acknowledged"}),
        ("start", {"reason": "mine"}, {"status": "in_progress", "notes": "mine"}),
        ("resolve", {"reason": "paid"}, {"status": "resolved", "notes": "paid"}),
        ("dismiss", {"reason": "noise"}, {"status": "dismissed"}),
        ("assign", {"owner": "person:7"}, {"owner_principal_id": "person:7", "status": "open"}),
        ("assign", {"owner": "other", "other_owner": "team:night"}, {"owner_principal_id": "team:night"}),
        ("severity", {"severity": "low"}, {"severity": "low"}),
        ("note", {"reason": "a\r\nb"}, {"notes": "a\nb", "status": "open"}),
    ],
)
def test_each_act_without_scripts(case, finance, act, filled, columns):
    answer = send(finance, case, act, **filled)
    assert (answer.status_code, answer["location"]) == (303, f"/console/mismatches?case={case.triage_key}")
    triage = standing()
    assert {name: getattr(triage, name) for name in columns} == columns
    assert triage.revision == 1


def test_closing_sends_what_was_seen_so_that_drift_shows_what_changed(case, finance):
    send(finance, case, "resolve", reason="fine")
    assert standing().mismatch_hash == case.mismatch_hash
    file(queue_row("mop_x", actual=99))

    text = text_of(finance.get(path(case)))
    assert "It has changed since it was closed" in text
    assert "Actual amount 0.05 → 0.99" in text
    assert "Drifted" in text_of(finance.get("/console/mismatches"))
    send(finance, case, "resolve", reason="fine again")
    assert standing().revision == 2
    assert "No open mismatch" in text_of(finance.get("/console/mismatches"))


def test_a_reason_is_asked_for_where_it_is_needed(case, finance):
    for act in ("resolve", "dismiss", "reopen", "note"):
        answer = send(finance, case, act, reason="  ")
        assert (answer.status_code, "REASON_REQUIRED" in answer.content.decode()) == (400, True)
    with tenancy.tenant_scope(TENANT):
        assert not Triage.objects.exists()


def test_a_stale_form_shows_both_versions_and_may_be_applied_on_top(case, finance):
    form = fields(finance.get(path(case)))
    decide(case, Change(status="in_progress", notes="Bob has it"))
    answer = send(finance, case, "resolve", form=form, reason="Ada paid it", headers=HTMX)
    text = text_of(answer)

    assert answer.status_code == 409
    assert "TRIAGE_REVISION_CONFLICT" in text
    assert "What stands" in text
    assert "Bob has it" in text
    assert "What you wanted" in text
    assert "Ada paid it" in text
    assert standing().status == "in_progress"
    again = fields(answer)
    assert (again["revision"], again["idempotency_key"] != form["idempotency_key"]) == ("1", True)
    assert send(finance, case, "resolve", form=again, reason="Ada paid it", headers=HTMX).status_code == 200
    assert (standing().status, standing().revision) == ("resolved", 2)


def test_figures_that_changed_under_the_form_are_a_conflict_too(case, finance):
    form = fields(finance.get(path(case)))
    file(queue_row("mop_x", actual=99))
    answer = send(finance, case, "resolve", form=form, reason="paid")
    assert (answer.status_code, "MISMATCH_CHANGED" in answer.content.decode()) == (409, True)
    assert send(finance, case, "note", form=form, reason="still a note").status_code == 303


def test_the_same_form_twice_decides_once(case, finance):
    form = fields(finance.get(path(case)))
    send(finance, case, "note", form=form, reason="once")
    again = send(finance, case, "note", form=form, reason="once", headers=HTMX)
    assert (again.status_code, "that answer stands" in text_of(again)) == (200, True)
    assert again["HX-Trigger"] == "caseDecided"
    with tenancy.tenant_scope(TENANT):
        assert TriageAction.objects.count() == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"tenant": "tenant_b"}, {"idempotency_key": ""}, {"idempotency_key": "x" * 101}, {"revision": "-1"},
        {"revision": "abc"}, {"revision": "9" * 40}, {"act": "explode"}, {"act": ""},
        {"severity": "urgent", "act": "severity"},
        {"owner": "o" * 300, "act": "assign"}, {"owner": "other", "act": "assign"}, {"reason": "n" * 10_001},
    ],
)  # fmt: skip
def test_a_form_at_fault_is_refused_and_nothing_is_kept(case, finance, fault):
    answer = send(finance, case, **({"act": "note", "reason": "x"} | fault))
    assert 400 <= answer.status_code < 500
    with tenancy.tenant_scope(TENANT):
        assert not Triage.objects.exists()


def test_a_nul_in_a_form_is_dropped(case, finance):
    send(finance, case, "note", reason="a\x00b", back="?q=\x00" + "&" * 3_000)
    assert standing().notes == "ab"


def test_a_reader_cannot_decide(case, approver):
    assert approver.post(path(case, "/decide"), {"act": "note"}).status_code == 403
    for address in ("/console/mismatches/batches/preview", "/console/mismatches/file"):
        assert approver.post(address, {"tenant": TENANT}).status_code == 403


def test_what_people_write_is_escaped(case, finance):
    send(finance, case, "note", reason="<script>alert(1)</script>")
    assert b"<script>alert" not in finance.get(path(case)).content
