"""Recording billable use (settld-billing-and-finance 2.1)."""

import datetime as dt

import pytest
from django.db import DatabaseError, connection, transaction
from prometheus_client import REGISTRY

from settld.core import tenancy, transactions
from settld.core.hashing import canonical_hash
from settld.metering import queries
from settld.metering.models import UsageCounter, UsageEvent
from settld.metering.services import usage
from tests.support.api import body, refusal

NOW = dt.datetime(2026, 3, 10, 12, 0, 0, 123000, tzinfo=dt.UTC)
TENANT = "tenant_a"
PATH = "/ops/finance/billable-events"


@pytest.fixture(autouse=True)
def _scope(db):
    with tenancy.tenant_scope(TENANT):
        yield


def volume(settlement="setl_1", event="ev_1", cents=500, currency="USD", *, now=NOW, **more):
    return usage.record_settled_volume(
        tenant_id=TENANT, run_id="run_1", settlement_id=settlement, resolution_event_id=event,
        released_cents=cents, currency=currency, source_type="agent_run_settlement", now=now, **more,
    )  # fmt: skip


def case(case_id="case_1", *, source_type="arbitration_case", **more):
    return usage.record_arbitration_usage(
        tenant_id=TENANT, case_id=case_id, run_id="run_1", dispute_id="dsp_1", source_type=source_type,
        now=NOW, **more,
    )  # fmt: skip


def counters():
    return {
        row.event_type: (row.event_count, row.quantity, row.amount_cents)
        for row in UsageCounter.objects.filter(tenant_id=TENANT, period="2026-03")
    }


def test_each_kind_has_its_key_its_source_and_its_counter(settings):
    usage.record_verified_run(
        tenant_id=TENANT, run_id="run_1", run_event_id="ev_9", settlement_id="setl_1", now=NOW
    )
    volume(cents=500)
    volume(settlement=None, event="ev_2", cents=0)
    case()

    assert {(row.event_key, row.source_type, row.source_id, row.source_event_id) for row in rows()} == {
        ("verified_run:run_1:ev_9", "agent_run_event", "run_1", "ev_9"),
        ("settled_volume:setl_1:ev_1", "agent_run_settlement", "setl_1", "ev_1"),
        ("settled_volume:run_1:ev_2", "agent_run_settlement", "run_1", "ev_2"),
        ("arbitration_usage:case_1:case", "arbitration_case", "case_1", None),
    }
    assert counters() == {
        "verified_run": (1, 1, 0),
        "settled_volume": (2, 2, 500),
        "arbitration_usage": (1, 1, 0),
    }


def rows():
    return list(UsageEvent.objects.filter(tenant_id=TENANT))


def test_the_hash_covers_every_member_null_where_unknown(api):
    volume(settlement=None, cents=0, currency="JPY")

    (event,) = body(api.get(PATH))["events"]

    created_at, event_hash = event.pop("createdAt"), event.pop("eventHash")
    assert event == {
        "schemaVersion": "BillableUsageEvent.v1", "tenantId": TENANT,
        "eventKey": "settled_volume:run_1:ev_1", "eventType": "settled_volume", "period": "2026-03",
        "occurredAt": "2026-03-10T12:00:00.123Z", "quantity": 1, "amountCents": 0, "currency": "JPY",
        "runId": "run_1", "settlementId": None, "disputeId": None, "arbitrationCaseId": None,
        "sourceType": "agent_run_settlement", "sourceId": "run_1", "sourceEventId": "ev_1", "audit": None,
    }  # fmt: skip
    assert event_hash == canonical_hash(event)
    assert created_at == "2026-03-10T12:00:00.123Z"


def test_a_repeat_keeps_the_first_and_counts_once():
    first, again = volume(cents=500), volume(cents=500)

    assert (first.is_new, again.is_new) == (True, False)
    assert [row.amount_cents for row in rows()] == [500]
    assert counters() == {"settled_volume": (1, 1, 500)}


def conflicts(event_type):
    name = "billable_usage_event_conflicts_total"
    return REGISTRY.get_sample_value(name, {"event_type": event_type}) or 0


def test_other_content_under_a_key_is_counted_and_is_no_error():
    case()
    before = conflicts("arbitration_usage")

    verdict = case(source_type="arbitration_verdict", verdict_id="verdict_1")
    same = case()

    assert (verdict.is_new, same.is_new) == (False, False)
    assert conflicts("arbitration_usage") - before == 1
    assert [row.source_type for row in rows()] == ["arbitration_case"]
    assert counters() == {"arbitration_usage": (1, 1, 0)}


def test_event_and_counter_vanish_with_the_state_change_they_bill():
    """The peer emits after the commit, best effort, and loses revenue in a crash (2.1.2)."""

    class Crash(Exception):
        pass

    with pytest.raises(Crash), transactions.atomic():
        assert volume().is_new
        raise Crash

    assert (rows(), counters()) == ([], {})
    assert volume().is_new


def test_the_month_is_that_of_the_instant_in_utc():
    almost = dt.datetime(2026, 4, 1, 1, 59, 59, 999000, tzinfo=dt.timezone(dt.timedelta(hours=2)))

    volume(event="late", now=almost)
    volume(event="next", now=almost + dt.timedelta(milliseconds=1))

    assert {row.source_event_id: row.period for row in rows()} == {"late": "2026-03", "next": "2026-04"}


INSERT = (
    "INSERT INTO billing_usage_event (id, tenant_id, event_key, event_type, period, occurred_at, quantity,"
    " amount_cents, currency, source_type, source_id, event_hash, created_at)"
    " VALUES (gen_random_uuid(), 'tenant_a', 'k', {type}, {period}, '2026-03-31T23:59:59Z', {quantity},"
    " {amount}, {currency}, {source}, 's', repeat('a', 64), now())"
)
GOOD = {
    "type": "'verified_run'", "period": "'2026-03'", "quantity": "1", "amount": "NULL", "currency": "NULL",
    "source": "'agent_run_event'",
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({}, None),
        ({"quantity": "0"}, "billing_usage_event_quantity"),
        ({"amount": "-1"}, "billing_usage_event_amount"),
        ({"period": "'2026-04'"}, "billing_usage_event_period"),
        ({"currency": "'usd'"}, "billing_usage_event_currency"),
        ({"type": "'coffee'"}, "billing_usage_event_type"),
        ({"source": "'guess'"}, "billing_usage_event_source"),
    ],
)
def test_the_database_refuses_what_no_event_can_be(wrong, constraint):
    query = INSERT.format(**GOOD | wrong)
    with connection.cursor() as cursor:
        if constraint is None:
            cursor.execute(query)
            return
        with pytest.raises(DatabaseError, match=constraint), transaction.atomic():
            cursor.execute(query)


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE billing_usage_event SET quantity = 2",
        "DELETE FROM billing_usage_event",
        "DELETE FROM billing_usage_counter",
        "UPDATE billing_usage_counter SET quantity = -1",
    ],
)
def test_what_was_used_is_neither_changed_nor_deleted(query):
    volume()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(query)


@pytest.mark.parametrize("wrong", [{"quantity": 0}, {"amount_cents": -1}, {"amount_cents": 2**53}])
def test_a_use_has_a_quantity_and_an_amount_that_can_be(wrong):
    with pytest.raises(ValueError):
        usage.record(
            tenant_id=TENANT, event_type="settled_volume", event_key="k", occurred_at=NOW,
            source_type="agent_run_settlement", source_id="s", now=NOW, **wrong,
        )  # fmt: skip


def test_the_counters_say_what_the_events_add_up_to():
    volume(cents=500)
    volume(event="ev_2", cents=7, currency="JPY")
    volume(event="ev_3", cents=20, currency="EUR")
    usage.record(
        tenant_id=TENANT, event_type="settled_volume", event_key="plain", amount_cents=4, occurred_at=NOW,
        source_type="agent_run_settlement", source_id="s", now=NOW, audit={"a": 1},
    )  # fmt: skip
    case()

    counted = queries.usage(tenant_id=TENANT, period="2026-03")

    assert counted == queries.added_up(rows())
    assert counted.settled_volume_cents == 504
    assert counted.unbilled_volume == {"EUR": 20, "JPY": 7}
    assert all(row.compute_hash() == row.event_hash for row in rows())


# --- GET /ops/finance/billable-events (2.3) -------------------------------------------------------
def test_events_are_listed_by_time_and_key_and_filtered_before_paging(api):
    volume(event="b")
    volume(event="a")
    volume(event="early", now=NOW - dt.timedelta(seconds=1))
    volume(event="april", now=NOW + dt.timedelta(days=30))
    case()

    answer = body(api.get(f"{PATH}?period=2026-03&eventType=settled_volume&limit=2&offset=1"))

    events = answer.pop("events")
    assert answer == {
        "tenantId": TENANT, "period": "2026-03", "eventType": "settled_volume", "count": 3, "limit": 2,
        "offset": 1,
    }  # fmt: skip
    assert [event["sourceEventId"] for event in events] == ["a", "b"]


@pytest.mark.parametrize("query", ["period=2026-13", "period=x", "eventType=coffee", "limit=0", "limit=1001"])
def test_a_bad_query_is_refused(api, query):
    assert refusal(api.get(f"{PATH}?{query}")) == (400, "SCHEMA_INVALID")
    if query.startswith("period"):
        assert body(api.get(f"{PATH}?{query}"))["error"] == "period must match YYYY-MM"


def test_another_tenant_sees_none_of_it_and_reading_wants_its_scope(api, settings):
    volume()
    settings.OPS_TOKENS |= {"ops": frozenset({"ops_read"})}

    assert body(api.as_tenant("tenant_b").get(PATH))["events"] == []
    assert refusal(api.with_token("ops").get(PATH)) == (403, "FORBIDDEN")
