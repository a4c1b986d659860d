"""The workspace Chargebacks: who owes what, a party's ledger, and taking an amount off (spec 4)."""

import csv
import io
import re

import pytest

from tests.ops_console.world import count_rows, login, make_person, queries_of

NET = {"enabled": True, "negativeBalanceMode": "net"}
LIST = "/console/chargebacks"


def page(client, address, status=200):
    answer = client.get(address)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return answer.content.decode()


def account(party, *, mode="sandbox"):
    return f"/console/chargebacks/of/{mode}/USD/{party}"


def owe(world, party="p1", *, cents=10_000, period="2025-12"):
    return world.payout(party, cents=cents, period=period, state="reversed")


def adjust_page(operation):
    return f"/console/chargebacks/adjust/{operation['providerId']}/{operation['operationId']}"


def form_of(client, address):
    """Open a form and give its fields as they would be sent."""
    html = page(client, address)
    form = html[html.index('id="act"') :]
    return dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form))


def test_nobody_owes_anything_at_first(world, approver):
    html = page(approver, LIST)
    assert "Nobody owes anything" in html
    assert "No party matches" in page(approver, f"{LIST}?show=open")


def test_the_greatest_debt_comes_first_with_its_sums(world, finance):
    owe(world, "small", cents=1_000)
    owe(world, "great", cents=90_000)
    world.payout("none", period="2025-12", state="confirmed")
    html = page(finance, LIST)
    assert html.index(">great</a>") < html.index(">small</a>")
    assert ">none</a>" not in html
    assert "2 of 2 party accounts" in html
    assert "owe 910.00 USD" in html


def test_a_recovery_leaves_a_party_clear_and_only_open_hides_it(world, finance):
    owe(world, "p1", cents=4_000)
    owe(world, "p2", cents=4_000)
    world.controls(chargebacks=NET)
    world.payout("p1", cents=10_000, period="2026-01")
    html = page(finance, LIST)
    assert html.index(">p2</a>") < html.index(">p1</a>")
    assert "Clear" in html
    assert ">p1</a>" not in page(finance, f"{LIST}?show=open")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("party=p1", {"p1"}),
        ("q=P1", {"p1"}),
        ("provider=stub_other", {"p2"}),
        ("period=2025-11", {"p2"}),
        ("period=2025-12&provider=stub_other", set()),
        ("mode=production", set()),
        ("period=nonsense", {"p1", "p2"}),
        ("at=f.1.zz", {"p1", "p2"}),
        ("at=f.99999999999999999999", {"p1", "p2"}),
        ("q=%00", {"p1", "p2"}),
    ],
)
def test_filters_select_by_reversals_and_live_in_the_address(world, finance, settings, query, shown):
    from tests.support.factories import rails

    settings.MONEY_RAILS = rails()
    owe(world, "p1")
    other = {"moneyRailProviderId": "stub_other"}
    world.payout("p2", period="2025-11", state="reversed", **other)
    html = page(finance, f"{LIST}?{query}")
    assert {party for party in ("p1", "p2") if f">{party}</a>" in html} == shown


def test_pages_follow_one_another_without_a_gap(world, finance, monkeypatch):
    from ops_console.chargebacks import places

    monkeypatch.setattr(places.slice_of, "__kwdefaults__", {**places.slice_of.__kwdefaults__, "size": 2})
    for number in range(5):
        owe(world, f"p{number}", cents=1_000)
    address, seen = LIST, []
    for _ in range(3):
        html = page(finance, address)
        seen += re.findall(r">(p\d)</a></th>", html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        address = following.group(1).replace("&amp;", "&") if following else ""
    assert address == ""
    assert sorted(seen) == [f"p{number}" for number in range(5)]
    back = re.search(r'rel="prev" href="([^"]+)"', html).group(1).replace("&amp;", "&")
    assert re.findall(r">(p\d)</a></th>", page(finance, back)) == seen[2:4]


def test_queries_do_not_grow_with_rows(world, finance):
    owe(world, "p0")
    one = queries_of(finance, LIST), queries_of(finance, account("p0"))
    for number in range(1, 4):
        owe(world, f"p{number}")
        owe(world, "p0", period=f"2025-0{number}")
    assert (queries_of(finance, LIST), queries_of(finance, account("p0"))) == one


def test_the_csv_holds_the_sums_and_runs_no_formula(world, finance):
    owe(world, "=cmd", cents=2_000)
    owe(world, "p1", cents=1_000)
    rows = list(csv.DictReader(io.StringIO(b"".join(finance.get(f"{LIST}.csv")).decode())))
    assert [row["partyId"] for row in rows] == ["'=cmd", "p1"]
    assert rows[1]["outstandingCents"] == rows[1]["totalReversedAmountCents"] == "1000"
    assert rows[1]["status"] == "negative_balance"
    ledger = list(
        csv.DictReader(io.StringIO(b"".join(finance.get(account("p1").replace("/of/", "/csv/"))).decode()))
    )
    assert [(row["kind"], row["seq"], row["outstandingAfterCents"]) for row in ledger] == [
        ("reversal", "1", "1000")
    ]


def test_a_party_page_tells_the_whole_story_with_links(world, finance):
    taken = owe(world, "p1", cents=12_000)
    world.controls(chargebacks=NET)
    world.statement("p1", cents=10_000, period="2026-01")
    whole = world.api.post("/ops/payouts/p1/2026-01/enqueue", {})
    assert whole.status_code == 200
    later = world.payout("p1", cents=10_000, period="2026-02")
    html = page(finance, account("p1"))
    assert "Whole statement put into the debt, nothing paid out" in html
    assert f'href="/console/payouts/stub_default/{later["operationId"]}"' in html
    assert f'href="/console/payouts/stub_default/{taken["operationId"]}"' in html
    assert re.findall(r'<td class="number">([-+][\d.,]+ USD)</td>', html.split("<h2>Ledger</h2>")[1]) == [
        "-20.00 USD", "-100.00 USD", "+120.00 USD",
    ]  # fmt: skip
    assert "Adjust…" not in html  # nothing is open any more
    payout = page(finance, f"/console/payouts/stub_default/{later['operationId']}")
    assert f'href="{account("p1")}"' in payout


def test_a_party_without_a_reversal_has_no_page(world, finance):
    world.payout("p1", period="2025-12")
    for address in (
        account("p1"),
        account("p1", mode="production"),
        account("nobody"),
        account("p1").replace("/of/", "/csv/"),
    ):
        page(finance, address, status=404)


def test_an_adjustment_is_asked_for_and_carried_out_once(world, finance):
    from moneyrails.models import ChargebackEntry
    from settld.audit.models import OpsAudit

    operation = owe(world)
    assert f'href="{adjust_page(operation)}"' in page(finance, account("p1"))
    sent = form_of(finance, adjust_page(operation)) | {"reason_code": "dispute_won", "note": "case 7"}
    assert sent["amount"] == "100.00"
    sent["amount"] = "60.5"
    answer = finance.post(adjust_page(operation), sent)
    assert (answer.status_code, answer["location"]) == (303, account("p1"))
    again = finance.post(adjust_page(operation), sent)
    assert again.status_code == 303
    assert count_rows(ChargebackEntry, "tenant_a", kind="adjustment") == 1
    html = page(finance, account("p1"))
    assert "60.50 USD taken off. p1 owes 39.50 USD from here on." in html
    assert "This form had been sent before" in html
    assert "dispute_won: case 7" in html
    assert count_rows(OpsAudit, "tenant_a", action="MONEY_RAIL_CHARGEBACK_ADJUSTED") == 1


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("", "is needed"),
        ("100.01", "Only 100.00 is still open."),
        ("0", "more than nothing"),
        ("1.234", "Write an amount"),
        ("-5", "Write an amount"),
        ("1e3", "Write an amount"),
        ("12,34", "Write an amount"),
        ("٣", "Write an amount"),
        ("9999999999", "Only 100.00 is still open."),
        ("99999999999999", "Write an amount"),
        ("999999999999999999", "Write an amount"),
    ],
)
def test_what_is_wrong_with_an_amount_is_said_beside_it(world, finance, amount, problem):
    from moneyrails.models import ChargebackEntry

    operation = owe(world)
    sent = form_of(finance, adjust_page(operation)) | {"reason_code": "written_off", "amount": amount}
    answer = finance.post(adjust_page(operation), sent)
    assert answer.status_code == 422
    assert problem in answer.content.decode()
    assert count_rows(ChargebackEntry, "tenant_a", kind="adjustment") == 0


def test_a_reason_must_be_chosen(world, finance):
    operation = owe(world)
    sent = form_of(finance, adjust_page(operation)) | {"reason_code": ""}
    assert finance.post(adjust_page(operation), sent).status_code == 422


def test_only_who_may_change_money_adjusts_and_only_what_was_reversed(world, finance, approver):
    operation = owe(world)
    assert "Adjust…" not in page(approver, account("p1"))
    page(approver, adjust_page(operation), status=403)
    page(finance, adjust_page(world.payout("p2", period="2025-12")), status=409)
    page(finance, f"{adjust_page(operation)}x", status=404)


def test_another_tenants_debts_are_not_there(world, finance):
    owe(world)
    stranger = login(make_person("eve", {"tenant_b": "finance"}))
    assert "Nobody owes anything" in page(stranger, LIST)
    page(stranger, account("p1"), status=404)
