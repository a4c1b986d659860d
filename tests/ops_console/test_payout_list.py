"""GET /console/payouts and /console/payouts.csv"""

import csv
import io
import json
import re

from tests.ops_console.world import login, make_person, queries_of
from tests.support.api import body

MOST_QUERIES = 12
ROW = re.compile(r'<tr data-href="([^"]+)"')


def rows_of(answer):
    assert answer.status_code == 200
    return ROW.findall(answer.content.decode())


def parties_of(answer):
    return re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', answer.content.decode())


def test_payouts_are_listed_newest_first(world, finance):
    for party in ("p1", "p2", "p3"):
        world.payout(party)

    assert parties_of(finance.get("/console/payouts")) == ["p3", "p2", "p1"]


def test_each_filter_narrows_the_list(world, finance):
    world.payout("alpha", state="confirmed")
    world.payout("beta", state="failed", period="2026-02")
    world.payout("gamma", counterpartyRef="bank:de89")
    today = body(world.api.get("/ops/money-rails/stub_default/operations"))["operations"][0]["initiatedAt"][
        :10
    ]

    def found(**parameters):
        return sorted(parties_of(finance.get("/console/payouts", parameters)))

    assert found(state="confirmed") == ["alpha"]
    assert found(period="2026-02") == ["beta"]
    assert found(party="gamma") == ["gamma"]
    assert found(provider="stub_default") == ["alpha", "beta", "gamma"]
    assert found(provider="other") == []
    assert found(q="DE89") == ["gamma"]
    assert found(q="mop_tenant_a:party:alpha") == ["alpha"]
    assert found(date="confirmed", **{"from": today, "to": today}) == ["alpha"]
    assert found(date="failed", to="2020-01-01") == []
    assert found(to="9999-12-31") == ["alpha", "beta", "gamma"]  # no day comes after it
    assert found(counting="sandbox") == ["alpha", "gamma"]
    assert found(dispatch="unknown") == []


def test_totals_speak_of_every_page_and_state(world, finance):
    world.payout("p1", cents=150, state="confirmed")
    world.payout("p2", cents=250, state="confirmed")
    world.payout("p3", cents=1_234_56)

    page = finance.get("/console/payouts", {"state": "initiated"}).content.decode()

    assert re.search(r"Confirmed <b>2</b> 4\.00 USD", page)
    assert re.search(r"Initiated <b>1</b> 1,234\.56 USD", page)


def test_a_filter_that_cannot_be_read_is_said_and_left_out(world, finance):
    world.payout("p1")

    answer = finance.get(
        "/console/payouts", {"state": "<x>", "period": "2026-13", "from": "soon", "at": "garbage"}
    )

    assert parties_of(answer) == ["p1"]
    assert b"&lt;x&gt;" in answer.content
    assert b"2026-13" in answer.content


def test_pages_walk_forward_and_back_over_every_payout(world, finance, monkeypatch):
    monkeypatch.setattr("ops_console.cursors.ROWS", 2)
    parties = [f"p{index}" for index in range(5)]
    for party in parties:
        world.payout(party)

    def link(answer, rel):
        found = re.search(rf'rel="{rel}" href="([^"]+)"', answer.content.decode())
        return found.group(1).replace("&amp;", "&") if found else None

    first = finance.get("/console/payouts", {"provider": "stub_default"})
    second = finance.get(link(first, "next"))
    third = finance.get(link(second, "next"))
    back = finance.get(link(third, "prev"))

    assert [parties_of(page) for page in (first, second, third, back)] == [
        ["p4", "p3"],
        ["p2", "p1"],
        ["p0"],
        ["p2", "p1"],
    ]
    assert link(first, "prev") is None
    assert link(third, "next") is None
    assert "provider=stub_default" in link(first, "next")


def test_htmx_gets_the_list_alone(world, finance):
    world.payout("p1")

    answer = finance.get("/console/payouts", headers={"HX-Request": "true", "HX-Target": "list"})

    assert rows_of(answer)
    assert b"<html" not in answer.content


def test_the_number_of_queries_does_not_grow_with_the_rows(world, finance):
    world.payout("p0")
    few = queries_of(finance, "/console/payouts")
    for index in range(1, 12):
        world.payout(f"p{index}", state="submitted")

    assert queries_of(finance, "/console/payouts") == few <= MOST_QUERIES


def test_another_tenants_payouts_are_not_there(world, finance):
    from tests.ops_console.world import World, page_of

    theirs = World(world.api.as_tenant("tenant_b")).payout("secret_party")

    assert parties_of(finance.get("/console/payouts")) == []
    assert b"secret_party" not in finance.get("/console/payouts", {"q": "secret"}).content
    assert finance.get(page_of(theirs)).status_code == 404
    assert finance.get(f"{page_of(theirs)}/live").status_code == 404
    assert finance.post(f"{page_of(theirs)}/cancel", {}).status_code == 404
    assert b"secret_party" not in b"".join(finance.get("/console/payouts.csv").streaming_content)


def test_the_tenant_is_switched_by_members_of_both_alone(world):
    from tests.ops_console.world import World

    World(world.api.as_tenant("tenant_b")).payout("theirs")
    world.payout("ours")
    both = login(make_person("both", {"tenant_a": "approver", "tenant_b": "approver"}))
    ours_only = world.person("approver", name="one")

    assert parties_of(both.get("/console/payouts")) == ["ours"]
    assert both.post("/console/tenant", {"tenant": "tenant_b"}).status_code == 303
    assert parties_of(both.get("/console/payouts")) == ["theirs"]
    assert ours_only.post("/console/tenant", {"tenant": "tenant_b"}).status_code == 404
    assert parties_of(ours_only.get("/console/payouts")) == ["ours"]


def test_platform_staff_look_at_any_tenant(world):
    world.payout("ours")
    staff = login(make_person("staff", {}, platform_role="operator"))

    staff.post("/console/tenant", {"tenant": "tenant_a"})

    assert parties_of(staff.get("/console/payouts")) == ["ours"]


def test_csv_columns_are_the_fields_of_the_api(world, finance):
    operation = world.payout("p1", state="confirmed")

    answer = finance.get("/console/payouts.csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))

    assert answer["content-type"] == "text/csv; charset=utf-8"
    assert answer["content-disposition"].startswith("attachment;")
    assert rows[0] == list(operation)
    shown = dict(zip(rows[0], rows[1], strict=True))
    assert json.loads(shown.pop("metadata")) == operation.pop("metadata")
    assert shown == {key: "" if value is None else str(value) for key, value in operation.items()}


def test_csv_takes_the_filters_and_every_page(world, finance, monkeypatch):
    monkeypatch.setattr("ops_console.payouts.export.BATCH", 2)
    for index in range(5):
        world.payout(f"p{index}", state="confirmed" if index % 2 else "initiated")

    def parties(**parameters):
        content = b"".join(finance.get("/console/payouts.csv", parameters).streaming_content).decode()
        return [json.loads(row["metadata"])["partyId"] for row in csv.DictReader(io.StringIO(content))]

    assert parties() == ["p4", "p3", "p2", "p1", "p0"]
    assert parties(state="confirmed") == ["p3", "p1"]


def test_csv_is_bounded(world, finance, monkeypatch):
    monkeypatch.setattr("ops_console.payouts.export.BATCH", 1)
    monkeypatch.setattr("ops_console.payouts.export.MOST_ROWS", 2)
    for index in range(3):
        world.payout(f"p{index}")

    answer = finance.get("/console/payouts.csv")

    assert b"".join(answer.streaming_content).count(b"\r\n") == 3
    assert answer["x-settld-rows-limit"] == "2"


def test_csv_holds_no_formula(world, finance):
    world.payout("p1", counterpartyRef="=cmd|' /C calc'!A0")

    content = b"".join(finance.get("/console/payouts.csv").streaming_content).decode()

    assert "'=cmd" in content
