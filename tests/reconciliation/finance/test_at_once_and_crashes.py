"""finance 6.1.5, 6.3.2: runs beside each other, a reopen in the middle, and a process that dies."""

import threading

import pytest

from reconciliation.models import Mismatch, ReconcileReport
from reconciliation.queries import finance_inputs
from reconciliation.services import finance_report
from settld.artifacts.models import Artifact
from settld.core import failpoints, tenancy
from tests.reconciliation.finance.month import (
    TENANT,
    batch_id,
    close_month,
    post,
    reconcile,
    reopen,
    rewrite,
)
from tests.reconciliation.test_runs_at_once import at_once


class Died(BaseException):
    """What no code of ours catches."""


def dying_at(name):
    def visitor(point):
        if point == name:
            raise Died

    return visitor


def test_two_runs_at_once_store_one_report_and_one_case(live_closed):
    rewrite(batch_id(), lambda content: content.update(schemaVersion="x"), resealed=True)

    def run(_number):
        with tenancy.tenant_scope(TENANT):
            return reconcile(persist=True).artifact

    assert len(set(at_once(run, count=4))) == 1
    assert ReconcileReport.objects.filter(side="finance").count() == 1
    assert Mismatch.objects.filter(tenant_id=TENANT).count() == 1


def test_a_look_is_of_one_instant_although_the_month_is_closed_anew_in_its_middle(live_closed, monkeypatch):
    """The rival reopens, corrects and closes the month between our two reads."""
    before = reconcile()
    plain, rivals = finance_inputs.ledger_figures, []

    def rival():
        from django.db import connections

        with tenancy.tenant_scope(TENANT):
            reopen()
            post("jnl_late", 55)
            close_month()
        connections.close_all()

    def slow(**named):
        if not rivals:
            rivals.append(threading.Thread(target=rival))
            rivals[0].start()
            rivals[0].join(30)
        return plain(**named)

    monkeypatch.setattr(finance_inputs, "ledger_figures", slow)
    during = reconcile()

    assert rivals
    assert during.core == before.core
    assert during.inputs == before.inputs
    after = reconcile()
    assert after.core["ok"]
    assert after.core["entryCount"] == 3


def test_a_reopen_waits_for_a_run_that_persists_so_that_it_is_of_one_generation(live_closed, monkeypatch):
    plain, order = finance_inputs.ledger_figures, []

    def rival():
        from django.db import connections

        with tenancy.tenant_scope(TENANT):
            reopen()
        order.append("reopened")
        connections.close_all()

    thread = threading.Thread(target=rival)

    def slow(**named):
        thread.start()
        thread.join(0.3)  # it cannot: the month's row is ours until we commit
        order.append("compared")
        return plain(**named)

    monkeypatch.setattr(finance_inputs, "ledger_figures", slow)
    report = reconcile(persist=True)
    thread.join(30)

    assert order == ["compared", "reopened"]
    assert report.core["ok"]
    monkeypatch.undo()
    with pytest.raises(finance_report.BatchNotFound):
        reconcile()


@pytest.mark.parametrize(
    ("point", "is_kept"),
    [("finance_reconcile.before_commit", False), ("finance_reconcile.after_commit", True)],
)
def test_a_run_that_dies_has_left_all_or_nothing_and_is_repeated(live_closed, point, is_kept):
    rewrite(batch_id(), lambda content: content.update(schemaVersion="x"), resealed=True)
    with failpoints.watched(dying_at(point)), pytest.raises(Died):
        reconcile(persist=True)

    stored = Artifact.objects.filter(artifact_type="ReconcileReport.v1")
    assert (stored.exists(), Mismatch.objects.exists()) == (is_kept, is_kept)
    again = reconcile(persist=True)
    assert stored.get().artifact_id == again.artifact.artifact_id
    assert Mismatch.objects.count() == 1
