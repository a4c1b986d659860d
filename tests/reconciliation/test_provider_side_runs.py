"""money-rails 6 and issue 3.3: runs read the statement, compare with it, and survive its faults."""

import datetime as dt

import pytest

from reconciliation.models import Mismatch, ProviderPeriod
from reconciliation.services import scheduler, turns
from settld.core import clock, tenancy
from tests.reconciliation.books import NOW, PERIOD, TENANT
from tests.reconciliation.statement import STRIPE
from tests.support.api import OPS_TOKEN, SCOPES, Api, body

MINUTE = dt.timedelta(minutes=1)


def run(now=NOW, **order):
    with clock.freeze(now):
        return scheduler.run(scheduler.Order(force=True, **order))


def test_a_run_reads_the_statement_and_reports_beside_the_specs_results(paid, stripe):
    stripe.pay(paid.send("p1"))
    result = run(tenant_id=TENANT)

    assert result["providerSide"]["statement"] == {"status": "ok", "complete": True, "code": None}
    (row,) = result["providerSide"]["results"]
    assert (row["period"], row["providerId"], row["status"]) == (PERIOD, STRIPE, "pass")
    assert row["artifactId"].startswith("money_rail_provider_reconcile_")
    assert (result["summary"]["attempted"], len(result["results"])) == (2, 2)


def test_a_tenant_sees_nothing_of_the_statement_that_is_others_2_8(paid, stripe):
    """How many lines came in, and what the provider said of a place in its list, concern every tenant."""
    from settld.maintenance.models import MaintenanceState

    stripe.pay(paid.send("p1"))
    result = run()

    assert result["providerSide"]["statement"]["newLines"] == 1
    told = MaintenanceState.objects.get(tenant_id=TENANT, kind="money_rails_reconcile").last_result
    assert told["providerSide"]["statement"] == {"status": "ok", "complete": True, "code": None}


def test_a_provider_that_is_down_fails_no_run(paid, stripe):
    stripe.pay(paid.send("p1"))
    stripe.fails_at = 1
    result = run(tenant_id=TENANT)

    assert (result["ok"], result["summary"]["errored"]) == (True, 0)
    assert result["providerSide"]["statement"]["status"] == "error"
    assert [row["status"] for row in result["providerSide"]["results"]] == ["not_read"]


@pytest.mark.parametrize("news", ["reversal", "second transfer"])
def test_what_is_seen_of_an_old_month_within_the_lag_is_judged_after_it(paid, stripe, news):
    """Runs come quicker than the lag is long: the first one that sees it must not be the last one to look."""
    old = paid.send("p_old", period="2025-03")
    transfer = stripe.pay(old)
    for period in ("2026-01", PERIOD):
        stripe.pay(paid.send(f"p_{period}", period=period))
    run()
    run(NOW + 30 * MINUTE)
    happened = NOW + 40 * MINUTE
    if news == "reversal":
        stripe.reverse(transfer, amount=10_000, at=happened)
    else:
        stripe.pay(old, transfer_id="tr_second", at=happened)

    run(happened + MINUTE)
    assert not Mismatch.objects.filter(source_type="provider_statement").exists()
    run(happened + 16 * MINUTE)
    case = Mismatch.objects.get(source_type="provider_statement")
    assert (case.period, case.mismatch_type) == (
        "2025-03", "unrecorded_reversal" if news == "reversal" else "duplicate_transfer",
    )  # fmt: skip


def test_a_transfer_noted_in_an_old_month_that_the_provider_lacks_is_found_without_being_asked(paid, stripe):
    """It has no line that could count its month on: a false event, or a settlement by words alone."""
    for period in ("2026-01", PERIOD):
        stripe.pay(paid.send(f"p_{period}", period=period))
    run()
    paid.send("p_old", period="2025-03")

    result = run(NOW + 40 * MINUTE)

    assert "2025-03" in {row["period"] for row in result["providerSide"]["results"]}
    case = Mismatch.objects.get(source_type="provider_statement")
    assert (case.period, case.mismatch_type) == ("2025-03", "missing_transfer")
    quiet = run(NOW + 80 * MINUTE)
    assert "2025-03" not in {row["period"] for row in quiet["providerSide"]["results"]}


def test_months_that_somebody_only_asked_about_take_nobodys_turn(paid, stripe):
    from tests.reconciliation.statement import compare, pull

    stripe.pay(paid.send("p1"))
    pull()
    for period in ("9999-11", "9999-12"):
        compare(period=period, persist=True)
    with clock.freeze(NOW):
        due = turns.statement_subjects(tenant_id=TENANT, providers=[STRIPE], limit=2)
    assert due == {(PERIOD, STRIPE)}


def test_an_old_months_transfer_that_changes_is_compared_again_without_being_asked(paid, stripe):
    transfer = stripe.pay(paid.send("p_old", period="2025-03"))
    for period in ("2026-01", PERIOD):
        stripe.pay(paid.send(f"p_{period}", period=period))
    run(tenant_id=TENANT)
    run(NOW + 30 * MINUTE, tenant_id=TENANT)
    quiet = run(NOW + 31 * MINUTE, tenant_id=TENANT)
    assert {row["period"] for row in quiet["providerSide"]["results"]} == {"2026-01", PERIOD}

    stripe.reverse(transfer, amount=10_000)
    found = run(NOW + 32 * MINUTE, tenant_id=TENANT)

    old = [row for row in found["providerSide"]["results"] if row["period"] == "2025-03"]
    assert [row["status"] for row in old] == ["fail"]
    assert Mismatch.objects.get(source_type="provider_statement").mismatch_type == "unrecorded_reversal"


def test_a_line_filed_while_a_comparison_runs_is_compared_by_the_next(paid, stripe):
    stripe.pay(paid.send("p1"))
    run(tenant_id=TENANT)
    run(NOW + 30 * MINUTE, tenant_id=TENANT)
    subject = ProviderPeriod.objects.get()
    assert (subject.revision, subject.compared_revision) == (1, 1)
    ProviderPeriod.objects.update(revision=2)  # as a pull beside it would

    with clock.freeze(NOW + 30 * MINUTE):
        due = turns.statement_subjects(tenant_id=TENANT, providers=[STRIPE], limit=0)
    assert due == {(PERIOD, STRIPE)}


def test_a_month_that_only_the_provider_knows_is_compared_too(paid, stripe):
    stripe.transfer("tr_stranger", metadata={"settld_tenant_id": TENANT})
    result = run(tenant_id=TENANT)

    assert result["results"][0]["reason"] == "no_payout_instruction"
    (row,) = result["providerSide"]["results"]
    assert (row["period"], row["status"]) == ("2026-03", "fail")


def test_it_can_be_left_out(paid, stripe):
    paid.send("p1")
    assert "providerSide" not in run(tenant_id=TENANT, with_provider_side=False)
    assert stripe.calls == 0


@pytest.fixture
def api(settings):
    settings.OPS_TOKENS = {OPS_TOKEN: SCOPES}
    return Api(TENANT)


def test_the_route_shows_the_providers_side_only_when_asked(paid, stripe, api):
    operation = paid.send("p1")
    path = f"/ops/finance/money-rails/reconcile?period={PERIOD}&providerId={STRIPE}"
    plain = body(api.get(path))
    assert "providerSide" not in plain
    assert body(api.get(f"{path}&providerSide=1"))["providerSide"]["status"] == "not_read"
    run(tenant_id=TENANT)

    with clock.freeze(NOW):
        asked = body(api.get(f"{path}&providerSide=yes&persist=1"))

    assert {name: asked[name] for name in ("status", "reportHash", "summary", "mismatches")} == {
        name: plain[name] for name in ("status", "reportHash", "summary", "mismatches")
    }
    side = asked["providerSide"]
    assert (side["status"], side["summary"]["mismatchCount"]) == ("fail", 1)
    assert side["triageQueue"][0]["mismatchKey"] == operation.operation_id
    assert side["triageQueue"][0]["sourceType"] == "provider_statement"
    assert side["triageSummary"]["unresolved"] == 1
    assert side["coverage"]["readAt"] is not None
    stored = body(api.get(f"/artifacts/{side['artifact']['artifactId']}"))["artifact"]
    assert (stored["artifactType"], stored["reportHash"]) == (
        "MoneyRailProviderReconcileReport.v1", side["reportHash"],
    )  # fmt: skip
    assert api.get(f"{path}&providerSide=maybe").status_code == 400


def test_the_route_of_a_provider_without_a_statement_says_so(paid, api):
    side = body(api.get(f"/ops/finance/money-rails/reconcile?period={PERIOD}&providerSide=1"))["providerSide"]
    assert (side["status"], side["reportHash"], side["mismatches"]) == ("unsupported", None, None)


def test_another_tenants_lines_are_not_seen(paid, stripe, api):
    stripe.transfer("tr_theirs", metadata={"settld_tenant_id": TENANT})
    run(tenant_id=TENANT)
    with tenancy.tenant_scope("tenant_else"), clock.freeze(NOW):
        path = f"/ops/finance/money-rails/reconcile?period=2026-03&providerId={STRIPE}&providerSide=1"
        side = body(api.as_tenant("tenant_else").get(path))["providerSide"]
    assert (side["status"], side["summary"]["transferCount"]) == ("pass", 0)


def test_metrics_tell_how_fresh_the_statement_is(paid, stripe):
    from reconciliation import gauges

    stripe.fails_at = 1
    run(tenant_id=TENANT)
    broken = {(one.name, one.labels["kind"]): one.value for one in gauges.samples()}
    assert broken == {("provider_statement_broken_gauge", "transfers"): 1.0}
    run(NOW + MINUTE, tenant_id=TENANT)

    read = {(one.name, one.labels["kind"]): one.value for one in gauges.samples()}
    assert read[("provider_statement_broken_gauge", "transfers")] == 0.0
    assert read[("provider_statement_read_unixtime", "transfers")] == NOW.timestamp()
    assert ("provider_statement_read_unixtime", "reversals") in read
