"""GET /console/audit"""

import re

import pytest

from ops_console.audit_trail import links
from settld.audit import services as audit
from settld.core import clock, tenancy
from settld.core.principals import Actor
from tests.ops_console.world import make_person


def actions_of(answer):
    return re.findall(r'<td class="number hide-small">(\d+)</td>', answer.content.decode())


def test_the_chain_is_listed_newest_first_with_its_positions(world, approver):
    world.payout("p1", state="submitted")

    numbers = [int(number) for number in actions_of(approver.get("/console/audit"))]

    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == 1


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({"action": "PAYOUT_ENQUEUED"}, 1),
        ({"action": "payout enqueued"}, 1),
        ({"request": "req_mine"}, 1),
        ({"target": "nothing"}, 0),
        ({"action": "PAYOUT_ENQUEUED\0"}, 1),
        ({"target": "\0nothing"}, 0),
    ],
)
def test_filters_narrow_the_rows(world, approver, filters, shown):
    world.payout("p1")
    world.api.post("/ops/month-close", {"month": "2026-03"}, headers={"x-request-id": "req_mine"})

    assert len(actions_of(approver.get("/console/audit", filters))) == shown


def test_pages_walk_over_every_row(world, approver, monkeypatch):
    monkeypatch.setattr("ops_console.audit_trail.views.ROWS", 3)
    for index in range(4):
        world.statement(f"p{index}")

    seen, address = [], "/console/audit"
    while address:
        answer = approver.get(address)
        seen += [int(number) for number in actions_of(answer)]
        found = re.search(r'rel="next" href="([^"]+)"', answer.content.decode())
        address = "/console/audit" + found.group(1).replace("&amp;", "&") if found else ""

    assert seen == list(range(max(seen), 0, -1))


def test_a_row_leads_to_the_page_of_what_it_is_about():
    case = links.href("reconciliation_triage", "frt_202601_ab", {})
    month = links.href("month_close", "month_close_2026-01_settledAt", {"month": "2026-01"})
    statement = links.href("party_statement", "p 1:2026-01", {"partyId": "p 1", "period": "2026-01"})

    assert case == "/console/mismatches/frt_202601_ab"
    assert month == "/console/statements?period=2026-01"
    assert statement == "/console/statements?period=2026-01&party=p+1"
    assert links.href("stripe_connect_account", "acct_1", {}) == "/console/connect/acct_1"
    assert links.href("billing_plan", "tenant_a", {}) == "/console/controls"


def test_a_target_without_a_page_or_a_fitting_address_leads_nowhere():
    assert links.href("tenant", "tenant_a", {}) == ""
    assert links.href("approval", "with/slash", {}) == ""
    assert links.href("money_rail_operation", "mop_1", {}) == ""


def test_an_act_names_its_person_and_keeps_the_principal(world, approver):
    person = make_person("ann", {"tenant_a": "finance"})
    with tenancy.tenant_scope("tenant_a"):
        audit.append(
            tenant_id="tenant_a",
            actor=Actor(principal_id=f"person:{person.pk}"),
            action="DRILL",
            target_type="tenant",
            target_id="tenant_a",
            at=clock.now(),
        )

    page = approver.get("/console/audit").content.decode()

    assert f'title="person:{person.pk}">ann<' in page
