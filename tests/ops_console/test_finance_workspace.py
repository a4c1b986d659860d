"""GET /ops/finance/reconciliation/workspace (finance spec 8): what it shows, to whom, what its buttons do."""

import html as entities
import re

import pytest
from django.test import Client

from reconciliation.models import Mismatch, ReconcileReport, Triage
from reconciliation.services.rows import finance_row
from reconciliation.services.triage import Change
from settld.artifacts.models import Artifact
from settld.closing.models import FinanceAccountMap, MonthDocument
from settld.core import tenancy
from tests.ops_console.world import login, make_person, queries_of
from tests.reconciliation.cases import decide, file, queue_row
from tests.reconciliation.finance import month
from tests.support.api import OPS_TOKEN

TENANT, PERIOD = month.TENANT, month.PERIOD
PATH = "/ops/finance/reconciliation/workspace"
HERE = f"{PATH}?period={PERIOD}"
IDS = (
    "financeReconciliationWorkspaceRoot", "mismatchQueueBody", "mismatchDetail", "triageDetail",
    "triageStatus", "triageSeverity", "triageOwner", "triageAction", "triageNotes", "applyTriageBtn",
    "persistReconcileBtn", "dryRunNetCloseBtn", "executeNetCloseBtn", "refreshTriageBtn",
    "refreshMaintenanceBtn", "runMaintenanceBtn", "maintenanceStatus", "maintenanceDetail",
)  # fmt: skip
WRITES = (
    "applyTriageBtn",
    "persistReconcileBtn",
    "dryRunNetCloseBtn",
    "executeNetCloseBtn",
    "runMaintenanceBtn",
)


@pytest.fixture
def books(db):
    """A closed month of two payees: 7.00 and 3.00."""
    month.closed_books()


@pytest.fixture
def finance(db):
    return login(make_person("ada", {TENANT: "finance"}))


@pytest.fixture
def reader(db):
    return login(make_person("rita", {TENANT: "approver"}))


def html_of(client, address=HERE, status=200):
    answer = client.get(address)
    assert answer.status_code == status, answer.content[:600]
    return answer.content.decode()


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def hidden(html, beginning):
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html[html.index(beginning) :])
    return {name: entities.unescape(value) for name, value in fields}


def element(html, name):
    found = re.findall(rf'<[^>]*\bid="{name}"[^>]*>', html)
    assert len(found) == 1, (name, found)
    return found[0]


def form_of(client, address):
    return hidden(html_of(client, address), 'id="act"')


def act(client, name, **filled):
    address = f"/console/finance/{PERIOD}/act/{name}"
    return client.post(address, form_of(client, address) | filled)


def core_case(key="pty_operator:p1|acct_operator_payable|USD", **details):
    figures = {"partyId": "pty_operator:p1", "accountId": "acct_operator_payable", "currency": "USD"}
    figures |= {"glBatchCents": -700, "partyStatementsCents": -650, "deltaCents": -50} | details
    row = {
        "mismatchType": "party_account_total", "mismatchKey": key, "severity": "high",
        "mismatchCode": "PARTY_ACCOUNT_TOTAL_MISMATCH", "details": figures,
    }  # fmt: skip
    return file(finance_row(period=PERIOD, mismatch=row))[key]


# --- The page -------------------------------------------------------------------------------------
def test_the_page_keeps_its_title_its_ids_and_its_three_paths(books, finance):
    answer = finance.get(HERE)
    html = answer.content.decode()

    assert "<title>Finance Reconciliation Workspace</title>" in html
    assert "<h1>Finance Reconciliation Workspace</h1>" in html
    for name in IDS:
        element(html, name)
    for path in (
        "/ops/finance/reconciliation/triage",
        "/ops/status",
        "/ops/maintenance/finance-reconcile/run",
    ):
        assert path in html
    assert "x-settld-protocol" in html
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "'unsafe-inline'" not in answer["Content-Security-Policy"]
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert 'href="/ops/finance/reconciliation/workspace"' in html


def test_without_the_right_to_read_it_is_403_and_without_a_login_one_is_sent_to_it(db, api, settings):
    settings.OPS_TOKENS |= {"tok_audit": frozenset({"audit_read"})}
    without = Client().get(HERE, headers={"x-proxy-ops-token": "tok_audit", "x-proxy-tenant-id": TENANT})
    assert without.status_code == 403
    stranger = login(make_person("eve", {"tenant_b": "finance"}))
    assert stranger.get(f"{HERE}&tenantId={TENANT}").status_code == 403
    away = Client().get(HERE)
    assert away.status_code == 303
    assert away["location"].startswith("/login?next=")


def test_without_the_right_to_write_the_controls_stay_and_are_switched_off(books, reader):
    html = html_of(reader)
    for name in WRITES:
        tag = element(html, name)
        assert tag.startswith("<button"), tag
        if name != "applyTriageBtn":
            assert " disabled" in tag
    assert '<fieldset class="bare" disabled>' in html
    for name in ("reconcile", "net-close", "net-close-dry-run", "maintenance"):
        assert reader.get(f"/console/finance/{PERIOD}/act/{name}").status_code == 403
    case = core_case()
    opened = html_of(reader, f"{HERE}&case={case.triage_key}")
    assert '<fieldset class="bare" disabled>' in opened
    assert 'id="decide"' not in opened


@pytest.mark.parametrize("period", ["2026-13", "2026-1", "x", "%00", "99999-01", "2026-02-01"])
def test_a_bad_period_is_refused_with_400(finance, period):
    assert finance.get(f"{PATH}?period={period}").status_code == 400


def test_a_month_without_anything_is_notices_and_not_a_dead_page(finance):
    text = text_of(html_of(finance))
    assert f"{PERIOD} is not closed, so it has no GL batch." in text
    assert "There is no party statement for this month." in text
    assert "No open mismatch" in text
    assert "Nothing to compare yet" in text
    assert " disabled" in element(html_of(finance), "executeNetCloseBtn")


def test_the_alias_leads_to_the_page(finance):
    answer = finance.get(f"/console/finance?period={PERIOD}")
    assert answer["location"] == HERE


# --- Tie-out --------------------------------------------------------------------------------------
def test_a_closed_month_ties_out_by_account_and_from_owed_to_paid(books, finance):
    text = text_of(html_of(finance))
    assert "Tie-out Ties out" in text
    assert "acct_operator_payable -10.00 USD -10.00 USD -10.00 USD Equal" in text
    assert "acct_customer_escrow 10.00 USD 10.00 USD 10.00 USD Equal" in text
    assert re.search(r"Earned, by the statements .*? 10\.00 USD Equal", text)
    assert re.search(r"Instructed payout instructions of these statements 2 10\.00 USD Equal", text)
    assert re.search(r"Not enqueued yet 2 10\.00 USD", text)
    assert "pty_operator:p1" in text
    assert "No money-rail report about this month yet." in text


def test_payouts_are_told_apart_by_what_became_of_them(world, finance):
    world.payout("paid", cents=10_000, state="confirmed")
    world.payout("sent", cents=2_000, state="submitted")
    world.payout("broken", cents=300, state="failed")
    world.statement("waiting", cents=50)
    world.api.get("/ops/finance/money-rails/reconcile?period=2026-01&providerId=stub_default&persist=true")
    html = html_of(finance, f"{PATH}?period=2026-01")
    text = text_of(html)

    assert re.search(r"Instructed payout instructions of these statements 4 123\.50 USD Equal", text)
    assert re.search(r"Payouts and what waits .*? 4 123\.50 USD Equal", text)
    for told in ("Paid 1 100.00 USD", "Sent 1 20.00 USD", "Failed 1 3.00 USD", "Not enqueued yet 1 0.50 USD"):
        assert told in text
    assert re.search(r"stub_default 4 3 1 1 0 2 differences", text)
    assert re.search(r'aria-label="paid: earned 100\.00 USD, paid 100\.00 USD', html)


def test_a_statement_that_says_another_sum_shows_its_difference_with_a_link(books, finance, monkeypatch):
    from reconciliation.queries import tie_out

    read = tie_out.stated
    monkeypatch.setattr(
        tie_out, "stated", lambda **named: read(**named) | {("acct_operator_payable", "USD"): -950}
    )
    html = html_of(finance)
    assert "Tie-out 1 difference" in text_of(html).replace("  ", " ")
    assert ">0.50 USD</a>" in html
    assert "source=finance_reconcile" in html


def test_queries_do_not_grow_with_the_month(books, finance):
    address = f"{HERE}&status=any"
    few = queries_of(finance, address)
    for number in range(12):
        core_case(f"pty_operator:x{number}|acct_operator_payable|USD")
    assert queries_of(finance, address) == few


# --- The queue ------------------------------------------------------------------------------------
def test_the_queue_holds_core_and_money_rail_cases_of_the_month_alone(books, finance):
    core_case()
    file(queue_row("mop_here", period=PERIOD), queue_row("mop_elsewhere", period="2026-01"))
    text = text_of(html_of(finance))
    assert "Account total differs" in text
    assert "mop_here" in text
    assert "mop_elsewhere" not in text

    of_provider = text_of(html_of(finance, f"{HERE}&providerId=stub_default"))
    assert "Account total differs" in of_provider
    assert "mop_here" in of_provider
    assert "mop_here" not in text_of(html_of(finance, f"{HERE}&source=finance_reconcile"))


def test_a_case_is_followed_down_to_the_lines_of_both_sides(books, finance):
    case = core_case()
    html = html_of(finance, f"{HERE}&case={case.triage_key}")
    text = text_of(html)
    assert "-7.00 USD" in text
    assert "-6.50 USD" in text
    assert f'href="/console/journal/entries/jnl_{PERIOD}_p1"' in html
    assert re.search(r"its run -7\.00 USD -7\.00 USD named", text)
    assert f'href="/console/statements/{PERIOD}/pty_operator:p1"' in html
    assert 'name="revision" value="0"' in html


def send(client, case, **filled):
    html = html_of(client, f"{HERE}&case={case.triage_key}")
    form = hidden(html, 'id="decide"')
    return form, client.post(
        f"/console/mismatches/{case.triage_key}/decide", form | {"act": "apply"} | filled
    )


def test_one_form_sets_status_owner_severity_and_notes_and_comes_back_to_the_month(books, finance):
    case = core_case()
    form, answer = send(
        finance, case, status="in_progress", severity="critical", owner="other", other_owner="person:bob",
        reason="asking the ledger", step="escalated",
    )  # fmt: skip
    assert answer.status_code == 303
    assert answer["location"] == f"{HERE}&case={case.triage_key}#mismatchDetail"
    with tenancy.tenant_scope(TENANT):
        standing = Triage.objects.get()
    assert (standing.status, standing.severity, standing.owner_principal_id, standing.notes) == (
        "in_progress", "critical", "person:bob", "asking the ledger",
    )  # fmt: skip
    assert standing.revision == 1

    repeated = {"act": "apply", "status": "in_progress", "severity": "critical", "owner": "other"}
    repeated |= {"other_owner": "person:bob", "reason": "asking the ledger", "step": "escalated"}
    assert finance.post(f"/console/mismatches/{case.triage_key}/decide", form | repeated).status_code == 303
    with tenancy.tenant_scope(TENANT):
        assert Triage.objects.get().revision == 1


def test_to_resolve_needs_a_note_and_a_status_that_is_none_is_refused(books, finance):
    case = core_case()
    assert send(finance, case, status="resolved")[1].status_code == 400
    assert send(finance, case, status="gone")[1].status_code == 400
    assert send(finance, case, status="open", step="x" * 200)[1].status_code == 400
    with tenancy.tenant_scope(TENANT):
        assert not Triage.objects.exists()


def test_a_conflict_shows_both_versions_and_changes_nothing(books, finance):
    case = core_case()
    html = html_of(finance, f"{HERE}&case={case.triage_key}")
    form = hidden(html, 'id="decide"')
    decide(case, Change(status="acknowledged", notes="Bob has it"))
    answer = finance.post(
        f"/console/mismatches/{case.triage_key}/decide",
        form | {"act": "apply", "status": "resolved", "reason": "mine"},
    )
    text = text_of(answer.content.decode())
    assert answer.status_code == 409
    assert "What stands" in text
    assert "Bob has it" in text
    assert "What you wanted Status Resolved" in text
    with tenancy.tenant_scope(TENANT):
        assert Triage.objects.get().status == "acknowledged"


def test_a_decided_case_that_differs_now_is_flagged(books, finance):
    case = core_case()
    send(finance, case, status="resolved", reason="rounding")
    core_case(glBatchCents=-900)
    html = html_of(finance, f"{HERE}&case={case.triage_key}")
    assert "It has changed since it was closed, so it is open again" in html
    assert ">Drifted</span>" in html


def test_bulk_acts_and_files_lead_back_to_the_month(books, finance):
    core_case()
    html = html_of(finance)
    back = re.search(r'name="back" value="([^"]*)"', html)[1].replace("&amp;", "&")
    answer = finance.post(
        "/console/mismatches/batches/preview",
        {"tenant": TENANT, "back": back, "act": "acknowledge", "scope": "matching"},
    )
    assert f'href="{HERE}"' in html_of(finance, answer["location"]).replace("&amp;", "&")
    csv = re.search(r'href="(/console/mismatches\.csv[^"]*)"', html)[1].replace("&amp;", "&")
    lines = b"".join(finance.get(csv).streaming_content).decode().splitlines()
    assert len(lines) == 2
    assert "PARTY_ACCOUNT_TOTAL_MISMATCH" in lines[1]


# --- The buttons ----------------------------------------------------------------------------------
def test_the_report_is_persisted_in_two_steps_and_once(books, finance):
    address = f"/console/finance/{PERIOD}/act/reconcile"
    form = form_of(finance, address)
    first, again = finance.post(address, form), finance.post(address, form)
    assert (first.status_code, first["location"]) == (303, HERE)
    assert again.status_code == 303
    text = text_of(html_of(finance))
    assert f"{PERIOD} is compared: everything ties out." in text
    assert "that answer stands" in text
    with tenancy.tenant_scope(TENANT):
        report = ReconcileReport.objects.get(side="finance")
    assert "Reconcile Ties out" in text
    sent = finance.get(f"/console/finance/{PERIOD}/files/reconcile.json").json()
    assert (sent["artifactId"], sent["reconcile"]["ok"]) == (report.artifact_id, True)


def test_net_close_is_tried_then_executed_with_the_period_typed(books, finance):
    assert act(finance, "net-close-dry-run").status_code == 303
    with tenancy.tenant_scope(TENANT):
        assert not MonthDocument.objects.filter(kind="net_close").exists()
    assert act(finance, "net-close", confirm="2026-03").status_code == 422
    assert act(finance, "net-close").status_code == 422
    assert act(finance, "net-close", confirm=PERIOD).status_code == 303
    html = html_of(finance)
    assert "The net-close of 2026-02 is executed" in html
    assert "Execute again…" in html
    with tenancy.tenant_scope(TENANT):
        assert MonthDocument.objects.get(kind="net_close").month == PERIOD


def test_execute_is_off_while_checks_fail_and_the_act_itself_refuses(books, finance):
    with tenancy.tenant_scope(TENANT):
        MonthDocument.objects.filter(kind="held_rollforward").update(superseded_at=month.NOW)
    html = html_of(finance)
    assert " disabled" in element(html, "executeNetCloseBtn")
    assert "HELD_ROLLFORWARD_MISSING" in html
    answer = act(finance, "net-close", confirm=PERIOD)
    assert answer.status_code == 409
    assert "NET_CLOSE_PRECONDITIONS_FAILED" in answer.content.decode()
    with tenancy.tenant_scope(TENANT):
        assert not MonthDocument.objects.filter(kind="net_close").exists()


def test_an_open_month_has_nothing_to_net_close_or_to_reconcile(finance):
    month.known(TENANT)
    assert act(finance, "net-close-dry-run").status_code == 409
    assert act(finance, "reconcile").status_code == 404


# --- Export ---------------------------------------------------------------------------------------
def test_the_map_is_filled_in_gaps_are_shown_and_the_csv_follows(books, finance, reader):
    files = f"/console/finance/{PERIOD}/files"
    assert finance.get(f"{files}/gl-batch.json").json()["schemaVersion"] == "GLBatch.v1"
    refused = finance.get(f"{files}/gl-batch.csv")
    assert refused.status_code == 409
    assert "Fill in the account map" in refused.content.decode()
    assert finance.get(f"{files}/pack.zip").status_code == 404
    assert " disabled" in element(html_of(finance), "glCsvBtn")

    address = "/console/finance/account-map"
    html = html_of(finance, address)
    form = hidden(html, f'action="{address}"')
    filled = form | {"gate": "warn", "account:acct_operator_payable": "2100"}
    assert reader.post(address, filled).status_code == 403
    assert finance.post(address, filled).status_code == 303
    assert "The account map does not name acct_customer_escrow." in html_of(finance)
    stale = finance.post(
        address, filled | {"idempotency_key": "another", "account:acct_customer_escrow": "1000"}
    )
    assert (stale.status_code, b"FINANCE_ACCOUNT_MAP_CHANGED" in stale.content) == (409, True)

    with tenancy.tenant_scope(TENANT):
        seen = FinanceAccountMap.objects.get().mapping_hash
    filled |= {"seen": seen, "idempotency_key": "third", "account:acct_customer_escrow": "1000"}
    assert finance.post(address, filled).status_code == 303
    csv = b"".join(finance.get(f"{files}/gl-batch.csv"))
    assert csv.decode().startswith("schemaVersion,tenantId,period")
    assert ",2100," in csv.decode()


# --- Programs -------------------------------------------------------------------------------------
def test_a_program_reads_the_page_by_its_header_and_a_bad_one_is_403(books, api):
    page = Client().get(HERE, headers={"x-proxy-ops-token": OPS_TOKEN, "x-proxy-tenant-id": TENANT})
    assert page.status_code == 200
    assert "mismatchQueueBody" in page.content.decode()
    bad = Client().get(HERE, headers={"x-proxy-ops-token": "nonsense", "x-proxy-tenant-id": TENANT})
    assert bad.status_code == 403


def test_a_token_in_the_address_becomes_a_session_and_is_never_printed(books, api, settings):
    settings.OPS_WORKSPACE_QUERY_TOKEN = True
    browser = Client()
    page = browser.get(f"{HERE}&tenantId={TENANT}&opsToken={OPS_TOKEN}")
    assert page.status_code == 200
    assert OPS_TOKEN not in page.content.decode()
    assert page.cookies["sessionid"]["httponly"]
    assert OPS_TOKEN not in str(dict(browser.session))
    assert act(browser, "reconcile").status_code == 303
    assert Client().get(f"{HERE}&opsToken=wrong").status_code == 403

    settings.OPS_TOKENS = {}
    assert browser.get(HERE).status_code == 403
    settings.OPS_WORKSPACE_QUERY_TOKEN = False
    away = Client().get(f"{HERE}&tenantId={TENANT}&opsToken={OPS_TOKEN}")
    assert away.status_code == 303
    assert OPS_TOKEN not in away["location"]


def test_nothing_of_the_page_changes_a_row(books, finance):
    with tenancy.tenant_scope(TENANT):
        before = (Artifact.objects.count(), Mismatch.objects.count(), ReconcileReport.objects.count())
    html_of(finance)
    with tenancy.tenant_scope(TENANT):
        assert before == (Artifact.objects.count(), Mismatch.objects.count(), ReconcileReport.objects.count())
