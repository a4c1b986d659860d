"""GET /console/reconciliation, its reports and its act; issue 3.3 and money-rails 2.6, 2.7, 6."""

import json
import re

import pytest

from reconciliation.models import ReconcileReport
from settld.artifacts.models import Artifact
from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.core.hashing import artifact_hash
from settld.core.locks import session_advisory
from tests.ops_console.world import PERIOD, login, make_person, page_of, queries_of

PAGE = "/console/reconciliation"


def run(world, **sent):
    answer = world.api.post("/ops/maintenance/money-rails-reconcile/run", sent)
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


@pytest.fixture
def differing(world):
    """A month with a failed payout and one that nobody made; a month that ties out."""
    world.payout("fine", period="2025-12", state="confirmed")
    failed = world.payout("broken", state="failed")
    world.statement("forgotten", cents=4_321)
    run(world)
    return failed


def report_of(world, period):
    with tenancy.tenant_scope(world.tenant_id):
        return ReconcileReport.objects.get(period=period, provider_id="stub_default")


def test_the_matrix_shows_at_one_look_what_ties_out(differing, world, approver):
    page = approver.get(PAGE).content.decode()

    cells = dict(re.findall(r'<th class="tight" scope="row">([\d-]+)</th>(.*?)</tr>', page, re.DOTALL))
    assert list(cells) == [PERIOD, "2025-12"]
    assert "2 differ" in cells[PERIOD]
    assert "Ties out" in cells["2025-12"]
    assert f"/console/reconciliation/reports/{report_of(world, PERIOD).artifact_id}" in cells[PERIOD]


def test_it_shows_the_last_run_item_by_item_and_the_history(differing, world, approver):
    run(world)
    page = approver.get(PAGE).content.decode()

    assert page.count("By hand") == 2
    assert "chart__runtime" in page
    assert "Last run" in page
    assert "Never" not in page


def test_an_empty_tenant_is_told_what_will_come(world, approver):
    page = approver.get(PAGE).content.decode()

    assert "No month with instructions yet" in page
    assert "No run yet" in page
    assert "No report yet" in page


def test_a_report_shows_numbers_groups_and_where_each_row_leads(differing, world, approver):
    report = report_of(world, PERIOD)
    address = f"{PAGE}/reports/{report.artifact_id}"
    page = approver.get(address).content.decode()

    assert "2 differ" in page
    assert report.report_hash in page
    assert "43.21 USD" in page
    assert re.search(r"<b>1</b> Missing operations", page)
    failed = approver.get(f"{address}?group=terminalFailures").content.decode()
    assert f'href="{page_of(differing)}"' in failed
    assert re.search(r'href="/console/mismatches/frt_202601_\w{24}">Open', failed)
    assert "console/evidence/reports" in page


@pytest.mark.parametrize("query", ["group=nonsense&from=-1", "from=99999999999", "group=%00x", "from=x"])
def test_an_address_that_makes_no_sense_shows_the_report(differing, world, approver, query):
    assert approver.get(f"{PAGE}/reports/{report_of(world, PERIOD).artifact_id}?{query}").status_code in (
        200,
        400,
    )


def test_the_artifact_downloads_as_it_was_hashed(differing, world, approver):
    report = report_of(world, PERIOD)
    answer = approver.get(f"{PAGE}/reports/{report.artifact_id}/artifact.json")

    assert answer["content-disposition"] == f'attachment; filename="{report.artifact_id}.json"'
    assert artifact_hash(json.loads(answer.content)) == report.artifact_hash
    with tenancy.tenant_scope(world.tenant_id):
        assert Artifact.objects.get(artifact_id=report.artifact_id).body.encode() == answer.content


def test_another_tenant_finds_neither_report_nor_artifact(differing, world):
    other = login(make_person("other", {"tenant_b": "owner"}))
    address = f"{PAGE}/reports/{report_of(world, PERIOD).artifact_id}"

    assert (other.get(address).status_code, other.get(f"{address}/artifact.json").status_code) == (404, 404)
    assert PERIOD not in other.get(PAGE).content.decode()


def test_an_older_result_leads_to_the_one_that_holds_now(differing, world, approver):
    older = report_of(world, PERIOD)
    world.payout("late", state="failed")
    run(world)
    page = approver.get(f"{PAGE}/reports/{older.artifact_id}").content.decode()

    assert "This is not the newest result" in page


def form_of(page):
    return dict(re.findall(r'name="(idempotency_key|tenant)" value="([^"]*)"', page))


def test_a_run_by_hand_tells_its_outcome_and_runs_once_however_often_it_is_sent(differing, world, finance):
    hidden = form_of(finance.get(f"{PAGE}/run?period={PERIOD}&provider=stub_default").content.decode())
    sent = hidden | {"period": PERIOD, "provider": "stub_default"}

    first = finance.post(f"{PAGE}/run", sent, follow=True)
    again = finance.post(f"{PAGE}/run", sent, follow=True)

    assert "1 comparison with our books: 0 tie out, 1 differ." in first.content.decode()
    assert first.redirect_chain[-1][0].startswith(f"{PAGE}/reports/")
    assert "This form had been sent before" in again.content.decode()
    with tenancy.tenant_scope(world.tenant_id):
        runs = OpsAudit.objects.filter(
            tenant_id=world.tenant_id, action="MAINTENANCE_MONEY_RAIL_RECONCILE_RUN"
        )
        assert runs.count() == 2  # the one over the API before, and this


def test_a_run_while_another_is_at_work_is_refused_on_the_page(world, finance):
    hidden = form_of(finance.get(f"{PAGE}/run").content.decode())
    with session_advisory("settld:maintenance:money_rail_reconcile:v1") as is_ours:
        assert is_ours
        answer = finance.post(f"{PAGE}/run", hidden | {"period": "", "provider": ""})
    assert answer.status_code == 409
    assert b"MAINTENANCE_ALREADY_RUNNING" in answer.content


def test_a_month_that_is_none_is_said_beside_the_field(world, finance):
    hidden = form_of(finance.get(f"{PAGE}/run").content.decode())
    answer = finance.post(f"{PAGE}/run", hidden | {"period": "2026-13", "provider": ""})
    assert answer.status_code == 422
    assert b"Write the month as YYYY-MM." in answer.content


def test_who_only_reads_may_not_run(world, approver):
    assert approver.get(f"{PAGE}/run").status_code == 403
    assert b"Reconcile now" not in approver.get(PAGE).content


def test_queries_do_not_grow_with_reports_and_rows(differing, world, approver):
    page, report = queries_of(approver, PAGE), f"{PAGE}/reports/{report_of(world, PERIOD).artifact_id}"
    one = queries_of(approver, report)
    for number in range(4):
        world.statement(f"lost_{number}")
        run(world)
    with tenancy.tenant_scope(world.tenant_id):
        newest = ReconcileReport.objects.filter(period=PERIOD).order_by("-last_run_at").first()

    assert queries_of(approver, PAGE) == page
    assert queries_of(approver, f"{PAGE}/reports/{newest.artifact_id}") <= one


# --- The provider's side ------------------------------------------------------------------------------
@pytest.fixture
def told(world, settings, monkeypatch):
    """A provider with another amount than was ordered, a transfer nobody knows, and one too many."""
    from reconciliation.services import scheduler, statement_pull
    from settld.core import clock
    from settld.tenants.models import Tenant
    from tests.reconciliation.books import NOW
    from tests.reconciliation.statement import Stripe, StripeBooks, with_stripe

    settings.MONEY_RAILS = with_stripe(settings.MONEY_RAILS)
    stripe = Stripe()
    monkeypatch.setattr(statement_pull, "client", stripe)
    Tenant.objects.get_or_create(tenant_id=world.tenant_id, defaults={"created_at": NOW, "updated_at": NOW})
    books = StripeBooks(world.tenant_id)
    with tenancy.tenant_scope(world.tenant_id), clock.freeze(NOW):
        stripe.pay(books.send("p_amount"), amount=9_000, destination="acct_other")
        stripe.pay(operation := books.send("p_twice"))
        stripe.pay(operation, transfer_id="tr_again")
        stripe.transfer("tr_nobody", metadata={"settld_tenant_id": world.tenant_id})
        scheduler.run(scheduler.Order(tenant_id=world.tenant_id, force=True))
        return {row.period: row for row in ReconcileReport.objects.filter(side="provider")}


def test_the_providers_report_sets_both_sides_beside_each_other(told, approver):
    report = told["2026-02"]
    address = f"{PAGE}/reports/{report.artifact_id}"
    page = approver.get(address).content.decode()

    assert re.search(r"At the provider</span><span class=\"counter__value\">3<", page)
    assert "<b>1</b> Transfer mismatches" in page
    assert "100.00 USD" in page
    assert "90.00 USD" in page
    assert "acct_other" in page
    doubled = approver.get(f"{address}?group=duplicateTransfers").content.decode()
    assert "tr_again" in doubled
    assert "tr_nobody" in approver.get(f"{PAGE}/reports/{told['2026-03'].artifact_id}").content.decode()


def test_its_cases_open_in_the_queue_and_the_matrix_has_both_marks(told, approver):
    address = f"{PAGE}/reports/{told['2026-02'].artifact_id}"
    cases = re.findall(r'href="(/console/mismatches/frt_\w+)"', approver.get(address).content.decode())

    assert cases
    assert approver.get(cases[0]).status_code == 200
    assert approver.get("/console/mismatches").status_code == 200
    page = approver.get(PAGE).content.decode()
    assert page.count('<span class="marks__side">Provider</span>') == 2
    assert "Statement of" in page
