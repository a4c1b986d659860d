"""Races for money with real connections: one wallet, one reference, one hold (kernel spec 2.9, 15)."""

import datetime as dt
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from settld.core import tenancy, transactions
from settld.core.errors import Refusal
from settld.kernel.models import Adjustment, FundingHold, FundingReceipt, Wallet
from settld.kernel.queries import checks
from settld.kernel.services import books, funding, holdback_release, holds, wallets
from settld.kernel.states import AdjustmentKind, FundingSource
from tests.kernel.work import ACTOR, NOW, PAYEE, PAYER, TENANT, an_agent, money, wallet

AFTER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def world(live_db):
    an_agent(PAYER)
    an_agent(PAYEE)
    with tenancy.tenant_scope(TENANT):
        yield
        assert checks.wallets_unlike_ledger(tenant_id=TENANT) == []
        assert checks.escrow_unlike_holdings(tenant_id=TENANT) == []


def together(*acts):
    """Run acts at once, each on a connection of its own; gives what each gave, or its refusal's code."""
    gate = threading.Barrier(len(acts))

    def run(act):
        with tenancy.tenant_scope(TENANT):
            connection.ensure_connection()
            gate.wait(20)
            try:
                return act()
            except Refusal as refusal:
                return refusal.code
            finally:
                connections.close_all()

    with ThreadPoolExecutor(max_workers=len(acts)) as pool:
        return [future.result(60) for future in [pool.submit(run, act) for act in acts]]


def hold_terms(letter, *, payer=PAYER, payee=PAYEE, cents=100):
    return holds.HoldTerms(
        agreement_hash=letter * 64, receipt_hash="0" * 64, payer_agent_id=payer, payee_agent_id=payee,
        amount_cents=cents, currency="USD", holdback_bps=10_000, challenge_window_ms=0,
    )  # fmt: skip


def a_hold(letter, **more):
    return holds.lock(tenant_id=TENANT, terms=hold_terms(letter, **more), actor=ACTOR, now=NOW).hold_hash


def credit(agent_id, ref, cents=100):
    done = funding.credit(
        tenant_id=TENANT, agent_id=agent_id, amount_cents=cents, currency="USD",
        source_type=FundingSource.MONEY_RAIL, external_ref=ref, actor=ACTOR, now=NOW,
    )  # fmt: skip
    return done.receipt.receipt_id


def test_of_many_locks_on_one_wallet_those_get_through_that_it_can_pay(world):
    money(PAYER, 250)

    outcomes = together(*[lambda letter=letter: a_hold(letter) for letter in "abcdef"])

    assert Counter(code for code in outcomes if code.isupper()) == {"INSUFFICIENT_WALLET_BALANCE": 4}
    assert (wallet(PAYER), FundingHold.objects.count()) == ((50, 200), 2)


def test_one_agreement_gets_one_hold_whoever_asks(world):
    money(PAYER, 1000)

    outcomes = together(*[lambda: a_hold("a")] * 4)

    assert Counter(code for code in outcomes if code.isupper()) == {"HOLD_ALREADY_EXISTS": 3}
    assert wallet(PAYER) == (900, 100)


@pytest.mark.parametrize("others", [(PAYER, PAYER), (PAYER, PAYEE)])
def test_one_reference_is_credited_once_to_one_wallet_or_to_two(world, others):
    outcomes = together(*[lambda agent=agent: credit(agent, "bank_1") for agent in others])

    assert outcomes.count("EXTERNAL_REF_ALREADY_CREDITED") == 1
    assert FundingReceipt.objects.count() == 1
    assert wallet(PAYER)[0] + wallet(PAYEE)[0] == 100


def test_the_first_money_of_an_agent_comes_from_many_sides_at_once(world):
    together(*[lambda ref=ref: credit(PAYER, ref) for ref in ("r1", "r2", "r3", "r4")])

    assert (Wallet.objects.count(), wallet(PAYER)) == (1, (400, 0))


def test_two_releasers_release_each_hold_once(world):
    money(PAYER, 1000)
    hashes = [a_hold(letter) for letter in "0123456789"]

    def release():
        done = holdback_release.Round(is_dry_run=False)
        holdback_release.release_due(done, tenant_id=TENANT, limit=1000, actor=ACTOR, now=AFTER)
        return done

    rounds = together(release, release)

    assert sum(done.released for done in rounds) == len(hashes)
    assert sum(done.errors for done in rounds) == 0
    assert (wallet(PAYER), wallet(PAYEE)) == ((0, 0), (1000, 0))
    assert Adjustment.objects.count() == len(hashes)


def test_a_hold_that_a_verdict_has_locked_is_left_to_it(world):
    money(PAYER, 100)
    a_hold("a")
    done = holdback_release.Round(is_dry_run=False)
    with transactions.atomic():
        hold = FundingHold.objects.select_for_update().get()
        together(
            lambda: holdback_release.release_due(done, tenant_id=TENANT, limit=9, actor=ACTOR, now=AFTER)
        )
        holds.settle(hold, kind=AdjustmentKind.HOLDBACK_REFUND, now=AFTER)

    assert (done.attempted, done.released) == (0, 0)
    assert (wallet(PAYER), wallet(PAYEE)) == ((100, 0), (0, 0))


def test_money_crossing_between_two_wallets_never_waits_in_a_circle(world):
    money(PAYER, 1000)
    money(PAYEE, 1000)

    def cross(number, is_to_payer):
        def act():
            with transactions.atomic():
                both = wallets.lock(
                    tenant_id=TENANT, agent_ids=[PAYEE, PAYER] if is_to_payer else [PAYER, PAYEE],
                    currency="USD", now=NOW,
                )  # fmt: skip
                return books.transfer(
                    payer=both[PAYER], payee=both[PAYEE], amount_cents=10, is_to_payer=is_to_payer,
                    adjustment_id=f"sadj_{number}", run_id=None, now=NOW,
                )  # fmt: skip

        return act

    together(*[cross(number, is_to_payer=number % 2 == 0) for number in range(8)])

    assert (wallet(PAYER), wallet(PAYEE)) == ((1000, 0), (1000, 0))


def test_a_reversal_told_twice_at_once_is_applied_once(world):
    receipt_id = credit(PAYER, "bank_1", 500)

    def reverse():
        return funding.reverse(
            tenant_id=TENANT, receipt_id=receipt_id, provider_event_id="evt_1", actor=ACTOR, now=NOW
        ).adjustment_id

    assert len(set(together(reverse, reverse))) == 1
    assert (wallet(PAYER), Adjustment.objects.count()) == ((0, 0), 1)
