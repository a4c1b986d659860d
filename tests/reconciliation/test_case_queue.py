"""The queue: order, places, filters, counts, and indexes that answer it."""

import datetime as dt
import re

import pytest
from django.db import connection

from reconciliation.models import Mismatch
from reconciliation.queries import case_counts, case_queue
from reconciliation.queries.case_queue import STANDINGS, CaseFilter
from reconciliation.services.triage import Change
from settld.core import tenancy
from tests.reconciliation.cases import NOW, TENANT, decide, file, queue_row

WEEK = dt.timedelta(days=7)


@pytest.fixture
def scope(db):
    with tenancy.tenant_scope(TENANT):
        yield


def keys(**options):
    wanted = CaseFilter(**{name: options.pop(name) for name in list(options) if name in vars(CaseFilter())})
    page = case_queue.page(tenant_id=TENANT, wanted=wanted, **options)
    return [row.mismatch_key for row in page.rows]


def walk(wanted=None, *, is_by_age, limit):
    """Read every page forwards, then back again."""
    wanted = wanted or CaseFilter()
    forwards, place, pages = [], None, []
    while True:
        page = case_queue.page(tenant_id=TENANT, wanted=wanted, is_by_age=is_by_age, place=place, limit=limit)
        forwards += [row.mismatch_key for row in page.rows]
        pages.append(page)
        if page.following is None:
            break
        place = page.following
    backwards = [row.mismatch_key for row in pages[-1].rows]
    page = pages[-1]
    while page.previous is not None:
        page = case_queue.page(
            tenant_id=TENANT, wanted=wanted, is_by_age=is_by_age, place=page.previous, limit=limit
        )
        backwards = [row.mismatch_key for row in page.rows] + backwards
    return forwards, backwards


def test_the_most_urgent_come_first_and_among_them_the_oldest_and_a_person_may_say_otherwise(scope):
    file(queue_row("high-new"), now=NOW)
    file(queue_row("high-old"), now=NOW - WEEK)
    file(queue_row("low", severity="low"), now=NOW - 2 * WEEK)
    file(queue_row("critical", severity="critical"), now=NOW)
    assert keys() == ["critical", "high-old", "high-new", "low"]
    assert keys(is_by_age=True)[-2:] == ["high-old", "low"]

    decide(Mismatch.objects.get(mismatch_key="low"), Change(severity="critical"))
    assert keys() == ["low", "critical", "high-old", "high-new"]
    assert keys(severity="critical") == ["low", "critical"]


@pytest.mark.parametrize("is_by_age", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_pages_hold_each_case_once_in_both_directions(scope, is_by_age, limit):
    for number, severity in enumerate(["critical", "high", "high", "low", "medium", "high", "critical"] * 2):
        file(queue_row(f"mop_{number}", severity=severity), now=NOW - dt.timedelta(seconds=number % 3))
    forwards, backwards = walk(is_by_age=is_by_age, limit=limit)
    assert sorted(forwards) == sorted(f"mop_{number}" for number in range(14))
    assert backwards == forwards


def test_filters_and_standings(scope):
    cases = file(queue_row("a", kind="missing_operation"), queue_row("b"), queue_row("c"), queue_row("d"))
    file(queue_row("old", period="2026-09"), now=NOW - WEEK)
    decide(cases["b"], Change(status="in_progress", owner_principal_id="person:ada"))
    decide(cases["c"], Change(status="resolved", mismatch_hash=cases["c"].mismatch_hash))
    decide(cases["d"], Change(status="dismissed", mismatch_hash=cases["d"].mismatch_hash))
    file(queue_row("d", actual=9))

    def found(**wanted):
        return set(keys(**wanted))

    assert found() == {"a", "b", "d", "old"}
    assert found(standing="new") == {"a", "old"}
    assert found(standing="in_progress") == {"b"}
    assert found(standing="drifted") == {"d"}
    assert found(standing="resolved") == {"c"}
    assert found(standing="past") == {"c"}
    assert found(standing="any") == {"a", "b", "c", "d", "old"}
    assert found(mismatch_type="missing_operation") == {"a"}
    assert found(owner="person:ada") == {"b"}
    assert found(owner="") == {"a", "d", "old"}
    assert found(period="2026-09") == {"old"}
    assert found(seen_before=NOW - dt.timedelta(days=1)) == {"old"}
    assert found(source_type="stripe_inbox") == set()
    assert found(text=cases["a"].triage_key) == {"a"}
    assert found(text="OL") == {"old"}
    assert found(text="money_rail_missing_operation") == {"a"}
    assert set(STANDINGS) >= {"gone", "acknowledged"}


def test_an_operation_is_found_by_its_whole_id_and_a_percent_is_a_percent(scope):
    file(queue_row("mop_1"), queue_row("mop_12"), queue_row("100%"))
    assert keys(text="mop_1") == ["mop_1"]
    assert sorted(keys(text="mop_")) == ["mop_1", "mop_12"]
    assert keys(text="%") == ["100%"]


def test_counts_are_of_what_the_filter_lets_through(scope):
    cases = file(queue_row("a"), queue_row("b", severity="low"), queue_row("c", kind="missing_operation"))
    decide(cases["a"], Change(status="acknowledged", owner_principal_id="person:ada"))
    counts = case_counts.counts(tenant_id=TENANT, wanted=CaseFilter())
    assert (counts.total, counts.is_capped) == (3, False)
    assert counts.by_type == {"amount_mismatch": 2, "missing_operation": 1}
    assert list(counts.by_severity.items()) == [("high", 2), ("low", 1)]
    assert counts.by_owner == {"": 2, "person:ada": 1}
    assert counts.by_status == {"open": 2, "acknowledged": 1}
    low = case_counts.counts(tenant_id=TENANT, wanted=CaseFilter(severity="low"))
    assert (low.total, low.by_type) == (1, {"amount_mismatch": 1})
    assert case_counts.counts(tenant_id="tenant_b", wanted=CaseFilter()).total == 0


def test_a_long_queue_is_counted_up_to_a_limit_and_names_every_value(scope, monkeypatch):
    monkeypatch.setattr(case_counts, "COUNTED_MOST", 3)
    for number in range(5):
        file(queue_row(f"mop_{number}", severity="critical"))
    file(queue_row("low", severity="low", kind="missing_operation"))
    counts = case_counts.counts(tenant_id=TENANT, wanted=CaseFilter())
    assert (counts.total, counts.is_capped, counts.is_partial) == (3, True, False)
    assert counts.by_type == {"amount_mismatch": 4, "missing_operation": 1}
    assert counts.by_severity == {"critical": 4, "low": 1}
    narrowed = case_counts.counts(tenant_id=TENANT, wanted=CaseFilter(owner=""))
    assert (narrowed.is_capped, narrowed.is_partial, narrowed.by_severity) == (True, True, {"critical": 4})


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"mismatch_type": "t3"},
        {"owner": "person:1"},
        {"period": "2026-03"},
        {"standing": "resolved"},
        {"standing": "any"},
    ],
)
def test_a_page_deep_in_ten_thousand_cases_is_read_off_an_index(scope, wanted):
    """Bounded by rows, not by the clock: nothing need be sorted, and little is read that is not shown."""
    _fill(10_000)
    row = Mismatch.objects.filter(severity_rank=2).order_by("first_seen_at")[1_000]
    place = case_queue.Place(2, row.first_seen_at, row.pk)
    rows = case_queue.matching(tenant_id=TENANT, wanted=CaseFilter(**wanted))
    rows = case_queue.in_order(rows.filter(case_queue._beyond(place, is_by_age=False)), is_by_age=False)
    with connection.cursor() as cursor:  # rows of an open transaction have no statistics to plan by
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
    plan = rows[:51].explain(analyze=True, format="text")
    removed = [int(number) for number in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
    assert "Index Scan using mismatch_" in plan, plan
    assert "Sort" not in plan, plan
    assert sum(removed) < 1_000, plan


def _fill(count):
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO mismatch (id, tenant_id, triage_key, source_type, period, provider_id,
                 mismatch_type, mismatch_key, mismatch_code, severity, details, mismatch_hash,
                 last_report_hash, first_seen_at, last_seen_at, triage_owner, triage_status, resolved_at)
               SELECT gen_random_uuid(), %s, 'frt_' || n, 'money_rails_reconcile',
                 '2026-' || lpad((n %% 12 + 1)::text, 2, '0'), 'p', 't' || n %% 7, 'mop_' || n, 'C',
                 (ARRAY['critical','high','medium','low'])[n %% 4 + 1], '{}', md5(n::text), '',
                 now() - n * interval '1 second', now(), CASE WHEN n %% 5 = 0 THEN 'person:1' ELSE '' END,
                 CASE WHEN n %% 9 = 0 THEN 'resolved' ELSE 'open' END, CASE WHEN n %% 9 = 0 THEN now() END
               FROM generate_series(1, %s) AS n""",
            [TENANT, count],
        )
