"""Agents, runs and the journal in the console: what each shows, and where its links lead."""

import pytest

from tests.ops_console import work
from tests.ops_console.world import queries_of


@pytest.fixture
def busy(world):
    """A tenant whose worker has completed one run of 50.00 for a payer with 1,000.00."""
    for agent_id in ("agt_payer", "agt_worker"):
        work.register(world.api, agent_id)
    work.fund(world.api, "agt_payer", 100_000)
    world.done = work.complete(
        world.api, "run_one", agent="agt_worker", payer="agt_payer", cents=5_000, days=3
    )
    return world


def text_of(client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content[:400]
    return answer.content.decode()


def test_an_empty_tenant_is_told_how_things_get_here(finance):
    assert "POST /agents/register" in text_of(finance, "/console/agents")
    assert "POST /agents/{agentId}/runs" in text_of(finance, "/console/runs")
    assert "Nothing has been posted yet" in text_of(finance, "/console/journal")
    assert "Accounts appear with their first posting" in text_of(finance, "/console/journal/accounts")


def test_a_run_leads_to_its_agents_its_receipt_and_its_entries(busy, finance):
    page = text_of(finance, "/console/runs/run_one")

    receipt = busy.done["settlementReceipt"]
    assert receipt["receiptId"] in page
    assert receipt["receiptHash"] in page
    assert 'href="/console/agents/agt_payer"' in page
    assert 'href="/console/journal/entries/escrow_hold_run_one"' in page
    assert (
        f'href="/console/journal/entries/jnl_escrow_release_run_one_{receipt["resolutionEventId"]}"' in page
    )
    assert "Decided by the policy" in page


def test_an_agents_page_shows_its_wallet_and_where_money_came_from(busy, finance):
    payer = text_of(finance, "/console/agents/agt_payer")
    worker = text_of(finance, "/console/agents/agt_worker")

    assert "950.00 USD" in payer
    assert "1,000.00 USD" in payer
    assert "50.00 USD" in worker
    assert 'href="/console/runs/run_one"' in worker
    assert "0.00 USD payable, 50.00 USD waiting" in worker


def test_an_entry_shows_its_lines_with_their_parties_and_its_twin(busy, finance):
    event = busy.done["event"]["id"]
    page = text_of(finance, f"/console/journal/entries/jnl_escrow_release_run_one_{event}")

    assert "pty_operator:agt_worker" in page
    assert "pty_customer:agt_payer" in page
    assert 'href="/console/runs/run_one"' in page
    assert f'href="/console/journal/entries/escrow_release_run_one_{event}"' in page


def test_accounts_are_read_now_and_as_a_day_ended(busy, finance):
    assert "+1,000.00 USD" in text_of(finance, "/console/journal/accounts?q=acct_cash")
    before = text_of(finance, "/console/journal/accounts?q=acct_cash&at=2020-01-01")
    assert "+1,000.00 USD" not in before
    assert "when 2020-01-01 ended" in before


def test_an_accounts_page_draws_its_balance_and_lists_its_postings(busy, finance):
    page = text_of(finance, "/console/journal/accounts/acct_customer_escrow")

    assert "-950.00 USD" in page
    assert "<svg" in page
    assert "jnl_fund_" in page


@pytest.mark.parametrize(
    "address",
    [
        "/console/runs/nobody",
        "/console/agents/nobody",
        "/console/journal/entries/nothing",
        "/console/journal/accounts/nothing",
    ],
)
def test_what_is_not_there_is_not_found(finance, address):
    assert finance.get(address).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/console/runs?status=odd&money=odd&at=zzz",
        "/console/journal?book=odd&period=2026-13&at=ZnwyMDI2LTAxLTAxVDAwOjAwOjAwKzAwOjAwfG45OTk5OTk5OTk5OTk5OTk5OTk5OQ",
        "/console/journal/accounts?at=2026-02-30",
        "/console/agents?q=%00%00",
    ],
)
def test_an_address_that_cannot_be_read_is_said_so_and_never_a_failure(busy, finance, address):
    assert finance.get(address).status_code == 200


def test_another_tenants_run_is_not_found(busy):
    stranger = type(busy)(busy.api.as_tenant("tenant_b")).person("finance", name="stranger")
    assert stranger.get("/console/runs/run_one").status_code == 404
    assert "agt_worker" not in text_of(stranger, "/console/agents")


@pytest.mark.parametrize("address", ["/console/runs", "/console/agents", "/console/journal"])
def test_the_number_of_queries_does_not_grow_with_the_rows(busy, finance, address):
    one = queries_of(finance, address)
    for number in range(3):
        agent_id = f"agt_more_{number}"
        work.register(busy.api, agent_id)
        work.complete(busy.api, f"run_{number}", agent=agent_id, payer="agt_payer", cents=100)
    assert queries_of(finance, address) == one


def test_a_hold_shows_what_it_holds_until_when_and_leads_to_its_entry(busy, finance):
    assert "No holds yet" in text_of(finance, "/console/holds")
    hold = work.hold(busy.api, payer="agt_payer", payee="agt_worker", cents=10_000)

    page = text_of(finance, "/console/holds?status=held")
    assert hold["holdHash"] in page
    assert "20.00 USD" in page
    assert "20 % of 100.00 USD" in page
    assert f'href="/console/journal/entries/escrow_hold_tc_{"a" * 64}"' in page
    assert "No hold is in that state" in text_of(finance, "/console/holds?status=refunded")


def test_the_filters_narrow_the_runs(busy, finance):
    work.open_run(busy.api, "run_open", agent="agt_worker", payer="agt_payer", cents=700)

    locked = text_of(finance, "/console/runs?money=locked")
    assert "run_open" in locked
    assert "run_one" not in locked
    assert "run_one" in text_of(finance, "/console/runs?status=completed&agent=agt_worker")
