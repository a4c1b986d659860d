"""GET /console: each number equals the list that it leads to."""

import html
import re

import pytest

from tests.ops_console.world import login, make_person, queries_of

COUNTER = re.compile(
    r'id="count-([a-z-]+)" class="counter[^"]*"(?: href="([^"]+)")?>\s*'
    r'<span class="counter__label">[^<]*</span>\s*<span class="counter__value">([^<]+)</span>'
)


def counters(client):
    page = client.get("/console").content.decode()
    return {key: (html.unescape(href), value) for key, href, value in COUNTER.findall(page)}


def listed(client, address):
    return len(re.findall("<tr data-href", client.get(address).content.decode()))


@pytest.fixture
def busy(world):
    for index, state in enumerate(
        ["initiated", "initiated", "submitted", "confirmed", "confirmed", "failed", "reversed", "cancelled"]
    ):
        world.payout(f"p{index}", state=state)
    return world


def test_each_counter_equals_the_list_it_leads_to(busy, approver):
    found = counters(approver)

    assert {key: value for key, (_, value) in found.items()} == {
        "due": "2",
        "in-flight": "1",
        "confirmed": "3",
        "doubt": "0",
        "failed": "1",
        "reversed": "1",
        "mismatches": "0",
        "months": "0",
        "inbox": "None",
    }
    for key in ("due", "in-flight", "confirmed", "doubt", "failed", "reversed"):
        address, value = found[key]
        assert listed(approver, address) == int(value), key


def test_exposure_is_drawn_against_the_cap(busy, approver):
    busy.controls(dailyPayoutLimitCents=100_000)

    page = approver.get("/console").content.decode()

    assert "500.00 USD of 1,000.00 USD (50%)" in page
    address = html.unescape(re.search(r'href="([^"]*counting=sandbox[^"]*)"', page).group(1))
    assert listed(approver, address) == 5


def test_the_chart_names_the_days_amount(busy, approver):
    page = approver.get("/console").content.decode()

    assert "800.00 USD in 8" in page
    assert "8 payouts initiated in 30 days" in page


def test_recent_activity_leads_to_the_payouts(busy, approver):
    page = approver.get("/console").content.decode().split("Recent activity")[1]

    assert "Money rail operation cancelled" in page
    assert 'href="/console/payouts/stub_default/mop_tenant_a:party:p7:' in page


def test_htmx_gets_the_part_that_changes(busy, approver):
    answer = approver.get("/console", headers={"HX-Request": "true", "HX-Target": "live"})

    assert b'id="live"' in answer.content
    assert b"<html" not in answer.content


def test_queries_do_not_grow_with_the_rows(world, approver):
    world.payout("p0")
    few = queries_of(approver, "/console")
    for index in range(1, 8):
        world.payout(f"p{index}", state="confirmed")

    assert queries_of(approver, "/console") == few <= 20


def test_another_tenants_day_is_its_own(busy):
    other = login(make_person("other", {"tenant_b": "owner"}))

    assert counters(other)["due"][1] == "0"
