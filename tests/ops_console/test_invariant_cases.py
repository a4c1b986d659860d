"""A broken invariant as the console shows it: one row on Today, and a case that says what to do."""

from moneyrails.services import stops
from reconciliation.invariants import BY_NAME
from reconciliation.services import monitor
from reconciliation.services.monitor import Look
from settld.core import clock, tenancy, transactions

NAME = "ledger_entry_balances"
ROWS = [{"key": "jnl_1", "currency": "USD", "difference_cents": 250, "problem": "does not add up to zero"}]


def broken(world):
    """File the case as the monitor does, and stop the payouts."""
    case = monitor.case_of(Look(BY_NAME[NAME], ROWS, runtime_ms=1))
    with tenancy.tenant_scope(world.tenant_id):
        monitor._file(case, tenant_id=world.tenant_id, now=clock.now())
        monitor.stop_for(case, BY_NAME[NAME], tenant_id=world.tenant_id, now=clock.now())
    return case.triage_key


def test_today_has_one_row_that_leads_to_the_case(world, approver):
    assert "broken-invariants" not in approver.get("/console").content.decode()
    key = broken(world)

    page = approver.get("/console").content.decode()

    assert page.count('id="broken-invariants"') == 1
    assert f"/console/mismatches/{key}" in page
    assert "Payouts are stopped." in page


def test_the_case_says_what_must_hold_what_breaks_it_and_what_to_do(world, approver):
    key = broken(world)

    page = approver.get(f"/console/mismatches/{key}").content.decode()

    assert BY_NAME[NAME].means in page
    assert "Correct it with a reversing entry" in page
    assert 'href="/console/journal/entries/jnl_1"' in page
    assert "2.50 USD" in page
    assert "/console/controls" in page


def test_a_lifted_stop_and_a_gone_case_leave_today_quiet(world, approver):
    key = broken(world)
    from reconciliation.services import keeping

    with tenancy.tenant_scope(world.tenant_id), transactions.atomic():
        keeping.clear(tenant_id=world.tenant_id, triage_keys=[key], now=clock.now())
        stops.lift(tenant_id=world.tenant_id, reason="mended", actor=monitor.ACTOR, now=clock.now())
    assert "broken-invariants" not in approver.get("/console").content.decode()
