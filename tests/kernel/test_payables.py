"""What a payee may be paid, and taking it out of the wallet for a payout (kernel spec 13.2 to 13.4)."""

import datetime as dt

import pytest

from settld.core.errors import Refusal
from settld.kernel import open_cases
from settld.kernel.models import Adjustment, PayoutReservation
from settld.kernel.queries import payables as queries
from settld.kernel.queries import refs
from settld.kernel.queries.refs import Ref
from settld.kernel.services import payables
from settld.kernel.states import RefKind
from settld.ledger.models import JournalEntry, MonthClose
from tests.kernel import paying, work
from tests.kernel.work import NOW, PAYEE, TENANT
from tests.support import factories
from tests.support.api import body

WEEK = dt.timedelta(days=7)


@pytest.fixture
def scoped(runs):
    with paying.scope():
        yield runs


def reason(as_of=NOW, place=0):
    return listed(as_of).items[place].blocked_reason


def listed(as_of=NOW):
    return queries.listing(tenant_id=TENANT, agent_id=PAYEE, as_of=as_of)


def refused(code, call, *given, **more):
    with pytest.raises(Refusal) as caught:
        call(*given, **more)
    assert caught.value.code == code
    assert not PayoutReservation.objects.exists()
    paying.require_whole()
    return caught.value.details


# --- 13.2, 13.3: what is payable, and since when ----------------------------------------------------
@pytest.mark.parametrize(
    ("milliseconds", "expected"), [(-1, "challenge_window_open"), (0, "challenge_window_open"), (1, None)]
)
def test_the_windows_last_instant_still_blocks_and_the_next_millisecond_pays(scoped, milliseconds, expected):
    scoped.settled(window_days=7)
    at = paying.ms(NOW + WEEK, milliseconds)

    assert reason(at) == expected
    item = listed(at).items[0]
    assert (item.run_id, item.amount_cents, item.eligible_at) == ("run_1", 1000, NOW + WEEK)
    if expected is None:
        assert paying.reserve(paying.ref_to(), now=at).is_new
    else:
        details = refused("PAYOUT_REFERENCE_BLOCKED", paying.reserve, paying.ref_to(), now=at)
        assert details["blocked"] == [
            {"kind": "settlement_receipt", "id": paying.receipt_of().receipt_id, "blockedReason": expected,
             "eligibleAt": "2026-03-17T12:00:00.000Z"}
        ]  # fmt: skip


def test_without_a_window_it_is_payable_at_once(scoped):
    scoped.settled(window_days=0)
    assert reason() is None
    assert (listed().payable_cents, listed().blocked_cents) == (1000, 0)


def test_an_open_dispute_blocks_until_it_is_closed(scoped):
    scoped.settled(window_days=7)
    assert scoped.dispute("open").status_code == 200
    after = NOW + WEEK + WEEK

    assert reason(after) == "dispute_open"
    assert listed(after).items[0].eligible_at is None
    refused("PAYOUT_REFERENCE_BLOCKED", paying.reserve, paying.ref_to(), now=after)

    closed = scoped.dispute("close", {"resolutionOutcome": "withdrawn", "closedByAgentId": work.PAYER,
                                      "resolutionSummary": "mistaken"})  # fmt: skip
    assert closed.status_code == 200, closed.content
    assert reason(after) is None
    assert paying.reserve(paying.ref_to(), now=after).is_new


def test_a_case_that_is_not_closed_blocks_although_its_dispute_is_closed(scoped, monkeypatch):
    class Cases:
        def of_runs(self, *, tenant_id, run_ids):
            return frozenset({"run_1"} & set(run_ids))

        def of_hold(self, **_):
            return None

    scoped.settled(window_days=0)
    monkeypatch.setattr(open_cases, "_registered", Cases())
    assert reason() == "arbitration_open"
    refused("PAYOUT_REFERENCE_BLOCKED", paying.reserve, paying.ref_to())


def test_a_released_holdback_is_payable_at_once_and_a_verdict_changes_its_runs_receipt(scoped):
    from settld.kernel import documents
    from settld.kernel.services import adjustments

    scoped.settled(window_days=0)
    document = documents.kernel_adjustment(
        adjustment_id="sadj_run_run_1_avd_1", tenant_id=TENANT, kind="verdict_refund", amount_cents=300,
        shortfall_cents=0, currency="USD", source_ref={}, verdict_ref=None,
        created_at="2026-03-10T12:00:00.000Z",
    )  # fmt: skip
    adjustments.record(document=document, agent_id=PAYEE, run_id="run_1")

    item = listed().items[0]
    assert (item.ref.amount_cents, item.amount_cents) == (1000, 700)
    assert listed().payable_cents == 700
    found = list(queries.references_of(tenant_id=TENANT, period="2026-03"))
    assert [(row.type, row.amount_cents) for row in found] == [("adjustment", -300), ("receipt", 1000)]


def test_payouts_under_way_are_listed_and_paid_ones_are_not(scoped):
    scoped.settled(window_days=0)
    paying.reserve(paying.ref_to())
    assert (reason(), listed().items[0].operation_id, listed().blocked_cents) == (
        "already_allocated", paying.OPERATION, 1000,
    )  # fmt: skip
    payables.commit(**paying.named())
    assert listed().items == ()


def test_the_route_lists_what_the_query_finds_and_refuses_bad_input(scoped, api):
    scoped.settled(window_days=7)
    answer = api.get(f"/ops/kernel/payables?agentId={PAYEE}&asOf=2026-03-17T12:00:00.000Z")

    assert answer.status_code == 200
    found = body(answer)
    assert (found["payableCents"], found["blockedCents"], found["total"]) == (0, 1000, 1)
    assert found["items"][0]["blockedReason"] == "challenge_window_open"
    assert found["items"][0]["ref"] == paying.ref_to().as_json()
    for query in ("", "agentId=x%00y", f"agentId={PAYEE}&asOf=soon", f"agentId={PAYEE}&currency=!"):
        assert api.get(f"/ops/kernel/payables?{query}").status_code == 400, query
    assert api.get("/ops/kernel/payables?agentId=agt_nobody").status_code == 404


# --- 13.1: following a reference --------------------------------------------------------------------
def test_a_reference_leads_to_its_object_and_its_payouts(scoped, api):
    scoped.settled(window_days=0)
    paying.reserve(paying.ref_to())
    row = paying.receipt_of()
    path = f"/ops/kernel/refs/settlement_receipt/{row.receipt_id}"

    found = body(api.get(f"{path}?hash={row.receipt_hash}"))
    assert found["ref"] == paying.ref_to().as_json()
    assert (found["object"], found["runId"], found["link"]) == (row.body, "run_1", "/runs/run_1/settlement")
    assert [(one["operationId"], one["state"]) for one in found["payouts"]] == [("mop_one", "reserved")]
    other = api.get(f"{path}?hash={'0' * 64}")
    assert (other.status_code, body(other)["code"]) == (409, "PAYOUT_REFERENCE_MISMATCH")
    assert api.get("/ops/kernel/refs/settlement_receipt/rcpt_none").status_code == 404
    assert api.get("/ops/kernel/refs/nonsense/rcpt_none").status_code == 404


def test_every_kind_resolves(scoped):
    from settld.kernel.models import FundingReceipt

    funded = FundingReceipt.objects.get()
    found = refs.resolve(tenant_id=TENANT, kind="funding_receipt", ref_id=funded.receipt_id)
    assert (found.hash, found.amount_cents, found.agent_id) == (funded.receipt_hash, 100_000, work.PAYER)
    statement = paying.derived(carry_in_cents=-40, manual_cents=100)
    carried = refs.resolve(tenant_id=TENANT, kind="carry_in", ref_id=statement.artifact_id)
    assert (carried.hash, carried.amount_cents, carried.agent_id) == (statement.statement_hash, -40, PAYEE)
    name = f"jnl_{funded.journal_entry_id}"
    entry = refs.resolve(tenant_id=TENANT, kind="ledger_entry", ref_id=name)
    assert (entry.id, entry.amount_cents) == (name, 0)


# --- 13.4: reserve, commit, release, return ---------------------------------------------------------
def test_a_payout_takes_its_gross_and_its_parts_add_up(scoped):
    scoped.settled(window_days=0)
    scoped.settled("run_2", window_days=0, cents=500)
    cash = paying.cash()
    done = paying.reserve(paying.ref_to(), paying.ref_to("run_2"), recovery_cents=400)

    assert (done.reservation.amount_cents, done.reservation.recovery_cents) == (1100, 400)
    assert (paying.available(), paying.clearing()) == (0, 1100)
    assert sum(cents for _, cents, _ in paying.given()) == 1100
    recovery = Adjustment.objects.get(kind="chargeback_recovery")
    assert (recovery.adjustment_id, recovery.amount_cents) == ("sadj_rec_mop_one", 400)
    assert paying.balance("acct_chargeback_recovery") == -400
    assert paying.cash() == cash
    paying.require_whole()

    payables.commit(**paying.named())
    assert paying.cash() == cash - 1100
    assert paying.balance("acct_payout_clearing") == 1500
    assert JournalEntry.objects.filter(entry_id="jnl_payout_mop_one").count() == 1
    paying.require_whole()


def test_each_verb_does_its_part_once(scoped):
    scoped.settled(window_days=0)
    assert paying.reserve(paying.ref_to()).is_new
    assert not paying.reserve(paying.ref_to()).is_new
    for verb, state in ((payables.commit, "committed"), (payables.return_, "returned")):
        for _ in range(2):
            assert verb(**paying.named()).state == state
            paying.require_whole()
    assert paying.available() == 1000


def test_a_released_payout_frees_what_it_rested_on(scoped):
    scoped.settled(window_days=0)
    paying.reserve(paying.ref_to(), recovery_cents=300)
    assert payables.release(**paying.named()).state == "released"

    assert (paying.available(), paying.clearing(), paying.balance("acct_chargeback_recovery")) == (1000, 0, 0)
    assert all(is_released for *_, is_released in paying.given())
    paying.require_whole()
    assert paying.reserve(paying.ref_to(), operation_id="mop_two").is_new
    paying.require_whole()


def test_a_payout_taken_back_returns_the_money_and_keeps_its_references(scoped):
    scoped.settled(window_days=0)
    cash = paying.cash()
    paying.reserve(paying.ref_to(), recovery_cents=300)
    payables.commit(**paying.named())
    payables.return_(**paying.named(), source_hash="b" * 64)

    adjustment = Adjustment.objects.get(kind="payout_return")
    assert (adjustment.adjustment_id, adjustment.amount_cents) == ("sadj_pay_mop_one", 700)
    assert adjustment.body["sourceRef"] == {"kind": "payout", "id": "mop_one", "hash": "b" * 64}
    assert (paying.available(), paying.cash()) == (1000, cash)
    assert not any(is_released for *_, is_released in paying.given())
    with pytest.raises(payables.ReferenceBlocked):
        paying.reserve(paying.ref_to(), operation_id="mop_two")
    paying.require_whole()


def test_a_payout_that_the_debt_takes_whole_is_committed_at_once(scoped):
    scoped.settled(window_days=0)
    paying.reserve(paying.ref_to(), recovery_cents=1000)

    assert (paying.state(), paying.available(), paying.clearing()) == ("committed", 0, 0)
    assert [cents for _, cents, _ in paying.given()] == [1000, -1000]
    assert not JournalEntry.objects.filter(entry_id="jnl_payout_mop_one").exists()
    paying.require_whole()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"hash": "0" * 64}, "hash_differs"),
        ({"id": "rcpt_setl_none"}, "not_found"),
        ({"amount_cents": 999}, "amount_differs"),
        ({"kind": RefKind.SETTLEMENT_ADJUSTMENT}, "not_found"),
    ],
)
def test_a_reference_that_says_something_else_is_refused(scoped, changed, problem):
    scoped.settled(window_days=0)
    ref = paying.ref_to()
    told = {"kind": ref.kind, "id": ref.id, "hash": ref.hash, "amount_cents": ref.amount_cents} | changed

    details = refused("PAYOUT_REFERENCE_MISMATCH", paying.reserve, Ref(**told))
    assert details["mismatched"][0]["problem"] == problem


def test_references_of_another_payee_twice_or_of_another_sum_are_refused(scoped):
    scoped.settled(window_days=0)
    ref = paying.ref_to()
    for code, references, more, problem in (
        ("PAYOUT_REFERENCE_MISMATCH", [ref], {"party_id": f"pty_operator:{work.PAYER}"}, "payee_differs"),
        ("PAYOUT_REFERENCE_MISMATCH", [ref], {"party_id": "pty_operator:agt_nobody"}, "payee_unknown"),
        ("PAYOUT_REFERENCE_MISMATCH", [ref, ref], {}, "named_twice"),
        ("PAYOUT_REFERENCE_MISMATCH", [ref], {"amount_cents": 1001}, "sum_differs"),
    ):
        details = refused(code, paying.reserve, *references, **more)
        assert details["mismatched"][0]["problem"] == problem


def test_an_id_alone_names_hash_and_amount(scoped):
    scoped.settled(window_days=0)
    ref = Ref(RefKind.SETTLEMENT_RECEIPT, paying.receipt_of().receipt_id)
    assert paying.reserve(ref, amount_cents=1000).is_new
    assert paying.given() == [(ref.id, 1000, False)]


def test_a_wallet_that_was_spent_refuses(scoped):
    from settld.kernel.services import books, wallets

    scoped.settled(window_days=0)
    locked = wallets.lock(tenant_id=TENANT, agent_ids=[PAYEE, work.PAYER], currency="USD", now=NOW)
    books.transfer(
        payer=locked[work.PAYER], payee=locked[PAYEE], is_to_payer=True, amount_cents=1,
        adjustment_id="sadj_x", run_id="run_1", now=NOW,
    )  # fmt: skip
    assert refused("INSUFFICIENT_WALLET_BALANCE", paying.reserve, paying.ref_to())["needsCents"] == 1000


def test_a_closed_month_never_refuses_a_providers_word(scoped):
    from settld.audit.models import OpsAudit

    scoped.settled(window_days=0)
    paying.reserve(paying.ref_to())
    MonthClose.objects.filter(month="2026-03").update(
        status="CLOSED", requested_at=NOW, closed_at=NOW, last_event_id="e", last_chain_hash="c"
    )
    payables.commit(**paying.named())

    entry = JournalEntry.objects.get(entry_id="jnl_payout_mop_one")
    assert (entry.period, entry.at) == ("2026-04", dt.datetime(2026, 4, 1, tzinfo=dt.UTC))
    audit = OpsAudit.objects.get(action="PAYOUT_BOOKED_AHEAD")
    assert audit.details["closedMonth"] == "2026-03"
    payables.return_(**paying.named())
    assert paying.available() == 1000
    paying.require_whole()


def test_the_checks_find_what_is_broken(scoped):
    from django.db import connection

    from settld.kernel.queries import payout_checks

    scoped.settled(window_days=0)
    paying.reserve(paying.ref_to())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE payout_allocation SET amount_cents = 999, released_at = now()")
    assert [(check.code, payout_checks.run(check, tenant_id=TENANT)) for check in payout_checks.CHECKS] == [
        ("PAYOUT_REFERENCES_ADD_UP", [("mop_one", 1000, 999)]),
        ("PAYOUT_REFERENCES_FOLLOW_STATE", [("mop_one", 1000, 0)]),
        ("PAYOUT_MONEY_FOLLOWS_STATE", []),
        ("PAYOUT_CASH_FOLLOWS_STATE", []),
    ]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE payout_reservation SET state = 'committed'")
    assert payout_checks.run(payout_checks.CASH_FOLLOWS_STATE, tenant_id=TENANT) == [("mop_one", 1000, 0)]
    assert factories.TENANT == TENANT
