"""money-rails 2.7: POST /ops/maintenance/money-rails-reconcile/run."""

import pytest

from reconciliation.models import ReconcileReport
from reconciliation.services import scheduler
from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.core.locks import session_advisory
from settld.maintenance.models import MaintenanceState
from tests.reconciliation.books import PERIOD, TENANT, Books
from tests.support.api import OPS_TOKEN, SCOPES, Api, body, refusal

PATH = "/ops/maintenance/money-rails-reconcile/run"


@pytest.fixture
def api(db, settings):
    settings.OPS_TOKENS = {
        OPS_TOKEN: SCOPES,
        "tok_ops": frozenset({"ops_write"}),
        "tok_finance": frozenset({"finance_write"}),
        "tok_reads": frozenset({"ops_read", "finance_read", "audit_read"}),
    }
    with tenancy.tenant_scope(TENANT):
        Books().instruct(Books().statement("p1"))
    return Api(TENANT)


def audits():
    with tenancy.tenant_scope(TENANT):
        rows = OpsAudit.objects.filter(tenant_id=TENANT, action=scheduler.ACTION).order_by("id")
        return [row.details for row in rows]


def test_it_reconciles_the_callers_tenant_and_audits_once(api):
    answer = api.post(PATH, {})

    result = body(answer)
    assert answer.status_code == 200
    assert set(result) == {"ok", "period", "providerId", "runtimeMs", "summary", "results"}
    assert (result["ok"], result["period"], result["providerId"]) == (True, None, None)
    assert result["summary"] == {
        "tenantCount": 1, "attempted": 1, "reconciled": 1, "passCount": 0, "failCount": 1,
        "skippedNoInputs": 0, "errored": 0, "artifactsPersisted": 1, "deliveriesCreated": 0,
    }  # fmt: skip
    (audit,) = audits()
    assert audit == {
        "path": PATH, "outcome": "ok", "scope": "tenant", "period": None, "providerId": None, "force": True,
        "maxTenants": 50, "maxPeriodsPerTenant": 2, "maxProvidersPerTenant": 10,
        "runtimeMs": audit["runtimeMs"], "summary": result["summary"], "code": None,
    }  # fmt: skip
    with tenancy.tenant_scope(TENANT):
        assert ReconcileReport.objects.get().period == PERIOD
    status = body(api.get("/ops/status"))["maintenance"]["moneyRailReconciliation"]
    assert (status["outcome"], status["lastResult"]["results"]) == ("ok", result["results"])


@pytest.mark.parametrize("token", ["tok_ops", "tok_finance"])
def test_ops_or_finance_writers_may_run_it(api, token):
    assert api.with_token(token).post(PATH, {"period": PERIOD}).status_code == 200


def test_readers_may_not(api):
    assert refusal(api.with_token("tok_reads").post(PATH, {})) == (403, "FORBIDDEN")
    assert audits() == []


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"maxTenants": 0}, "invalid maxTenants"),
        ({"maxTenants": "-1"}, "invalid maxTenants"),
        ({"maxTenants": True}, "invalid maxTenants"),
        ({"maxPeriodsPerTenant": 1.5}, "invalid maxPeriodsPerTenant"),
        ({"maxPeriods": "x"}, "invalid maxPeriods"),
        ({"maxProviders": 0}, "invalid maxProviders"),
        ({"maxProvidersPerTenant": []}, "invalid maxProvidersPerTenant"),
        ({"period": "2026-13"}, "invalid period"),
        ({"period": "2026-01", "month": "2026-02"}, "invalid period"),
        ({"force": "true"}, "force must be a boolean"),
        ({"providerId": 5}, "providerId must be a string"),
    ],
)
def test_a_faulty_body_is_refused_and_not_audited(api, sent, error):
    answer = api.post(PATH, sent)
    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == error
    assert audits() == []


def test_limits_are_clamped_and_have_aliases(api):
    api.post(PATH, {"maxTenants": 5000, "maxPeriods": "9" * 40, "maxProviders": 1000, "month": PERIOD})
    (audit,) = audits()
    assert (audit["maxTenants"], audit["maxPeriodsPerTenant"], audit["maxProvidersPerTenant"]) == (
        1000,
        24,
        200,
    )
    assert audit["period"] == PERIOD


def test_a8_a_second_run_at_once_is_409_and_audited(api):
    with session_advisory("settld:maintenance:money_rail_reconcile:v1") as is_ours:
        assert is_ours
        answer = api.post(PATH, {})
    assert refusal(answer) == (409, "MAINTENANCE_ALREADY_RUNNING")
    assert body(answer)["error"] == "maintenance already running"
    (audit,) = audits()
    assert (audit["outcome"], audit["code"]) == ("already_running", "MAINTENANCE_ALREADY_RUNNING")
    with tenancy.tenant_scope(TENANT):
        assert not MaintenanceState.objects.filter(tenant_id=TENANT).exists()


def test_a_run_that_is_not_due_is_told_so_and_audited(api):
    api.post(PATH, {})
    answer = body(api.post(PATH, {"force": False}))
    assert (answer["ok"], answer["skipped"], answer["reason"]) == (True, True, "interval_not_elapsed")
    assert answer["nextEligibleAt"] > "2026"
    assert [audit["outcome"] for audit in audits()] == ["ok", "ok"]


def test_disabled_is_told_and_audited_even_with_force(api, settings):
    settings.MONEY_RAIL_RECONCILE = {**settings.MONEY_RAIL_RECONCILE, "enabled": False}
    answer = body(api.post(PATH, {"force": True}))
    assert (answer["skipped"], answer["reason"], answer["results"]) == (True, "disabled", [])
    assert len(audits()) == 1


def test_a_run_that_breaks_is_500_and_audited(api, monkeypatch):
    def broken(*_arguments, **_more):
        raise ValueError("unforeseen")

    monkeypatch.setattr(scheduler, "_cover", broken)
    assert refusal(api.post(PATH, {})) == (500, "MAINTENANCE_RUN_FAILED")
    assert [audit["outcome"] for audit in audits()] == ["error"]


def test_without_its_audit_a_run_is_500(api, monkeypatch):
    from settld.audit import services
    from settld.audit.services.append import AuditLogFailed

    def broken(**_row):
        raise AuditLogFailed()

    monkeypatch.setattr(services, "append_now", broken)
    assert refusal(api.post(PATH, {})) == (500, "AUDIT_LOG_FAILED")
