"""From run to bank and back: two months of agents' work, every cent followed by links in both directions."""

import dataclasses

import pytest

from settld.core import clock
from settld.core.hashing import artifact_hash
from tests.journeys.run_world import RAIL, SECRET, Books, Reader, operation_path, party_of
from tests.ops_console import work
from tests.ops_console.world import login, make_person, page_of
from tests.support.simulator import API_KEY, stripe_sim, stripe_simulator
from tests.support.webhook_receiver import receiving

__all__ = ["stripe_sim", "stripe_simulator"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

APRIL, MAY = "2026-04", "2026-05"
ENTRIES = "/console/journal/entries/"
SHOP, BAKERY, ADA, BERT, CLEO = "agt_shop", "agt_bakery", "agt_ada", "agt_bert", "agt_cleo"
PAYEES = (ADA, BERT, CLEO)
FUNDED = {SHOP: 500_000, BAKERY: 200_000}
ACCOUNTS = {
    name: f"{number}00"
    for number, name in enumerate(
        (
            "acct_cash", "acct_customer_escrow", "acct_operator_payable", "acct_payout_clearing",
            "acct_chargeback_recovery", "acct_platform_revenue",
        ),
        start=1,
    )
}  # fmt: skip
AGREEMENT = {"agreementHash": "a" * 64, "receiptHash": "b" * 64, "payerAgentId": BAKERY, "payeeAgentId": BERT}
# What the story pays: gross of each statement by who and when, and what was withheld of it.
GROSS = {(ADA, APRIL): 65_000, (BERT, APRIL): 42_000, (CLEO, APRIL): 30_000, (ADA, MAY): 20_000}
NETTED = 42_000
BERTS_MAY = 70_000
LEFT_THE_BANK = sum(GROSS.values()) + BERTS_MAY - NETTED
CAME_BACK = GROSS[BERT, APRIL]


@pytest.fixture
def books(live_db, api, settings, stripe_sim, monkeypatch):
    """A tenant with agents that have accounts at the provider, on the first of April."""
    from settld.stripe_gateway import calls, circuit
    from tests.support.factories import rails

    settings.MONEY_RAILS = rails()
    settings.STRIPE = dataclasses.replace(
        settings.STRIPE, api_base_url=stripe_sim.url, secret_key=API_KEY, webhook_secrets=(SECRET,),
        pinned_api_version="",
    )  # fmt: skip
    monkeypatch.setattr(calls, "pause", lambda _seconds: None)
    circuit.for_address(stripe_sim.url).record_answer()
    with receiving() as post_office, clock.freeze(clock.now()) as set_clock:
        stripe_sim.listen(post_office.url, SECRET)
        made = Books(api, stripe_sim, post_office, set_clock)
        made.at("2026-04-01")
        for agent_id in (*FUNDED, *PAYEES):
            work.register(api, agent_id)
            stripe_sim.account(f"acct_{agent_id}")
        made.put(
            "/ops/finance/billing/plan",
            {
                "moneyRails": {
                    "realMoneyEnabled": True,
                    "chargebacks": {"enabled": True, "negativeBalanceMode": "net"},
                }
            },
        )
        made.put("/ops/finance/account-map", {"schemaVersion": "FinanceAccountMap.v1", "accounts": ACCOUNTS})
        yield made


def test_two_months_from_run_to_bank_and_back(books):
    funding = {agent: books.fund(agent, cents, f"ch_{agent}") for agent, cents in FUNDED.items()}
    receipts = _april_works(books)
    paid = _april_is_paid_but_for_the_dispute(books)
    _bank_takes_one_back(books, paid[BERT, APRIL])
    receipts |= _may_works(books)
    paid[CLEO, APRIL] = _the_dispute_ends_and_its_payout_goes(books)
    paid |= _may_nets_what_came_back(books)

    _months_agree(books, paid)
    _sums_hold(books, paid)
    _every_movement_is_followed_over_the_api(books, paid, receipts)
    _every_movement_is_followed_in_the_console(books, paid, receipts)
    for receipt in funding.values():
        assert books.get(f"/ops/kernel/refs/funding_receipt/{receipt['receiptId']}")["object"] == receipt


# --- The story --------------------------------------------------------------------------------------
def _april_works(books):
    books.at("2026-04-03")
    found = {"run_a1": books.work("run_a1", agent=ADA, payer=SHOP, cents=60_000, days=7)}
    books.at("2026-04-06")
    found["run_a2"] = books.work("run_a2", agent=ADA, payer=BAKERY, cents=10_001, rate=50)
    assert (found["run_a2"]["releasedAmountCents"], found["run_a2"]["refundedAmountCents"]) == (5_000, 5_001)
    books.at("2026-04-07")
    found["run_b1"] = books.work("run_b1", agent=BERT, payer=SHOP, cents=40_000, days=3)
    books.open("run_b2", agent=BERT, payer=SHOP, cents=9_000)
    failed = books.tell("run_b2", BERT, "RUN_FAILED", code="NO_ACCESS", message="nobody opened")
    assert (failed["settlement"]["status"], failed["settlement"]["refundedAmountCents"]) == (
        "refunded",
        9_000,
    )
    books.at("2026-04-10")
    terms = AGREEMENT | {"amountCents": 20_000, "holdbackBps": 1_000, "challengeWindowMs": 2 * 86_400_000}
    hold = books.post("/ops/tool-calls/holds/lock", terms, expect=201)["hold"]
    assert hold["heldAmountCents"] == 2_000
    books.at("2026-04-12T12:00:00.001Z")  # the window's last instant is over
    released = books.post("/ops/maintenance/tool-call-holdback/run", {})
    assert (released["released"], released["blocked"]) == (1, 0)
    books.at("2026-04-20")
    found["run_c1"] = books.work("run_c1", agent=CLEO, payer=SHOP, cents=30_000, days=30)
    books.at("2026-04-25")
    opened = books.post("/runs/run_c1/dispute/open", {"type": "quality", "reason": "half the boxes"})
    assert opened["settlement"]["disputeStatus"] == "open"
    return found


def _april_is_paid_but_for_the_dispute(books):
    """Close April, pay two of three; the third waits, first for its window and then for its dispute."""
    books.at("2026-05-01")
    books.close(APRIL)
    for (agent, period), cents in GROSS.items():
        if period == APRIL:
            assert books.statement(agent, APRIL)["statement"]["payoutCents"] == cents
    books.at("2026-05-02")
    paid = {(agent, APRIL): books.pay(agent, APRIL) for agent in (ADA, BERT)}
    refused = books.ask(CLEO, APRIL, expect=409)
    assert refused["code"] == "PAYOUT_HOLDBACK_ACTIVE"
    books.at("2026-05-21")
    refused = books.ask(CLEO, APRIL, expect=409)
    assert refused["code"] == "PAYOUT_REFERENCE_BLOCKED"
    assert [row["blockedReason"] for row in refused["details"]["blocked"]] == ["dispute_open"]
    owed = books.get(f"/ops/kernel/payables?agentId={CLEO}")
    assert (owed["payableCents"], owed["blockedCents"]) == (0, 30_000)
    return paid


def _bank_takes_one_back(books, operation):
    """The provider takes back what Bert was paid; his wallet has it again, and he owes it."""
    books.stripe.control(f"/_sim/transfers/{operation['providerRef']}/reverse", {})
    books.take_post()
    books.require_state(operation, "reversed")
    assert books.get(f"/agents/{BERT}/wallet")["wallet"]["availableCents"] == CAME_BACK


def _may_works(books):
    books.at("2026-05-22")
    found = {"run_b3": books.work("run_b3", agent=BERT, payer=SHOP, cents=BERTS_MAY, days=5)}
    found["run_a3"] = books.work("run_a3", agent=ADA, payer=BAKERY, cents=20_000)
    books.open("run_c2", agent=CLEO, payer=SHOP, cents=12_000)  # goes on into the next month
    return found


def _the_dispute_ends_and_its_payout_goes(books):
    books.at("2026-05-24")
    closed = {"resolutionOutcome": "rejected", "closedByAgentId": SHOP, "resolutionSummary": "all were there"}
    assert (
        books.post("/runs/run_c1/dispute/close", closed)["settlement"]["disputeResolution"]["outcome"]
        == "rejected"
    )
    return books.pay(CLEO, APRIL)


def _may_nets_what_came_back(books):
    books.at("2026-06-01")
    books.close(MAY)
    assert books.statement(BERT, MAY)["statement"]["payoutCents"] == BERTS_MAY
    paid = {(agent, MAY): books.pay(agent, MAY) for agent in (ADA, BERT)}
    bert = paid[BERT, MAY]
    assert bert["amountCents"] == BERTS_MAY - NETTED
    debt = books.get(f"/ops/finance/money-rails/chargebacks?providerId={RAIL}&partyId={party_of(BERT)}")
    assert [(row["totalRecoveredCents"], row["status"]) for row in debt["parties"]] == [(NETTED, "clear")]
    return paid


# --- What must hold at the end ----------------------------------------------------------------------
def _months_agree(books, paid):
    for period in (APRIL, MAY):
        told = books.get(f"/ops/finance/reconcile?period={period}&persist=true")
        assert (told["reconcile"]["ok"], told["triageQueue"]) == (True, [])
        _is_stored(books, told["artifact"])
        batch = books.get(f"/ops/finance/gl-batch?period={period}")["artifact"]
        assert batch["batch"]["totals"]["totalCents"] == 0
        csv = books.api.get(f"/ops/finance/gl-batch.csv?period={period}")
        assert csv.status_code == 200
        lines = b"".join(csv).decode().splitlines()
        assert len(lines) == 1 + len(batch["batch"]["lines"])
        done = books.post("/ops/finance/net-close/execute", {"period": period})
        assert (done["status"], done["executed"]) == ("pass", True)
        _is_stored(books, done["artifact"])
    rail = {
        period: books.get(f"/ops/finance/money-rails/reconcile?period={period}&providerId={RAIL}")
        for period in (APRIL, MAY)
    }
    assert (rail[MAY]["status"], rail[MAY]["summary"]["criticalMismatchCount"]) == ("pass", 0)
    # All that April cannot agree on is the payout that was taken back: that is its explanation.
    left = {group: rows for group, rows in rail[APRIL]["mismatches"].items() if rows}
    assert list(left) == ["terminalFailures"]
    assert [row["operationId"] for row in left["terminalFailures"]] == [paid[BERT, APRIL]["operationId"]]


def _is_stored(books, named):
    stored = books.get(f"/artifacts/{named['artifactId']}")["artifact"]
    assert artifact_hash(stored) == stored["artifactHash"] == named["artifactHash"]


def _sums_hold(books, paid):
    """Wallets say what the ledger says, each book adds up to zero, and cash is what came less what went."""
    from reconciliation.services import monitor
    from settld.core import tenancy

    balances = books.balances()
    for agent in (*FUNDED, *PAYEES):
        wallet = books.get(f"/agents/{agent}/wallet")["wallet"]
        account = f"wallet:{books.api.tenant_id}:{wallet['walletId']}"
        assert balances.get(f"{account}:available", 0) == wallet["availableCents"]
        assert balances.get(f"{account}:escrow_locked", 0) == wallet["escrowLockedCents"]
    general = {name: cents for name, cents in balances.items() if name.startswith("acct_")}
    escrow = {name: cents for name, cents in balances.items() if name not in general}
    assert (sum(general.values()), sum(escrow.values())) == (0, 0)
    funded = sum(FUNDED.values())
    settled = sum(GROSS.values()) + BERTS_MAY
    assert {name: cents for name, cents in general.items() if cents} == {
        "acct_cash": funded - LEFT_THE_BANK + CAME_BACK,
        "acct_customer_escrow": settled - funded,
        "acct_operator_payable": -settled,
        "acct_payout_clearing": LEFT_THE_BANK - CAME_BACK + NETTED,
        "acct_chargeback_recovery": -NETTED,
    }
    confirmed = [books.get(operation_path(one))["operation"] for one in paid.values()]
    still_out = sum(one["amountCents"] for one in confirmed if one["state"] == "confirmed")
    assert balances[f"external:{books.api.tenant_id}:payout_clearing"] == still_out
    assert books.get("/ops/audit/verify")["ok"] is True
    with tenancy.tenant_scope(books.api.tenant_id):
        monitor.look(tenant_id=books.api.tenant_id, now=clock.now())
    told = books.get("/ops/finance/invariants")
    assert {row["name"]: row["status"] for row in told["invariants"] if row["status"] != "pass"} == {}


def _every_movement_is_followed_over_the_api(books, paid, receipts):
    """From the payout to its statement, to what that rests on, to the run; and from there to the payout."""
    reached = set()
    for (agent, period), operation in paid.items():
        statement = books.statement(agent, period)
        cents = 0
        for ref in statement["artifact"]["statement"]["references"]:
            kind = {"receipt": "settlement_receipt", "adjustment": "settlement_adjustment"}[ref["type"]]
            found = books.get(f"/ops/kernel/refs/{kind}/{ref['id']}?hash={ref['hash']}")
            assert found["agentId"] == agent
            assert [row["operationId"] for row in found["payouts"]] == [operation["operationId"]]
            owner = books.get(found["link"])
            if ref["type"] == "receipt":
                assert owner["settlementReceipt"] == found["object"] == receipts[found["runId"]]
                reached.add(found["runId"])
            cents += ref["amountCents"]
        if (agent, period) == (BERT, MAY):
            name = f"sadj_rec_{operation['operationId']}"
            recovery = books.get(f"/ops/kernel/refs/settlement_adjustment/{name}")
            cents += recovery["ref"]["amountCents"]
        assert cents == operation["amountCents"]
        entry = books.get(f"/ops/ledger/entries/jnl_payout_{operation['operationId']}")["entry"]
        assert {line["accountId"]: line["amountCents"] for line in entry["postings"]} == {
            "acct_payout_clearing": operation["amountCents"], "acct_cash": -operation["amountCents"],
        }  # fmt: skip
    assert reached == set(receipts)
    for agent in PAYEES:
        assert books.get(f"/ops/kernel/payables?agentId={agent}")["items"] == []


def _every_movement_is_followed_in_the_console(books, paid, receipts):
    reader = Reader(login(make_person("fay", {books.api.tenant_id: "finance"})))
    for (agent, period), operation in paid.items():
        page = reader.open(page_of(operation))
        assert "They add up to the payout" in page
        statement = reader.open(f"/console/statements/{period}/{party_of(agent)}")
        assert reader.link(statement, "/console/payouts/") == page_of(operation)
        for receipt in receipts.values():
            if receipt["receiptId"] in page:
                _run_is_reached_and_leads_back(reader, page, receipt, operation)
        listed = reader.open(reader.link(page, "/console/journal?q=jnl_payout_"))
        left = reader.open(
            reader.link(listed, f"/console/journal/entries/jnl_payout_{operation['operationId']}")
        )
        cash = reader.open(reader.link(left, "/console/journal/accounts/acct_cash"))
        assert operation["operationId"] in cash
        assert operation["operationId"] in reader.open(reader.link(left, "/console/payouts?"))
    assert {path for path in reader.seen if path.startswith("/console/runs/")} == {
        f"/console/runs/{run_id}" for run_id in receipts
    }

    hold = reader.open(
        reader.link(reader.open(page_of(paid[BERT, APRIL])), f"{ENTRIES}jnl_escrow_release_sadj_")
    )
    assert reader.link(hold, "/console/payouts/") == page_of(paid[BERT, APRIL])
    withheld = reader.open(
        reader.link(reader.open(page_of(paid[BERT, MAY])), f"{ENTRIES}jnl_payout_recovery_")
    )
    assert reader.link(withheld, "/console/journal/accounts/acct_chargeback_recovery")
    for path in ("agents", "runs", "journal/accounts", f"statements?period={MAY}", "chargebacks"):
        reader.open(f"/console/{path}")


def _run_is_reached_and_leads_back(reader, page, receipt, operation):
    """Back to the receipt, to the entry that released the money and to its account; forward to the payout."""
    run_id = receipt["runId"]
    run = reader.open(reader.link(page, "/console/runs/", having=f"#{receipt['receiptId']}"))
    assert receipt["receiptHash"] in run
    entry = reader.link(run, f"{ENTRIES}jnl_escrow_release_{run_id}_")
    shown = reader.open(entry)
    assert reader.link(shown, "/console/runs/") == f"/console/runs/{run_id}"
    account = reader.open(reader.link(shown, "/console/journal/accounts/acct_operator_payable"))
    assert entry in account
    assert reader.link(run, "/console/payouts/") == page_of(operation)
