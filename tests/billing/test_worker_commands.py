"""Beat's entries, the tasks behind them, and the command that does the same by hand (9.2)."""

import dataclasses
import datetime as dt
import json

import pytest
from celery import current_app
from django.core.management import CommandError, call_command

from billing import tasks
from billing.models import ReconciliationRun
from billing.services import reconciliation, retention
from billing.states import Scope
from settld.core import tenancy
from settld.maintenance.models import MaintenanceRun
from settld.maintenance.states import GLOBAL
from settld.settings_beat import BILLING_BEAT_SCHEDULE
from tests.billing import factories, payloads
from tests.billing.workers import NOW, fired, frozen, job, owe_expiry, provider

__all__ = ["fired", "provider"]
TASKS = {
    "billing.outbox_tick": (tasks.outbox_tick, 5),
    "billing.remediation_tick": (tasks.remediation_tick, 10),
    "billing.recover_pending": (tasks.recover_pending, 60),
    "billing.gauges": (tasks.measure_gauges, 60),
    "billing.reconcile_due": (tasks.reconcile_due, 300),
    "billing.retention": (tasks.run_retention, 3_600),  # its gate lets one a day through
}
SCOPES = {
    Scope.PENDING_RECENT: 900,
    Scope.CHECKOUT_RECOVERY_VERIFICATION: 600,
    Scope.CHECKOUT_COMPLETED_PENDING: 600,
    Scope.CHECKOUT_OPEN: 1_800,
    Scope.SUBSCRIPTIONS_ACTIVE: 21_600,
    Scope.INVOICES_RECENT: 86_400,
    Scope.PAYMENT_METHODS: 86_400,
}


def off(settings) -> None:
    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=False)


def run(capsys, *arguments: str, **options) -> dict:
    call_command("billing_run", *arguments, **options)
    return json.loads(capsys.readouterr().out)


def test_beat_has_every_loop_as_often_as_the_spec_says():
    plain = {
        entry["task"]: entry["schedule"]
        for entry in BILLING_BEAT_SCHEDULE.values()
        if entry["task"] != "billing.reconcile"
    }
    scopes = {
        entry["kwargs"]["scope"]: entry["schedule"]
        for entry in BILLING_BEAT_SCHEDULE.values()
        if entry["task"] == "billing.reconcile"
    }

    assert plain == {name: seconds for name, (_, seconds) in TASKS.items()}
    assert scopes == {scope.value: seconds for scope, seconds in SCOPES.items()}
    assert {scope: every.total_seconds() for scope, every in reconciliation.EVERY.items()} == SCOPES


@pytest.mark.parametrize("name", [*TASKS, "billing.reconcile"])
def test_every_task_is_known_and_comes_back_when_its_worker_dies(name):
    task = current_app.tasks[name]

    assert task.acks_late
    assert task.time_limit


@pytest.mark.parametrize("name", [*TASKS, "billing.reconcile"])
def test_while_billing_is_off_a_task_does_nothing(db, settings, monkeypatch, provider, name):
    """Neither the database nor the provider is asked for anything."""
    off(settings)
    owe_expiry(factories.workspace_entity())
    options = {"scope": "checkout_open"} if name == "billing.reconcile" else {}
    monkeypatch.setattr(reconciliation, "run", lambda *args, **more: pytest.fail("it ran"))
    monkeypatch.setattr(retention, "run", lambda *args, **more: pytest.fail("it ran"))

    current_app.tasks[name](**options)

    assert provider.asked == provider.wrote == []


@pytest.mark.parametrize("name", [*TASKS, "billing.reconcile"])
def test_a_task_runs_with_nothing_to_do_and_with_a_newer_releases_arguments(db, provider, name):
    options = {"scope": "checkout_open"} if name == "billing.reconcile" else {}

    current_app.tasks[name](**options, surprise=1)


def test_the_outbox_is_worked_off_by_its_tick(db, provider):
    provider.hold(payloads.session(status="open"))
    entity = factories.workspace_entity()
    owe_expiry(entity)

    tasks.outbox_tick()

    assert job(entity).status == "succeeded"


def test_scopes_that_beat_missed_are_run(db, provider):
    """A first start, and a beat that forgot what it did: the rows say what is due."""
    with frozen():
        tasks.reconcile_due()
        ran = ReconciliationRun.objects.count()
        tasks.reconcile_due()
    again = ReconciliationRun.objects.count()
    with frozen(minutes=10):
        tasks.reconcile_due()
    later = list(ReconciliationRun.objects.order_by("id").values_list("scope", flat=True))[again:]

    assert ran == again == len(Scope)
    assert later == [Scope.CHECKOUT_RECOVERY_VERIFICATION, Scope.CHECKOUT_COMPLETED_PENDING]


def test_retention_runs_once_a_day_and_leaves_its_history(db):
    with frozen():
        tasks.run_retention()
        tasks.run_retention()
    with frozen(hours=23, minutes=59):
        tasks.run_retention()
    with frozen(hours=24):
        tasks.run_retention()

    with tenancy.tenant_scope(GLOBAL):
        rows = MaintenanceRun.objects.filter(kind="billing_retention").order_by("started_at")
        assert [(row.outcome, row.started_at) for row in rows] == [
            ("ok", NOW),
            ("ok", NOW + dt.timedelta(days=1)),
        ]


# --- The command ----------------------------------------------------------------------------------------
def test_the_command_works_the_outbox_off(db, provider, capsys):
    provider.hold(payloads.session(status="open"))
    entity = factories.workspace_entity()
    owe_expiry(entity)

    assert run(capsys, "outbox", "--limit", "1") == {"work": "outbox", "tried": 1}
    assert job(entity).status == "succeeded"


@pytest.mark.parametrize("scope", Scope)
def test_the_command_runs_each_scope(db, provider, capsys, scope):
    told = run(capsys, "reconcile", "--scope", scope.value)

    assert (told["scope"], told["status"], told["dryRun"]) == (scope.value, "succeeded", False)


@pytest.mark.parametrize("work", ["remediation", "recover", "gauges", "retention"])
def test_the_command_does_everything_else(db, provider, capsys, work):
    assert run(capsys, work)["work"] == work


def test_the_command_has_a_dry_run(db, provider, capsys):
    assert run(capsys, "retention", "--dry-run")["dryRun"] is True
    assert run(capsys, "reconcile", "--scope", "checkout_open", "--dry-run")["dryRun"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ("outbox", "--dry-run"),
        ("outbox", "--limit", "0"),
        ("outbox", "--scope", "checkout_open"),
        ("reconcile",),
        ("reconcile", "--scope", "everything"),
        ("everything",),
    ],
)
def test_the_command_refuses_what_makes_no_sense(db, provider, arguments):
    with pytest.raises(CommandError):
        call_command("billing_run", *arguments)


def test_the_command_does_nothing_while_billing_is_off(db, settings):
    off(settings)
    with pytest.raises(CommandError, match="BILLING_ENABLED"):
        call_command("billing_run", "outbox")


def test_a_run_that_failed_is_an_error_of_the_command(db, provider, capsys):
    """So that a scheduler outside notices; the figures are printed all the same."""
    plan = factories.plan()
    for number in range(7):
        entity = factories.workspace_entity(f"tenant_{number}")
        factories.subscription(entity, plan, factories.customer(entity, f"cus_{number}"), f"sub_{number}")

    with pytest.raises(CommandError, match="missing_rate_exceeded"):
        call_command("billing_run", "reconcile", "--scope", "subscriptions_active")

    assert json.loads(capsys.readouterr().out)["missing"] == 7
