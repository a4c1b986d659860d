"""Each invariant: a sound tenant has none broken; a planted breach is found, at that tenant alone."""

import datetime as dt

import pytest

from reconciliation.invariants import BY_NAME, INVARIANTS
from reconciliation.states import Severity
from settld.core import tenancy
from tests.reconciliation.finance.month import closed_books
from tests.reconciliation.finance.world import case_of, lift, look, make_full, owner, stopped

A, B = "tenant_a", "tenant_b"
LATER = dt.datetime(2026, 3, 19, 13, tzinfo=dt.UTC)
OF_A = "tenant_id = 'tenant_a'"


def sets(table, there, back, where):
    """What breaks something, and what mends it again."""
    return tuple(f"UPDATE {table} SET {change} WHERE {OF_A} AND {where}" for change in (there, back))


def moves(table, column, where, by=1):
    """A sum that is changed, and changed back."""
    return sets(table, f"{column} = {column} + {by}", f"{column} = {column} - {by}", where)


def swaps(table, column, there, back, where):
    """A text that is written over another, and back."""
    return sets(
        table, f"{column} = replace({column}, '{there}', '{back}')",
        f"{column} = replace({column}, '{back}', '{there}')", where,
    )  # fmt: skip


def turns(table, column, where):
    """A hash that is read backwards; doing it again mends it."""
    return sets(table, *[f"{column} = reverse({column})"] * 2, where)


WALLET = ", ".join(f"{column} = {column} {{0}} 5" for column in ("available_cents", "total_credited_cents"))
ENTRY = "entry_id = 'jnl_2026-02_p1' AND posting_no = 0"
PAYABLE = "account_id = 'acct_operator_payable'"
RUN_2 = "run_id = 'run_2' AND settled_at IS NOT NULL"
CASH = "account_id = 'acct_cash' AND entry_id LIKE 'jnl_payout_%%'"
AVAILABLE = "account_id LIKE 'wallet:%%:available' AND bucket = ''"
TOTAL = '"acct_customer_escrow":100'
# name -> (what breaks it, what mends it)
PLANTS = {
    "ledger_entry_balances": moves("ledger_posting", "amount_cents", ENTRY),
    "ledger_posting_is_allocated": moves("ledger_allocation", "amount_cents", "party_id = 'pty_operator:p2'"),
    "ledger_balance_equals_postings": moves(
        "ledger_balance", "amount_cents", f"{PAYABLE} AND bucket = '2026-02-10'"
    ),
    "ledger_total_equals_days": moves("ledger_balance", "amount_cents", f"{PAYABLE} AND bucket = ''"),
    "closed_month_equals_ledger": swaps(
        "artifact", "body", f"{TOTAL}0", f"{TOTAL}1", "artifact_type = 'GLBatch.v1'"
    ),
    "month_names_its_last_event": turns("month_close", "last_chain_hash", "month = '2026-02'"),
    "wallet_equals_ledger": sets("wallet", WALLET.format("+"), WALLET.format("-"), "agent_id = 'agt_payer'"),
    "wallet_is_not_negative": moves("ledger_balance", "amount_cents", AVAILABLE, by=-999_999_999),
    "escrow_equals_what_is_locked": moves("agent_run_settlement", "amount_cents", "status = 'locked'"),
    "resolved_settlement_has_final_receipt": swaps(
        "settlement_receipt", "finality_state", "final", "pending", RUN_2
    ),
    "settlement_is_shared_out": moves("settlement_receipt", "released_cents", RUN_2),
    "payout_references_add_up": moves("payout_allocation", "amount_cents", "true"),
    "payout_references_follow_state": sets(
        "payout_allocation", "released_at = now()", "released_at = NULL", "true"
    ),
    "payout_money_follows_state": moves("payout_reservation", "recovery_cents", "true", by=3),
    "payout_cash_follows_state": moves("ledger_posting", "amount_cents", CASH),
    "movement_has_references": turns("money_rail_operation", "statement_hash", "true"),
    "exposure_counter_equals_payouts": moves("exposure_counter", "amount_cents", "true"),
    "party_debt_equals_entries": moves("party_balance", "outstanding_cents", "true"),
    "usage_counter_equals_events": moves("billing_usage_counter", "quantity", "event_type = 'verified_run'"),
    "audit_head_is_the_last_row": turns("ops_audit_head", "row_hash", "true"),
}


def test_every_invariant_has_a_plant_and_says_what_it_means():
    assert set(PLANTS) == {invariant.name for invariant in INVARIANTS}
    for invariant in INVARIANTS:
        assert invariant.means.endswith(".")
        assert invariant.advice.endswith(".")
        assert "%(limit)s" in invariant.sql


def look_until(tenant_id, name):
    """Look again and again, as the monitor does: a table looked at in parts takes some looks."""
    for _ in range(20):
        if name in (found := look(tenant_id, now=LATER)):
            break
    return found


def test_each_breach_is_found_stops_its_tenant_alone_and_is_cleared_when_gone(live_db, api):
    make_full(api)
    closed_books(tenant_id=B)
    assert (look(A, now=LATER), look(B, now=LATER)) == ({}, {})

    for name, statements in PLANTS.items():
        owner(statements[0])
        found = look_until(A, name)
        assert found.get(name) == "fail", (name, found)
        assert (look(B, now=LATER), stopped(B)) == ({}, ""), name

        case = case_of(A, name)
        assert (case.is_open, case.severity) == (True, BY_NAME[name].severity.value), name
        rows = case.details["rows"]
        assert rows, name
        assert all("key" in row for row in rows), name
        assert "SELECT" in case.details["query"], name
        grave = [one for one in found if BY_NAME[one].severity == Severity.CRITICAL]
        assert bool(stopped(A)) == bool(grave), name
        if grave:
            assert stopped(A).startswith("Invariant "), name

        owner(statements[-1])
        assert look(A, now=LATER) == {}, name
        assert case_of(A, name).cleared_at is not None, name
        if grave:  # it has gone, and the stop waits for a person all the same
            assert stopped(A), name
            lift(A)
    with tenancy.tenant_scope(A):
        assert {case_of(A, name).is_open for name in PLANTS} == {False}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_an_empty_tenant_breaks_nothing(db, name):
    from reconciliation.services import monitor

    with tenancy.tenant_scope("tenant_empty"):
        found = monitor.look_at(BY_NAME[name], tenant_id="tenant_empty", before=None, now=LATER)
    assert (found.rows, found.code, found.ended_sweep) == ([], None, True)
