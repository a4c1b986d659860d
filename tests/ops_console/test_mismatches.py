"""GET /console/mismatches"""

import re

import pytest

from tests.ops_console.world import PERIOD, login, make_person, page_of, queries_of


@pytest.fixture
def differing(world):
    """A failed payout and an instruction without one, found by a reconciliation."""
    failed = world.payout("broken", state="failed")
    world.statement("forgotten", cents=4_321)
    path = f"/ops/finance/money-rails/reconcile?period={PERIOD}&providerId=stub_default&persist=true"
    assert world.api.get(path).status_code == 200
    return failed


def test_open_cases_are_listed_with_both_sides_and_lead_to_the_payout(differing, approver):
    page = approver.get("/console/mismatches").content.decode()

    assert f'href="{page_of(differing)}"' in page
    assert "MONEY_RAIL_TERMINAL_FAILURE" in page
    assert f"broken {PERIOD}" in page
    assert "MONEY_RAIL_MISSING_OPERATION" in page
    assert "43.21 USD" in page
    assert re.search(r"Critical</span> <b>2</b>", page)


def test_today_counts_what_the_list_shows(differing, approver):
    today = approver.get("/console").content.decode()

    assert re.search(r'id="count-mismatches".*?counter__value">2<', today, re.DOTALL)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 2),
        ({"severity": "critical"}, 2),
        ({"severity": "low"}, 0),
        ({"type": "missing_operation"}, 1),
        ({"period": "2020-01"}, 0),
        ({"provider": "elsewhere"}, 0),
        ({"status": "past"}, 0),
        ({"status": "any"}, 2),
        ({"status": "<x>", "period": "2026-13", "at": "garbage"}, 2),
    ],
)
def test_filters_narrow_the_cases(differing, approver, filters, count):
    page = approver.get("/console/mismatches", filters).content.decode()

    assert page.count("<tr data-case=") == count


def test_another_tenant_sees_none(differing):
    other = login(make_person("other", {"tenant_b": "owner"}))

    assert b"No open mismatch" in other.get("/console/mismatches").content


def test_queries_do_not_grow_with_the_cases(differing, world, approver):
    few = queries_of(approver, "/console/mismatches")
    for index in range(6):
        world.statement(f"lost_{index}")
    world.api.get(f"/ops/finance/money-rails/reconcile?period={PERIOD}&providerId=stub_default&persist=true")

    assert queries_of(approver, "/console/mismatches") == few <= 14
