"""money-rails 6: `manage.py moneyrails_tick --once` reconciles too."""

import json

import pytest
from django.core.management import CommandError, call_command

from reconciliation.models import ReconcileReport
from settld.core import tenancy
from settld.core.locks import session_advisory
from settld.tenants.models import Tenant
from tests.reconciliation.books import NOW, TENANT, Books


@pytest.fixture
def tick(db, capsys):
    Tenant.objects.create(tenant_id=TENANT, created_at=NOW, updated_at=NOW)
    with tenancy.tenant_scope(TENANT):
        Books().pay("p1")

    def run(*options):
        call_command("moneyrails_tick", "--once", *options)
        return json.loads(capsys.readouterr().out)["reconciliation"]

    return run


def test_it_reconciles_once_an_interval_unless_forced(tick):
    first = tick()
    assert (first["ok"], first["summary"]["reconciled"], first["summary"]["tenantCount"]) == (True, 1, 2)
    with tenancy.tenant_scope(TENANT):
        assert ReconcileReport.objects.get().status == "pass"
    assert tick()["reason"] == "interval_not_elapsed"
    assert tick("--force")["summary"]["reconciled"] == 1


def test_it_tells_that_a_run_is_at_work(tick):
    with session_advisory("settld:maintenance:money_rail_reconcile:v1") as is_ours:
        assert is_ours
        assert tick() == {"ok": False, "code": "MAINTENANCE_ALREADY_RUNNING"}


def test_it_wants_to_be_told_once(db):
    with pytest.raises(CommandError):
        call_command("moneyrails_tick")
