"""Persisting runs over one subject follow one another."""

import threading

from reconciliation.models import Mismatch, ReconcileReport
from settld.core import tenancy
from tests.reconciliation.books import TENANT, Books


def test_runs_at_once_store_one_report_and_one_case(live_db):
    with tenancy.tenant_scope(TENANT):
        Books().instruct(Books().statement("p1"))
    reports, problems = [], []

    def run():
        from django.db import connections

        try:
            with tenancy.tenant_scope(TENANT):
                reports.append(Books().reconcile(persist=True).artifact)
        except Exception as problem:  # a thread's failure must reach the test
            problems.append(problem)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert len(set(reports)) == 1
    with tenancy.tenant_scope(TENANT):
        assert (ReconcileReport.objects.count(), Mismatch.objects.count()) == (1, 1)
