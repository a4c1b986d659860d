"""`manage.py metering_check`: counters are what events add up to, and events what was hashed."""

import datetime as dt
import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from settld.core import tenancy
from settld.metering.services import usage

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
FORGED = (
    "INSERT INTO billing_usage_event (id, tenant_id, event_key, event_type, period, occurred_at, quantity,"
    " source_type, source_id, event_hash, created_at) VALUES (gen_random_uuid(), 'tenant_a', 'k',"
    " 'verified_run', '2026-03', '2026-03-10T12:00:00Z', 1, 'agent_run_event', 's', repeat('a', 64), now())"
)


@pytest.fixture(autouse=True)
def _used(db):
    with tenancy.tenant_scope("tenant_a"):
        for currency in ("USD", "JPY"):
            usage.record_settled_volume(
                tenant_id="tenant_a", run_id="run_1", settlement_id=f"setl_{currency}",
                resolution_event_id="ev", released_cents=5, currency=currency,
                source_type="agent_run_settlement", now=NOW,
            )  # fmt: skip


def check():
    out = StringIO()
    try:
        call_command("metering_check", stdout=out)
        code = 0
    except SystemExit as end:
        code = end.code
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def raw(query):
    with tenancy.tenant_scope("tenant_a"), connection.cursor() as cursor:
        cursor.execute(query)


def test_what_was_recorded_adds_up():
    assert check() == (0, [{"ok": True, "tenants": 1, "problems": 0}])


def test_a_counter_that_was_changed_is_named():
    raw("UPDATE billing_usage_counter SET quantity = 3")

    code, (problem, _) = check()

    assert code == 2
    assert problem == {
        "problem": "usage_counter_differs", "tenantId": "tenant_a", "period": "2026-03",
        "eventType": "settled_volume", "kept": {"eventCount": 2, "quantity": 3, "amountCents": 5},
        "events": {"eventCount": 2, "quantity": 2, "amountCents": 5},
    }  # fmt: skip


def test_an_event_that_nobody_hashed_or_counted_is_named():
    raw(FORGED)

    _, (counter, event, _) = check()

    assert (counter["eventType"], counter["kept"]["quantity"]) == ("verified_run", 0)
    assert event == {"problem": "usage_event_changed", "tenantId": "tenant_a", "eventKey": "k"}
