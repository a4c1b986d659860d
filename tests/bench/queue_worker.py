"""Measure the mismatch queue of one tenant in the product's own settings; prints one line of JSON."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import django

ROUNDS = 15


def main(tenant_id: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settld.settings")
    django.setup()
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["*"]
    from django.db import connection, transaction
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from reconciliation.queries import case_counts, case_queue
    from reconciliation.queries.case_queue import CaseFilter, Place
    from settld.core import clock, tenancy
    from settld.core.principals import Actor
    from settld.tenants.models import User
    from settld.tenants.services import memberships, tenants

    def bare() -> None:
        """The least that anybody could ask: the partial index's own order, one transaction, one statement."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT * FROM mismatch WHERE tenant_id = %s AND cleared_at IS NULL"
                " AND (resolved_at IS NULL OR (resolved_at IS NOT NULL AND NOT (triage_mismatch_hash = '')"
                " AND NOT (triage_mismatch_hash = mismatch_hash)))"
                " ORDER BY severity_rank, first_seen_at, id LIMIT 51",
                [tenant_id],
            )
            cursor.fetchall()

    wanted = CaseFilter()
    with tenancy.tenant_scope(tenant_id):
        page = case_queue.page(tenant_id=tenant_id, wanted=wanted)
        first = page.rows[0]
        deep = Place(3, first.first_seen_at, first.id)
        found = {
            "floor": _median(bare),
            "first_page": _median(lambda: case_queue.page(tenant_id=tenant_id, wanted=wanted)),
            "deep_page": _median(lambda: case_queue.page(tenant_id=tenant_id, wanted=wanted, place=deep)),
            "counts": _median(lambda: case_counts.counts(tenant_id=tenant_id, wanted=wanted)),
        }
    now = clock.now()
    user = User.objects.create_user(username=f"bench_{tenant_id}", password=None)
    tenants.ensure(tenant_id=tenant_id, source="bench", now=now)
    memberships.upsert(tenant_id=tenant_id, user=user, role="finance", actor=Actor.system("bench"), now=now)
    client = Client(headers={"host": "localhost"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    def console() -> None:
        answer = client.get("/console/mismatches")
        if answer.status_code != 200:
            raise RuntimeError(f"the console answered {answer.status_code}")

    found["console"] = _median(console)
    with CaptureQueriesContext(connection) as captured:
        console()
    print(json.dumps(found | {"console_queries": len(captured.captured_queries)}))


def _median(work: Callable[[], object]) -> float:
    """Give the median in milliseconds, after two rounds that only warm up."""
    taken = []
    for number in range(ROUNDS + 2):
        started = time.perf_counter()
        work()
        if number >= 2:
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


if __name__ == "__main__":
    main(sys.argv[1])
