"""GET /console/audit"""

import re

import pytest


def actions_of(answer):
    return re.findall(r'<td class="number">(\d+)</td>', answer.content.decode())


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
