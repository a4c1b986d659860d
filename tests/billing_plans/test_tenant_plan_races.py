"""PUT /ops/finance/billing/plan by several writers at once: none loses another's update (1.5)."""

import threading

from django.db import connection

from settld.audit.models import OpsAudit
from settld.core import tenancy

PATH = "/ops/finance/billing/plan"
WRITERS = 8


def test_each_writer_starts_from_what_the_one_before_left(live_db, api):
    api.put(PATH, {"plan": "free"})

    def write(limit):
        try:
            api.put(PATH, {"moneyRails": {"dailyPayoutLimitCents": limit}})
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(index + 1,)) for index in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with tenancy.tenant_scope("tenant_a"):
        rows = [row.details for row in OpsAudit.objects.filter(action="BILLING_PLAN_UPSERT").order_by("seq")]
    limits_after = [row["after"]["controls"]["dailyPayoutLimitCents"] for row in rows]
    limits_before = [row["before"]["controls"]["dailyPayoutLimitCents"] for row in rows]
    assert sorted(limits_after[1:]) == list(range(1, WRITERS + 1))
    assert limits_before[1:] == limits_after[:-1]
