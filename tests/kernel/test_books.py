"""What the books refuse, and taking back money that came in (kernel spec 4, 13.5; finance spec 5.1)."""

import pytest
from django.db import DatabaseError, connection, transaction

from settld.core import tenancy, transactions
from settld.kernel.models import Adjustment, FundingReceipt, Wallet
from settld.kernel.queries import checks
from settld.kernel.queries import funding as receipts
from settld.kernel.services import adjustments, books, funding, wallets
from settld.ledger.models import Allocation, JournalEntry
from tests.kernel.work import ACTOR, NOW, PAYEE, PAYER, TENANT, an_agent, money, wallet
from tests.support.api import body

OP = "mop_1"


@pytest.fixture
def world(db):
    an_agent(PAYER)
    an_agent(PAYEE)
    money(PAYER, 1000)
    with tenancy.tenant_scope(TENANT):
        yield


def lock(*agents):
    return wallets.lock(tenant_id=TENANT, agent_ids=agents or [PAYER, PAYEE], currency="USD", now=NOW)


def entries(*prefixes):
    found = JournalEntry.objects.values_list("entry_id", "memo")
    return {name: memo for name, memo in found if name.startswith(prefixes)}


def lock_escrow(payer, cents, subject="run_1", policy=None):
    return books.lock_escrow(
        payer=payer,
        policy=policy,
        amount_cents=cents,
        subject=subject,
        source_type="t",
        source_id="s",
        now=NOW,
    )


def settle(locked, released, refunded, subject="run_1_evt_1"):
    return books.settle(
        payer=locked[PAYER], payee=locked[PAYEE], released_cents=released, refunded_cents=refunded,
        subject=subject, run_id="run_1", source_type="t", source_id="s", now=NOW,
    )  # fmt: skip


def test_a_settlement_in_parts_posts_both_entries_with_their_memos_and_one_twin(world):
    locked = lock()
    lock_escrow(locked[PAYER], 300)
    done = settle(locked, 200, 100)

    assert (wallet(PAYER), wallet(PAYEE)) == ((800, 0), (200, 0))
    assert (done.release_entry_id, done.refund_entry_id) == (
        "escrow_release_run_1_evt_1", "escrow_forfeit_run_1_evt_1",
    )  # fmt: skip
    assert entries("escrow_", "jnl_escrow") == {
        "escrow_hold_run_1": "escrow:hold:run_1",
        "escrow_release_run_1_evt_1": "escrow:release:run_1_evt_1",
        "jnl_escrow_release_run_1_evt_1": "job:run_1 SETTLED",
        "escrow_forfeit_run_1_evt_1": "escrow:forfeit:run_1_evt_1",
    }
    row = Wallet.objects.get(agent_id=PAYER)
    totals = (row.total_credited_cents, row.total_debited_cents, row.total_refunded_cents, row.revision)
    assert totals == (1100, 200, 100, 3)  # the refund is a credit on the wire; the sum of refunds is kept


def test_a_payout_reserves_commits_and_comes_back(world):
    payee = lock(PAYER)[PAYER]
    books.reserve(payee=payee, amount_cents=400, recovery_cents=100, operation_id=OP, now=NOW)
    assert wallet(PAYER) == (500, 0)
    books.commit_payout(
        tenant_id=TENANT, agent_id=PAYER, amount_cents=400, currency="USD", operation_id=OP, now=NOW
    )
    books.return_payout(payee=payee, amount_cents=400, recovery_cents=100, operation_id=OP, now=NOW)

    assert wallet(PAYER) == (1000, 0)
    assert entries("payout", "jnl_payout") == {
        "payout_mop_1": "payout:mop_1",
        "payout_recovery_mop_1": "payout_recovery:mop_1",
        "jnl_payout_recovery_mop_1": "job:- RECOVERED",
        "jnl_payout_mop_1": "job:- PAID_OUT",
        "payout_return_mop_1": "payout:mop_1",
        "jnl_payout_return_mop_1": "job:- PAYOUT_RETURNED",
        "payout_recovery_return_mop_1": "payout_recovery:mop_1",
        "jnl_payout_recovery_return_mop_1": "job:- RECOVERY_RETURNED",
    }
    shares = Allocation.objects.filter(entry_id="jnl_payout_recovery_mop_1")
    assert set(shares.values_list("account_id", "party_id", "amount_cents")) == {
        ("acct_payout_clearing", f"pty_operator:{PAYER}", 100),
        ("acct_chargeback_recovery", "pty_platform", -100),
    }


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        (lambda locked: lock_escrow(locked[PAYER], 1001), books.InsufficientWalletBalance),
        (lambda locked: settle(locked, 1, 0), books.InsufficientEscrowBalance),
        (lambda locked: settle(locked, 0, 1), books.InsufficientEscrowBalance),
        (
            lambda locked: books.reserve(
                payee=locked[PAYER], amount_cents=900, recovery_cents=101, operation_id=OP, now=NOW
            ),
            books.InsufficientWalletBalance,
        ),
        (
            lambda locked: books.transfer(
                payer=locked[PAYER], payee=locked[PAYEE], amount_cents=1, is_to_payer=True,
                adjustment_id="sadj_1", run_id=None, now=NOW,
            ),
            books.InsufficientWalletBalance,
        ),
        (
            lambda locked: lock_escrow(locked[PAYER], 5, policy={"maxDailyCents": 4}),
            books.WalletPolicyBlocked,
        ),
    ],
)  # fmt: skip
def test_what_is_not_there_cannot_move(world, act, refusal):
    before = JournalEntry.objects.count()
    with pytest.raises(refusal) as refused, transactions.atomic():
        act(lock())

    assert refused.value.details["code"] == refused.value.code
    assert (wallet(PAYER), wallet(PAYEE), JournalEntry.objects.count()) == ((1000, 0), (0, 0), before)


@pytest.mark.parametrize("cents", [0, -5])
def test_no_operation_moves_less_than_a_cent(world, cents):
    locked = lock()
    with pytest.raises(ValueError, match="at least one cent"):
        lock_escrow(locked[PAYER], cents)
    with pytest.raises(ValueError, match="at least one cent"):
        books.withhold(payee=locked[PAYER], amount_cents=cents, operation_id=OP, now=NOW)


def test_a_wallet_that_differs_from_its_ledger_moves_no_more(world):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE wallet SET available_cents = 1100, total_credited_cents = 1100 WHERE agent_id = %s",
            [PAYER],
        )
    found = checks.wallets_unlike_ledger(tenant_id=TENANT)
    assert [(row.wallet_cents, row.ledger_cents) for row in found] == [(1100, 1000)]
    with pytest.raises(books.EscrowLedgerMismatch) as refused, transactions.atomic():
        lock_escrow(lock(PAYER)[PAYER], 1)

    assert (refused.value.status, refused.value.code) == (409, "ESCROW_LEDGER_MISMATCH")
    assert wallet(PAYER) == (1100, 0)


def test_an_effect_that_the_journal_has_already_is_undone(world):
    lock_escrow(lock(PAYER)[PAYER], 10)
    with pytest.raises(books.EscrowLedgerMismatch) as refused, transactions.atomic():
        lock_escrow(lock(PAYER)[PAYER], 10)

    assert refused.value.details["entryIds"] == ["escrow_hold_run_1"]
    assert wallet(PAYER) == (990, 10)


def test_a_wallet_that_was_not_locked_is_never_written_over(world):
    stale = lock(PAYER)[PAYER]
    lock_escrow(lock(PAYER)[PAYER], 10)

    with pytest.raises(RuntimeError, match="should have been locked"), transactions.atomic():
        lock_escrow(stale, 10, subject="run_2")
    assert wallet(PAYER) == (990, 10)


@pytest.mark.parametrize(
    "change",
    ["available_cents = available_cents + 1", "escrow_locked_cents = -1", "total_refunded_cents = 5"],
)
def test_the_database_keeps_a_wallet_adding_up(world, change):
    with pytest.raises(DatabaseError, match="wallet_"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE wallet SET {change} WHERE agent_id = %s", [PAYER])


def test_an_escrow_without_its_settlement_is_found(world):
    lock_escrow(lock(PAYER)[PAYER], 10)

    found = checks.escrow_unlike_holdings(tenant_id=TENANT)
    assert [(row.agent_id, row.locked_cents, row.held_cents) for row in found] == [(PAYER, 10, 0)]


# --- Funding that is reversed -----------------------------------------------------------------------
def reverse(event="evt_1", **more):
    receipt = FundingReceipt.objects.get(agent_id=PAYER)
    return funding.reverse(
        tenant_id=TENANT, receipt_id=receipt.receipt_id, provider_event_id=event, actor=ACTOR, now=NOW, **more
    )


def test_a_reversal_takes_what_is_there_and_the_rest_is_owed(world, api):
    lock_escrow(lock(PAYER)[PAYER], 700)
    made = reverse()

    receipt = FundingReceipt.objects.get(agent_id=PAYER)
    assert made.adjustment_id == f"sadj_fund_{receipt.receipt_id}_evt_1"
    assert (made.amount_cents, made.shortfall_cents, wallet(PAYER)) == (300, 700, (0, 700))
    assert entries("fund_rev", "jnl_fund_rev") == {
        f"fund_rev_{made.adjustment_id}": f"fund_rev:{made.adjustment_id}",
        f"jnl_fund_rev_{made.adjustment_id}": "job:- FUNDING_REVERSED",
    }
    assert receipts.shortfall_cents(tenant_id=TENANT, agent_id=PAYER, currency="USD") == 700
    shown = body(api.get(f"/ops/settlement-adjustments/{made.adjustment_id}"))["adjustment"]
    assert (shown["kind"], shown["shortfallCents"]) == ("funding_reversal", 700)
    assert shown["sourceRef"] == {
        "kind": "funding_receipt", "id": receipt.receipt_id, "hash": receipt.receipt_hash,
    }  # fmt: skip


def test_a_reversal_of_an_empty_wallet_is_owed_whole_and_posts_nothing(world):
    lock_escrow(lock(PAYER)[PAYER], 1000)

    assert (reverse().shortfall_cents, entries("fund_rev")) == (1000, {})


def test_the_same_event_reverses_once(world):
    first = reverse(amount_cents=400)

    assert reverse(amount_cents=400).pk == first.pk
    assert wallet(PAYER) == (600, 0)
    with pytest.raises(funding.FundingReversalConflict):
        reverse(amount_cents=401)


def test_no_more_is_reversed_than_came_in(world):
    reverse(amount_cents=400)

    for cents in (601, 0, -1):
        with pytest.raises(funding.FundingReversalExceedsReceipt):
            reverse("evt_2", amount_cents=cents)
    reverse("evt_2", amount_cents=600)
    assert (wallet(PAYER), Adjustment.objects.count()) == ((0, 0), 2)


def test_a_correction_is_written_down_once(world):
    made = reverse(amount_cents=1)

    with pytest.raises(adjustments.AdjustmentExists):
        adjustments.record(document=made.body, agent_id=PAYER)


def test_an_unknown_receipt_cannot_be_reversed(world):
    with pytest.raises(receipts.FundingReceiptNotFound):
        funding.reverse(tenant_id=TENANT, receipt_id="rcpt", provider_event_id="e", actor=ACTOR, now=NOW)
