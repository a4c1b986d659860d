"""GET /console/statements; GET, POST /console/statements/{period}/{partyId}/enqueue"""

import re

from moneyrails.models import Operation
from settld.closing.services import worker
from tests.ops_console.test_payout_acts import form_of
from tests.ops_console.world import PERIOD, count_rows, queries_of


def test_statements_show_what_became_of_them(world, approver):
    world.payout("paid", state="confirmed")
    world.statement("waiting")
    world.statement("nothing", cents=0)
    world.statement("customer", partyRole="customer")

    page = approver.get("/console/statements", {"period": PERIOD}).content.decode()

    assert re.findall(r'<th scope="row">(?:<a [^>]+>)?([^<]+)<', page) == [
        "customer",
        "nothing",
        "paid",
        "waiting",
    ]
    assert page.count("Nothing due") == 2
    assert "4 statements, 2 payable, 200.00 USD; 1 payout" in page
    assert "Enqueue…" not in page


def test_the_newest_closed_month_is_shown_first(world, approver):
    world.statement("january_party", period="2026-01")
    world.statement("february_party", period="2026-02")

    page = approver.get("/console/statements").content.decode()

    assert "february_party" in page
    assert "january_party" not in page


def test_a_payout_is_enqueued_in_two_steps(world, finance):
    world.statement("p1", cents=12_345)
    address = f"/console/statements/{PERIOD}/p1/enqueue"

    assert f'href="{address}"' in finance.get("/console/statements").content.decode()
    form = form_of(finance, address) | {"provider": "stub_default"}
    answer = finance.post(address, form)

    assert answer.status_code == 303
    assert answer["location"].startswith("/console/payouts/stub_default/mop_tenant_a:party:p1:")
    assert b"123.45 USD" in finance.get(answer["location"]).content


def test_the_same_form_twice_is_one_payout(world, finance):
    world.statement("p1")
    address = f"/console/statements/{PERIOD}/p1/enqueue"
    form = form_of(finance, address) | {"provider": "stub_default"}

    first, again = finance.post(address, form), finance.post(address, form)

    assert first["location"] == again["location"]
    assert count_rows(Operation, "tenant_a") == 1


def test_a_gate_that_refuses_is_said_in_the_form(world, finance):
    world.statement("p1", cents=10_000)
    world.controls(maxPayoutAmountCents=5_000)
    address = f"/console/statements/{PERIOD}/p1/enqueue"

    answer = finance.post(address, form_of(finance, address) | {"provider": "stub_default"})

    assert answer.status_code == 409
    assert b"PAYOUT_AMOUNT_LIMIT_EXCEEDED" in answer.content
    assert b'<dt>Max payout amount</dt><dd class="mono">50.00 USD</dd>' in answer.content
    assert b"Raise the cap of one payout in Controls" in answer.content
    assert count_rows(Operation, "tenant_a") == 0


def test_an_unknown_provider_is_said_beside_the_field(world, finance):
    world.statement("p1")
    address = f"/console/statements/{PERIOD}/p1/enqueue"

    answer = finance.post(address, form_of(finance, address) | {"provider": "elsewhere"})

    assert answer.status_code == 422
    assert b"Choose one of the list." in answer.content


def test_a_statement_that_is_not_there_is_a_page(world, finance):
    assert finance.get(f"/console/statements/{PERIOD}/nobody/enqueue").status_code == 404
    assert finance.get("/console/statements/2026-13/p1/enqueue").status_code == 404


def test_pages_walk_over_every_statement(world, approver, monkeypatch):
    monkeypatch.setattr("ops_console.statements.listing.ROWS", 2)
    for party in ("a", "B", "c", "d", "é"):
        world.statement(party)

    seen, address = [], f"/console/statements?period={PERIOD}"
    while address:
        page = approver.get(address).content.decode()
        seen += re.findall(r'<th scope="row">(?:<a [^>]+>)?([^<]+)<', page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found.group(1).replace("&amp;", "&") if found else ""

    assert seen == ["B", "a", "c", "d", "é"]


def test_queries_do_not_grow_with_the_statements(world, approver):
    world.payout("p0")
    few = queries_of(approver, "/console/statements")
    for index in range(1, 8):
        world.payout(f"p{index}")

    assert queries_of(approver, "/console/statements") == few <= 16


# --- The month ------------------------------------------------------------------------------------
def test_a_month_is_closed_and_reopened_with_a_reason_in_two_steps(world, finance):
    world.api.put(f"/ops/party-statements/p1/{PERIOD}", {"partyRole": "operator", "payoutCents": 500})
    page = f"/console/statements?period={PERIOD}"
    close, reopen = (f"/console/statements/{PERIOD}/{act}" for act in ("close", "reopen"))
    assert f'href="{close}"' in finance.get(page).content.decode()

    assert "1 statement, 1 payable, 5.00 USD" in finance.get(close).content.decode()
    answer = finance.post(close, form_of(finance, close))
    assert (answer.status_code, answer["location"]) == (303, page)
    assert 'hx-trigger="load delay:2s"' in finance.get(page).content.decode()
    worker.close_requested(tenant_id=world.tenant_id)
    assert f'href="{reopen}"' in finance.get(page).content.decode()

    form = form_of(finance, reopen)
    assert finance.post(reopen, form).status_code == 422
    answer = finance.post(reopen, form | {"reason": "wrong rate"})
    assert answer.status_code == 303
    assert f'href="{close}"' in finance.get(page).content.decode()


def test_closing_a_closed_month_says_so_and_reopening_an_open_one_is_refused(world, finance):
    world.close()
    address = f"/console/statements/{PERIOD}/close"
    finance.post(address, form_of(finance, address))
    assert f"{PERIOD} is closed already" in finance.get("/console/statements").content.decode()
    address = "/console/statements/2026-05/reopen"
    answer = finance.post(address, form_of(finance, address) | {"reason": "x"})
    assert answer.status_code == 404
    assert "NOT_FOUND" in answer.content.decode()


def test_only_who_may_change_money_closes_a_month(world, approver):
    world.statement("p1")
    assert approver.get(f"/console/statements/{PERIOD}/close").status_code == 403
    assert "Reopen…" not in approver.get("/console/statements").content.decode()
    assert approver.get("/console/statements/2026-13/close").status_code in (403, 404)


def test_the_page_is_drawn_anew_once_a_month_is_closed(world, approver):
    world.statement("p1")
    part = {"HX-Request": "true", "HX-Target": "list"}

    closed = approver.get("/console/statements", {"period": PERIOD}, headers=part)

    assert closed["HX-Refresh"] == "true"
    assert "HX-Refresh" not in approver.get("/console/statements", {"period": PERIOD})
