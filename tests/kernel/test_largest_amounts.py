"""Amounts up to 2^53-1: locked money always finds its way out (kernel spec 4)."""

import pytest

from tests.kernel.work import PAYEE, PAYER, an_agent, money, wallet
from tests.support.api import body, refusal

MOST = 2**53 - 1


@pytest.fixture
def rich(runs):
    """Beside the payer of all tests, one that has all that a wallet can have."""
    an_agent("agt_rich")
    money("agt_rich", MOST)
    return runs


def shown(runs, agent_id):
    return body(runs.api.get(f"/agents/{agent_id}/wallet"))["wallet"]


@pytest.mark.parametrize(
    ("rate", "released"), [(0, 0), (1, MOST // 100), (99, MOST * 99 // 100), (100, MOST)]
)
def test_the_largest_amount_is_settled_at_every_rate(rich, rate, released):
    assert rich.open(cents=MOST, payerAgentId="agt_rich").status_code == 201

    answer = rich.complete(rate)

    assert answer.status_code == 201, answer.content
    settlement = body(answer)["settlement"]
    assert settlement["releasedAmountCents"] == released
    assert settlement["refundedAmountCents"] == MOST - released
    assert (wallet("agt_rich"), wallet(PAYEE)) == ((MOST - released, 0), (released, 0))


def test_money_goes_in_and_out_of_escrow_as_often_as_it_likes(rich):
    for run_id in ("run_1", "run_2", "run_3"):  # and the day's locks add up beyond 2^53-1 as well
        assert rich.open(run_id, cents=MOST, payerAgentId="agt_rich").status_code == 201
        assert rich.append("RUN_FAILED", run_id=run_id).status_code == 201

    seen = shown(rich, "agt_rich")
    assert (seen["availableCents"], seen["escrowLockedCents"]) == (MOST, 0)
    assert seen["totalCreditedCents"] == str(4 * MOST)  # a number would lose its last digits
    assert seen["totalDebitedCents"] == 0


def test_a_wallet_is_full_with_what_it_has_locked_counted_in(rich):
    rich.open(cents=MOST, payerAgentId="agt_rich")

    answer = rich.api.post("/agents/agt_rich/wallet/credit", {"amountCents": 1})

    assert refusal(answer) == (409, "WALLET_TOTAL_TOO_LARGE")
    assert wallet("agt_rich") == (0, MOST)


def test_a_run_that_cannot_be_paid_into_a_full_wallet_can_still_give_its_money_back(rich):
    rich.open("run_1", cents=MOST, payerAgentId="agt_rich")
    rich.complete(run_id="run_1")
    rich.open("run_2", cents=5)

    assert refusal(rich.complete(run_id="run_2")) == (409, "WALLET_TOTAL_TOO_LARGE")
    assert rich.append("RUN_FAILED", run_id="run_2").status_code == 201
    assert (wallet(PAYER), wallet(PAYEE)) == ((100_000, 0), (MOST, 0))
