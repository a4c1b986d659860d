"""The invariant monitor: what a breach does and does not do, over looks, people, tenants and crashes."""

import datetime as dt

import pytest
from django.db import OperationalError

from moneyrails.services import stops
from reconciliation.invariants import books
from reconciliation.models import InvariantCheck, InvariantStop
from reconciliation.services import monitor, monitor_scheduler
from reconciliation.services.monitor_scheduler import Order
from reconciliation.tasks import invariants_tick
from settld.audit.models import OpsAudit
from settld.core import clock, failpoints, tenancy, transactions
from settld.core.locks import session_advisory
from settld.maintenance.models import MaintenanceRun, MaintenanceState
from tests.reconciliation.finance.month import ADA, closed_books, known, post
from tests.reconciliation.finance.test_at_once_and_crashes import Died, dying_at
from tests.reconciliation.finance.world import NOW, case_of, lift, look, owner, stopped
from tests.reconciliation.test_runs_at_once import at_once
from tests.support.api import Api, body

A, B = "tenant_a", "tenant_b"
MINUTE = dt.timedelta(minutes=1)
NAME = "ledger_posting_is_allocated"
SPOIL = (
    "UPDATE ledger_allocation SET amount_cents = amount_cents + %s"
    " WHERE tenant_id = 'tenant_a' AND party_id = 'pty_operator:p2'"
)


@pytest.fixture
def broken(live_db):
    """Tenant A with one broken posting, tenant B whole."""
    closed_books(tenant_id=A)
    closed_books(tenant_id=B)
    owner(SPOIL, 1)


def stops_of(tenant_id):
    with tenancy.tenant_scope(tenant_id):
        rows = OpsAudit.objects.filter(tenant_id=tenant_id, action="PAYOUT_KILL_SWITCH_ENGAGED").order_by(
            "id"
        )
        return [row.actor_principal_id for row in rows]


def test_a_grave_breach_stops_its_tenant_once_with_case_and_reason(broken):
    first, second = look(A), look(A, now=NOW + MINUTE)

    assert first == second == {NAME: "fail"}
    assert stops_of(A) == ["invariant_monitor"]
    case = case_of(A, NAME)
    assert case.triage_key in stopped(A)
    assert (case.mismatch_code, case.period, case.provider_id) == (f"INVARIANT_{NAME.upper()}", "", "")
    assert case.details["rows"] == [
        {"key": "jnl_2026-02_p2", "posting_no": 1, "currency": "USD", "difference_cents": 1}
    ]
    assert stopped(B) == ""
    assert stops_of(B) == []


def test_what_a_person_lifted_is_not_stopped_again_for_the_same_rows_but_is_for_others(broken):
    look(A)
    lift(A)
    assert look(A, now=NOW + MINUTE) == {NAME: "fail"}
    assert stopped(A) == ""

    owner(SPOIL, 5)
    look(A, now=NOW + 2 * MINUTE)
    assert stopped(A)
    lift(A)
    owner(SPOIL, -5)  # back to what was seen first: that was lifted, too
    look(A, now=NOW + 3 * MINUTE)
    assert stopped(A) == ""
    assert stops_of(A) == ["invariant_monitor"] * 2


def test_a_person_s_stop_stays_as_it_is_and_the_breach_stops_when_it_is_lifted(broken):
    with tenancy.tenant_scope(A), transactions.atomic():
        stops.stop(tenant_id=A, reason="bank holiday", expires_at=None, actor=ADA, now=NOW)
    look(A)
    assert stopped(A) == "bank holiday"
    lift(A)
    look(A, now=NOW + MINUTE)
    assert stopped(A).startswith(f"Invariant {NAME}")


def test_while_it_is_stopped_already_more_breaches_are_covered_by_the_one_stop(broken):
    look(A)
    owner(
        "UPDATE ledger_balance SET amount_cents = amount_cents + 1"
        " WHERE tenant_id = 'tenant_a' AND bucket = ''"
    )
    assert set(look(A, now=NOW + MINUTE)) == {NAME, "ledger_total_equals_days"}
    assert stops_of(A) == ["invariant_monitor"]
    lift(A)  # who lifts has both cases in the queue
    look(A, now=NOW + 2 * MINUTE)
    assert stopped(A) == ""
    with tenancy.tenant_scope(A):
        kinds = {row.name: row.is_own_stop for row in InvariantStop.objects.filter(tenant_id=A)}
    assert kinds == {NAME: True, "ledger_total_equals_days": False}


def test_the_case_goes_with_the_breach_and_the_stop_waits_for_a_person(broken):
    look(A)
    owner(SPOIL, -1)
    assert look(A, now=NOW + MINUTE) == {}
    assert case_of(A, NAME).cleared_at == NOW + MINUTE
    assert stopped(A)
    with tenancy.tenant_scope(A):
        check = InvariantCheck.objects.get(tenant_id=A, name=NAME)
    assert (check.status, check.triage_key, check.broken_since) == ("pass", None, None)


def test_an_invariant_that_cannot_be_looked_at_keeps_its_case_and_says_error(broken, monkeypatch):
    look(A)
    from reconciliation import invariants

    faulty = invariants.BY_NAME[NAME]
    bad = type(faulty)(
        faulty.name, faulty.severity, faulty.means, faulty.advice, "SELECT 1/0 AS key", faulty.sweep
    )
    monkeypatch.setattr(
        monitor, "INVARIANTS", tuple(bad if one.name == NAME else one for one in monitor.INVARIANTS)
    )
    assert look(A, now=NOW + MINUTE) == {NAME: "error"}
    assert case_of(A, NAME).is_open
    with tenancy.tenant_scope(A):
        check = InvariantCheck.objects.get(tenant_id=A, name=NAME)
    assert (check.code, check.triage_key) == ("22012", case_of(A, NAME).triage_key)


def test_a_stop_that_the_database_refuses_is_that_invariant_s_error_and_is_pressed_at_the_next_look(
    broken, monkeypatch
):
    def locked(**_more):
        raise OperationalError("the lock did not come")

    owner(
        "UPDATE ops_audit_head SET row_hash = reverse(row_hash) WHERE tenant_id = 'tenant_a'"
    )  # another one, found in the same look
    with monkeypatch.context() as patched:
        patched.setattr(monitor.stops, "stop", locked)
        assert look(A) == {NAME: "error", "audit_head_is_the_last_row": "fail"}
    owner("UPDATE ops_audit_head SET row_hash = reverse(row_hash) WHERE tenant_id = 'tenant_a'")
    assert stopped(A) == ""
    look(A, now=NOW + MINUTE)
    assert stopped(A).startswith(f"Invariant {NAME}")


def test_a_tenant_whose_look_breaks_does_not_end_the_round(db, monkeypatch):
    real = monitor.look

    def faulty(*, tenant_id, now):
        if tenant_id == A:
            raise RuntimeError("unforeseen")
        return real(tenant_id=tenant_id, now=now)

    monkeypatch.setattr(monitor, "look", faulty)
    known(A)
    known(B)
    with clock.freeze(NOW):
        result = monitor_scheduler.run(Order(max_tenants=2))
    assert (result["ok"], result["summary"]["tenantCount"], result["summary"]["errored"]) == (False, 2, 1)
    assert result["results"] == [{"tenantId": A, "name": None, "status": "error", "code": "RuntimeError"}]


@pytest.mark.parametrize(
    "point",
    [
        "invariants.case.before_commit", "invariants.case.after_commit", "invariants.stop.before_commit",
        "invariants.stop.after_commit", "invariants.checks.before_commit",
    ],
)  # fmt: skip
def test_a_monitor_that_dies_is_repeated_to_one_case_and_one_stop(broken, point):
    with failpoints.watched(dying_at(point)), pytest.raises(Died):
        look(A)
    look(A, now=NOW + MINUTE)

    assert case_of(A, NAME).is_open
    assert stopped(A)
    assert stops_of(A) == ["invariant_monitor"]


def test_looks_at_once_make_one_case_and_one_stop(broken):
    at_once(lambda _number: look(A), count=4)

    assert case_of(A, NAME).is_open
    assert stops_of(A) == ["invariant_monitor"]


def test_a_large_table_is_gone_through_part_by_part_and_new_rows_are_seen_at_once(db, settings):
    known(A)
    with tenancy.tenant_scope(A):
        for number in range(7):
            post(f"jnl_{number}", 100, tenant_id=A)
    settings.INVARIANTS = {**settings.INVARIANTS, "batch_size": 3}
    invariant, places, before = books.ENTRY_BALANCES, [], None
    with tenancy.tenant_scope(A):
        for _ in range(4):
            found = monitor.look_at(invariant, tenant_id=A, before=before, now=NOW)
            before = InvariantCheck(sweep_after=found.sweep_after, checked_at=NOW, triage_key=None)
            places.append((found.sweep_after, found.ended_sweep))
    assert places == [("jnl_2", False), ("jnl_5", False), (None, True), ("jnl_2", False)]


def test_the_newest_rows_are_looked_at_wherever_the_sweep_is(live_db, settings):
    settings.INVARIANTS = {**settings.INVARIANTS, "batch_size": 1}
    known(A)
    at = NOW - MINUTE
    with tenancy.tenant_scope(A):
        for name in ("jnl_a", "jnl_b", "jnl_z"):
            post(name, 100, at=at if name == "jnl_z" else at - dt.timedelta(days=9), tenant_id=A)
    owner("UPDATE ledger_allocation SET amount_cents = amount_cents + 1 WHERE entry_id = 'jnl_z'")
    with tenancy.tenant_scope(A):
        found = monitor.look_at(books.SHARES, tenant_id=A, before=None, now=NOW)
    assert {row["key"] for row in found.rows} == {"jnl_z"}
    assert found.sweep_after == "jnl_a"


class TestRounds:
    def tick(self, now=NOW, **order):
        with clock.freeze(now):
            return monitor_scheduler.run(Order(**order))

    def test_a_round_covers_tenants_in_turn_and_leaves_rows_only_for_news(self, db):
        names = [f"tenant_{number}" for number in range(3)]
        for name in names:
            known(name)
        for turn in range(4):
            assert self.tick(NOW + turn * MINUTE, max_tenants=1)["summary"]["tenantCount"] == 1
        with tenancy.platform_scope(reason="test"):
            seen = {row.tenant_id for row in InvariantCheck.objects.all()}
            assert seen == {*names, "tenant_default"}
            assert not MaintenanceRun.objects.filter(kind="invariants").exists()
        with tenancy.tenant_scope("tenant_default"):
            assert not OpsAudit.objects.filter(action=monitor_scheduler.ACTION).exists()
        with tenancy.tenant_scope("*"):
            state = MaintenanceState.objects.get(tenant_id="*", kind="invariants")
            assert (state.outcome, state.last_run_at) == ("ok", NOW + 3 * MINUTE)

    def test_a_breach_is_news_once(self, broken):
        known("tenant_default")
        results = [self.tick(NOW + turn * MINUTE) for turn in range(3)]
        assert [result["summary"]["newsCount"] for result in results] == [1, 0, 0]
        assert [(row["tenantId"], row["name"], row["status"]) for row in results[1]["results"]] == [
            (A, NAME, "fail")
        ]
        assert results[0]["summary"]["stoppedTenants"] == 1
        with tenancy.tenant_scope("tenant_default"):
            assert OpsAudit.objects.filter(action=monitor_scheduler.ACTION).count() == 1
        with tenancy.tenant_scope(A):
            assert MaintenanceRun.objects.filter(tenant_id=A, kind="invariants").count() == 1

    def test_a_round_at_work_elsewhere_is_left_alone(self, db):
        with session_advisory(monitor_scheduler.LOCK_KEY):
            invariants_tick()


def test_the_list_and_the_status_say_what_is_broken(broken, settings, api):
    with clock.freeze(NOW):
        monitor_scheduler.run(Order())
    settings.OPS_TOKENS |= {"tok_finance": frozenset({"finance_read"}), "tok_ops": frozenset({"ops_read"})}

    answer = body(Api(A, "tok_finance").get("/ops/finance/invariants"))
    found = {row["name"]: row for row in answer["invariants"]}
    assert (answer["status"], answer["lastRunAt"]) == ("fail", "2026-03-05T12:00:00.000Z")
    assert found[NAME] | {"runtimeMs": 0} == {
        "name": NAME, "severity": "critical", "means": books.SHARES.means, "stopsPayouts": True,
        "status": "fail", "rowCount": 1, "triageKey": case_of(A, NAME).triage_key,
        "brokenSince": "2026-03-05T12:00:00.000Z", "checkedAt": "2026-03-05T12:00:00.000Z",
        "sweptAt": "2026-03-05T12:00:00.000Z", "runtimeMs": 0, "code": None,
    }  # fmt: skip
    assert body(Api(B, "tok_finance").get("/ops/finance/invariants"))["status"] == "pass"
    assert body(Api("tenant_new", "tok_finance").get("/ops/finance/invariants"))["status"] == "not_checked"
    assert Api(A, "tok_ops").get("/ops/finance/invariants").status_code == 403
    assert body(Api(A, "tok_ops").get("/ops/status"))["maintenance"]["invariants"]["broken"] == [NAME]
    assert body(Api(B, "tok_ops").get("/ops/status"))["maintenance"]["invariants"]["broken"] == []
    metrics = Api(A, "tok_ops").get("/metrics").content.decode()
    assert f'invariant_broken_gauge{{name="{NAME}",severity="critical"}} 1.0' in metrics


def test_a_case_without_a_month_can_be_decided_over_the_api(broken, api):
    look(A)
    case = case_of(A, NAME)
    answer = api.post(
        "/ops/finance/reconciliation/triage",
        {
            "sourceType": "invariant",
            "mismatchType": "invariant",
            "mismatchKey": NAME,
            "status": "acknowledged",
        },
    )
    assert answer.status_code == 200, answer.content
    assert (body(answer)["triage"]["triageKey"], body(answer)["triage"]["period"]) == (case.triage_key, None)
