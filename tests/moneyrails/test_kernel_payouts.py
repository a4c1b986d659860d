"""A payout of a derived statement moves its payee's wallet, state by state (kernel spec 13.4, 13.6)."""

import datetime as dt

import pytest

from moneyrails.models import ChargebackEntry, Movement, Operation, PayoutOutcome
from moneyrails.queries import movement_references
from moneyrails.services import cancellation, enqueue, simulation
from settld.closing import payouts_made
from settld.core.errors import Refusal
from settld.kernel.models import Adjustment, PayoutAllocation, PayoutReservation
from settld.ledger.models import JournalEntry, MonthClose
from tests.kernel import paying, work
from tests.kernel.work import NOW, PAYEE, TENANT
from tests.support import factories
from tests.support.factories import ACTOR

PARTY = f"pty_operator:{PAYEE}"
NET = {"enabled": True, "negativeBalanceMode": "net"}


@pytest.fixture
def runs(db, _providers, api):
    from settld.core import clock

    with clock.freeze(NOW), paying.scope():
        work.parties()
        yield work.Runs(api)
        paying.require_whole()


def pay(period="2026-02", *, now=NOW, **more):
    given = {"party_id": PARTY, "provider_id": "", "counterparty_ref": "", "actor": ACTOR} | more
    return enqueue.enqueue(tenant_id=TENANT, period=period, now=now, **given)


def earned(runs, run_id="run_1", cents=1000, window_days=0):
    runs.settled(run_id, window_days=window_days, cents=cents)
    return paying.ref_to(run_id)


def refused(code, call, *given, **more):
    with pytest.raises(Refusal) as caught:
        call(*given, **more)
    assert caught.value.code == code
    assert not Operation.objects.exists()
    assert not PayoutReservation.objects.exists()
    return caught.value.details


def test_enqueue_reserves_in_its_own_transaction_and_says_so_among_the_gates(runs):
    paying.derived(earned(runs))
    operation = pay().operation

    assert (paying.state(operation.operation_id), paying.available()) == ("reserved", 0)
    assert [verdict["gate"] for verdict in operation.gate_verdicts] == list(range(2, 18))
    assert operation.gate_verdicts[-1] == {
        "gate": 17, "name": "kernel_references", "verdict": "passed", "references": 1,
    }  # fmt: skip
    assert pay().operation == operation
    assert PayoutReservation.objects.count() == 1


@pytest.mark.parametrize(
    ("events", "state", "wallet", "cash"),
    [
        (("submitted", "confirmed"), "committed", 0, -1000),
        (("failed",), "released", 1000, 0),
        (("submitted", "failed"), "released", 1000, 0),
        (("submitted", "cancelled"), "released", 1000, 0),
        (("submitted", "confirmed", "reversed"), "returned", 1000, 0),
    ],
)
def test_each_state_of_the_operation_is_followed(runs, events, state, wallet, cash):
    paying.derived(earned(runs))
    before = paying.cash()
    operation = factories.walked(pay().operation, *events)

    assert paying.state(operation.operation_id) == state
    assert (paying.available(), paying.cash() - before) == (wallet, cash)
    assert all(is_free == (state == "released") for *_, is_free in paying.given(operation.operation_id))


def test_a_cancelled_payout_gives_its_money_back(runs):
    paying.derived(earned(runs))
    operation = pay().operation
    assert cancellation.cancel(**factories.key_of(operation), actor=ACTOR, now=NOW).applied
    assert (paying.state(operation.operation_id), paying.available()) == ("released", 1000)


def test_what_a_failed_payout_rested_on_is_paid_by_the_restated_month(runs):
    ref = earned(runs)
    row = paying.derived(ref)
    factories.walked(pay().operation, "failed")
    type(row).objects.filter(pk=row.pk).update(superseded_at=NOW)
    MonthClose.objects.filter(month="2026-02").update(generation=2)
    paying.derived(ref, generation=2)

    again = pay().operation
    assert [row[0] for row in paying.given(again.operation_id)] == [ref.id]
    assert paying.available() == 0


# --- refusals ---------------------------------------------------------------------------------------
def test_a_statement_over_something_blocked_is_not_paid(runs):
    paying.derived(earned(runs, window_days=7), payable_after=NOW + dt.timedelta(days=7))
    at_end = NOW + dt.timedelta(days=7)

    assert refused("PAYOUT_HOLDBACK_ACTIVE", pay, now=paying.ms(at_end, -1))
    blocked = refused("PAYOUT_REFERENCE_BLOCKED", pay, now=at_end)["blocked"]
    assert [row["blockedReason"] for row in blocked] == ["challenge_window_open"]
    assert paying.available() == 1000
    assert pay(now=paying.ms(at_end, 1)).operation.amount_cents == 1000


def test_a_statement_whose_reference_has_another_hash_is_not_paid(runs):
    ref = earned(runs)
    paying.derived(type(ref)(ref.kind, ref.id, "0" * 64, ref.amount_cents))
    assert refused("PAYOUT_REFERENCE_MISMATCH", pay)["mismatched"][0]["problem"] == "hash_differs"


def test_a_month_that_was_reopened_meanwhile_is_not_paid(runs, monkeypatch):
    """The statement is read without a lock; the month's lock, taken later, finds the other generation."""
    paying.derived(earned(runs))
    MonthClose.objects.filter(month="2026-02").update(generation=2)
    refused("PARTY_STATEMENT_NOT_CLOSED", pay)


def test_a_refusal_after_the_reservation_takes_it_along(runs):
    factories.set_controls(dailyPayoutLimitCents=999)
    paying.derived(earned(runs))
    refused("PAYOUT_DAILY_LIMIT_EXCEEDED", pay)
    assert paying.available() == 1000


def test_the_simulation_foresees_it(runs):
    paying.derived(earned(runs, window_days=7))
    asked = simulation.Asked(TENANT, PARTY, 1000, period="2026-02")

    found = simulation.simulate(asked, now=NOW)
    assert (found.outcome, found.first_refusal["code"]) == ("refused", "PAYOUT_REFERENCE_BLOCKED")
    later = simulation.simulate(asked, now=NOW + dt.timedelta(days=8))
    assert (later.outcome, later.verdicts[-1]["name"]) == ("enqueued", "kernel_references")
    assert not PayoutReservation.objects.exists()


# --- carry, manual entries, parties without a wallet ------------------------------------------------
def manual(cents, *, party_id=PARTY, entry_id="man_1", at=dt.datetime(2026, 2, 10, tzinfo=dt.UTC)):
    """Owe a party more by hand."""
    from settld.ledger.services import journal
    from settld.ledger.services.journal import EntryDraft, Line, Share
    from settld.ledger.states import Book

    lines = (
        Line("acct_platform_revenue", cents, "USD", (Share("pty_platform", "platform", cents),)),
        Line("acct_operator_payable", -cents, "USD", (Share(party_id, "operator", -cents),)),
    )
    factories.close_month(at.strftime("%Y-%m"), status="OPEN")
    draft = EntryDraft(entry_id, Book.GENERAL, at, "correction", "manual", entry_id, lines, reason="tests")
    journal.post(tenant_id=TENANT, entries=[draft], now=NOW)


def test_carry_and_manual_entries_are_named_as_what_they_are(runs):
    ref = earned(runs)
    manual(-100)
    row = paying.derived(ref, carry_in_cents=-250, manual_cents=-100)
    operation = pay().operation

    assert operation.amount_cents == 650
    found = {(one.ref_kind, one.ref_id, one.amount_cents) for one in PayoutAllocation.objects.all()}
    assert found == {
        ("settlement_receipt", ref.id, 1000),
        ("ledger_entry", f"man_1#{PARTY}", -100),
        ("carry_in", row.artifact_id, -250),
    }
    assert paying.available() == 350


def test_a_party_that_is_no_agent_is_paid_as_its_manual_entries_say(runs):
    manual(500, party_id="pty_operator")
    row = paying.derived(manual_cents=500)
    type(row).objects.filter(pk=row.pk).update(party_id="pty_operator")
    done = pay(party_id="pty_operator")

    assert done.operation.amount_cents == 500
    factories.walked(done.operation, "submitted", "confirmed", "reversed")
    assert not PayoutReservation.objects.exists()


def test_statements_made_by_hand_leave_the_kernel_alone(runs):
    factories.closed(PARTY, "2026-02", 1000)
    factories.walked(pay().operation, "submitted", "confirmed")
    assert not PayoutReservation.objects.exists()
    assert not JournalEntry.objects.filter(entry_id__contains="payout").exists()


# --- the story of a payout that is taken back -------------------------------------------------------
def test_a_reversed_payout_comes_back_and_the_next_ones_pay_is_withheld(runs):
    factories.set_controls(chargebacks=NET)
    first = earned(runs)
    paying.derived(first)
    cash = paying.cash()
    reversed_ = factories.walked(pay().operation, "submitted", "confirmed", "reversed")
    assert (paying.available(), paying.cash()) == (1000, cash)
    assert Adjustment.objects.get(kind="payout_return").adjustment_id == f"sadj_pay_{reversed_.operation_id}"

    second = earned(runs, "run_2", 1500)
    paying.derived(second, period="2026-01")
    operation = pay("2026-01").operation
    assert (operation.amount_cents, operation.recovery_applied_cents) == (500, 1000)
    assert paying.available() == 1000
    assert (paying.clearing(), paying.balance("acct_chargeback_recovery")) == (500, -1000)
    recovery = f"sadj_rec_{operation.operation_id}"
    assert sorted(paying.given(operation.operation_id)) == sorted(
        [(second.id, 1500, False), (recovery, -1000, False)]
    )
    paying.require_whole()

    factories.told(operation, "failed")
    assert (paying.available(), paying.clearing(), paying.balance("acct_chargeback_recovery")) == (2500, 0, 0)
    assert sum(ChargebackEntry.objects.filter(kind="release").values_list("amount_cents", flat=True)) == 1000


def test_pay_that_the_debt_takes_whole_leaves_nothing_to_send(runs):
    factories.set_controls(chargebacks=NET)
    paying.derived(earned(runs))
    factories.walked(pay().operation, "submitted", "confirmed", "reversed")
    second = earned(runs, "run_2", 400)
    row = paying.derived(second, period="2026-01")

    assert pay("2026-01").is_offset
    assert pay("2026-01").is_offset
    name = f"mop_{row.payout_key}"
    assert paying.state(name) == "committed"
    assert sum(cents for _, cents, _ in paying.given(name)) == 0
    assert (paying.available(), paying.balance("acct_chargeback_recovery")) == (1000, -400)
    assert not Operation.objects.filter(operation_id=name).exists()
    assert [one.operation for one in follow_forward(second)] == [None]


def test_closing_hears_what_was_paid_in_gross(runs):
    def live(period):
        return payouts_made.live_payouts(tenant_id=TENANT, period=period).get((PARTY, "USD"))

    factories.set_controls(chargebacks=NET)
    paying.derived(earned(runs))
    assert live("2026-02") is None
    operation = pay().operation
    assert live("2026-02") == 1000
    factories.walked(operation, "submitted", "confirmed", "reversed")
    assert live("2026-02") == 1000  # what it rested on stays paid
    paying.derived(earned(runs, "run_2", 1500), period="2026-01")
    netted = pay("2026-01").operation
    assert (netted.amount_cents, live("2026-01")) == (500, 1500)
    factories.told(netted, "failed")
    assert live("2026-01") is None
    paying.derived(earned(runs, "run_3", 400), period="2025-12")
    assert pay("2025-12").is_offset
    assert (live("2025-12"), PayoutOutcome.objects.filter(kind="offset").count()) == (400, 1)


# --- following a movement ---------------------------------------------------------------------------
def follow_forward(ref):
    return movement_references.of_reference(tenant_id=TENANT, kind=str(ref.kind), ref_id=ref.id)


def test_a_movement_leads_to_its_run_and_a_receipt_to_its_movements(runs):
    ref = earned(runs)
    row = paying.derived(ref)
    operation = factories.walked(pay().operation, "submitted", "confirmed", "reversed")
    movement = Movement.objects.get(operation=operation, kind="transfer")

    assert (movement.reference_type, movement.reference_id) == ("party_statement", row.payout_key)
    found = movement_references.of_movement(movement)
    assert (found.statement, found.explained_cents) == (row, movement.amount_cents)
    assert found.run_ids == {ref.id: "run_1"}
    assert [one.adjustment_id for one in found.corrections] == [f"sadj_pay_{operation.operation_id}"]
    (paid,) = follow_forward(ref)
    assert (paid.operation, [one.kind for one in paid.movements]) == (operation, ["transfer", "reversal"])


# --- a closed month ---------------------------------------------------------------------------------
def test_a_confirmation_in_a_month_that_is_closed_is_kept(runs):
    paying.derived(earned(runs))
    operation = factories.walked(pay().operation, "submitted")
    MonthClose.objects.filter(month="2026-03").update(
        status="CLOSED", requested_at=NOW, closed_at=NOW, last_event_id="e", last_chain_hash="c"
    )
    assert factories.told(operation, "confirmed").applied
    entry = JournalEntry.objects.get(entry_id=f"jnl_payout_{operation.operation_id}")
    assert (entry.period, paying.state(operation.operation_id)) == ("2026-04", "committed")


# --- the whole way, over HTTP -----------------------------------------------------------------------
def test_a_run_is_settled_its_running_month_closed_and_its_payee_paid(runs, api):
    """A client may close the running month and pay at once: what follows is booked in the next one."""
    from settld.closing.services import worker
    from tests.support.api import body

    earned(runs, cents=1000)
    earned(runs, "run_2", 234)
    manual(-34, at=NOW, entry_id="man_fee")
    assert api.post("/ops/month-close", {"month": "2026-03"}).status_code == 202
    worker.close_requested(tenant_id=TENANT)
    enqueued = api.post(f"/ops/payouts/{PARTY}/2026-03/enqueue", {})
    assert enqueued.status_code == 201, enqueued.content
    operation = body(enqueued)["moneyRailOperation"]
    name = operation["operationId"]
    assert (operation["amountCents"], paying.available()) == (1200, 34)
    assert sorted(cents for _, cents, _ in paying.given(name)) == [-34, 234, 1000]

    for event_type in ("submitted", "confirmed"):
        answer = api.post(
            "/ops/money-rails/stub_default/events/ingest",
            {"operationId": name, "eventType": event_type, "eventId": f"evt_{event_type}"},
        )
        assert answer.status_code == 200, answer.content
    assert paying.state(name) == "committed"
    entry = JournalEntry.objects.get(entry_id=f"jnl_payout_{name}")
    assert (entry.period, entry.memo) == ("2026-04", "job:- PAID_OUT")
