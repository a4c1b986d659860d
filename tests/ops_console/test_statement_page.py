"""GET /console/statements/{period}/{partyId}: how a statement came about, what it pays, what paid it."""

import re

import pytest

from settld.core import clock, tenancy
from settld.ledger.models import MonthClose
from tests.ops_console import work
from tests.ops_console.world import PERIOD, queries_of


@pytest.fixture
def closed(world):
    """A worker has earned 50.00 with one run, and the month is closed."""
    for agent_id in ("agt_payer", "agt_worker"):
        work.register(world.api, agent_id)
    work.fund(world.api, "agt_payer", 100_000)
    world.done = work.complete(world.api, "run_one", agent="agt_worker", payer="agt_payer", cents=5_000)
    world.month = clock.period_of(clock.now())
    world.close(world.month)
    return world


def text_of(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.content[:400]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_a_statement_leads_from_its_sum_to_its_run_and_its_entries(closed, approver):
    address = f"/console/statements/{closed.month}/pty_operator:agt_worker"
    html = approver.get(address).content.decode()
    text = text_of(approver, address)

    assert re.search(r"Earned in the period 50\.00 USD", text)
    assert re.search(r"Paid by this statement 50\.00 USD", text)
    assert "From the ledger" in text
    receipt = closed.done["settlementReceipt"]["receiptId"]
    assert re.search(rf'href="/console/runs/run_one#{receipt}">{receipt}<', html)
    assert re.search(r'href="/console/journal/entries/jnl_escrow_release_run_one_[^"]+"', html)
    assert "No payout of this month yet." in text
    assert "Enqueue…" not in text


def test_the_list_shows_what_a_derived_statement_is_made_of_and_leads_to_its_page(closed, approver):
    html = approver.get(f"/console/statements?period={closed.month}").content.decode()
    assert (
        f"/console/statements/{closed.month}/pty_operator:agt_worker?role=operator&amp;currency=USD" in html
    )
    assert "earned 50.00 USD" in html
    assert "1 reference" in html
    assert "fees 0.00 USD" in html


def test_a_statement_by_hand_shows_its_payout_and_of_two_roles_the_one_asked_for(world, approver):
    world.payout("p1", cents=12_345, state="confirmed")
    world.statement("p1", cents=700, partyRole="customer")
    address = f"/console/statements/{PERIOD}/p1"
    text = text_of(approver, f"{address}?role=operator&currency=USD")
    assert "By hand" in text
    assert re.search(r"Of this statement Confirmed, 123\.45 USD", text)
    assert "Customer, USD" in text
    assert "Of another statement of the month" in text_of(approver, f"{address}?role=customer&currency=USD")


@pytest.mark.parametrize("tail", ["2026-13/p1", f"{PERIOD}/nobody", f"{PERIOD}/%00"])
def test_what_is_no_statement_is_not_found(world, approver, tail):
    assert approver.get(f"/console/statements/{tail}").status_code == 404


def test_queries_do_not_grow_with_the_lines(closed, approver):
    address = f"/console/statements/{closed.month}/pty_operator:agt_worker"
    one = queries_of(approver, address)
    client = closed.api
    assert (
        client.post("/ops/month-close/reopen", {"month": closed.month, "reason": "more"}).status_code == 201
    )
    for number in range(3):
        work.complete(client, f"run_more_{number}", agent="agt_worker", payer="agt_payer", cents=1_000)
    closed.closed.clear()
    closed.close(closed.month)
    assert queries_of(approver, address) == one
    assert "80.00 USD" in text_of(approver, address)


def test_the_holds_that_kept_a_month_open_are_named(world, finance):
    world.statement("p1")
    with tenancy.tenant_scope(world.tenant_id):
        MonthClose.objects.filter(month=PERIOD).update(
            status="OPEN", closed_at=None,
            last_attempt={
                "at": "2026-02-01T00:00:00.000Z", "status": "blocked", "reason": "open_holds",
                "closeHoldPolicy": "BLOCK_ANY_OPEN_HOLDS",
                "blocking": [{"jobId": "a" * 64, "holdId": "hold_77", "heldAt": "2026-01-20T10:00:00.000Z"}],
            },
        )  # fmt: skip
    for address in (
        f"/console/statements?period={PERIOD}",
        f"/ops/finance/reconciliation/workspace?period={PERIOD}",
    ):
        text = text_of(finance, address)
        assert "met 1 open hold" in text
        assert "hold_77 held since 2026-01-20 10:00:00" in text
