"""Holds let go once their challenge window is over (kernel spec 7.1)."""

import datetime as dt

import pytest
from django.conf import settings as django_settings
from prometheus_client import REGISTRY

from settld.core import clock, tenancy
from settld.core.hashing import canonical_hash
from settld.kernel import open_cases
from settld.kernel.models import Adjustment, FundingHold
from settld.kernel.queries import checks
from settld.kernel.services import holdback_release, holds
from settld.kernel.states import AdjustmentKind
from settld.kernel.tasks import release_holds
from settld.ledger.models import Allocation, JournalEntry
from settld.maintenance.models import MaintenanceRun
from tests.kernel.work import ACTOR, NOW, PAYEE, PAYER, TENANT, an_agent, money, wallet
from tests.support.api import body

PATH = "/ops/maintenance/tool-call-holdback/run"
WINDOW = dt.timedelta(minutes=1)
AFTER = NOW + WINDOW + dt.timedelta(milliseconds=1)


@pytest.fixture
def world(db):
    an_agent(PAYER)
    an_agent(PAYEE)
    money(PAYER, 1000)


def a_hold(letter="a", *, at=NOW, amount=100, bps=10_000):
    given = holds.HoldTerms(
        agreement_hash=letter * 64, receipt_hash="0" * 64, payer_agent_id=PAYER, payee_agent_id=PAYEE,
        amount_cents=amount, currency="USD", holdback_bps=bps, challenge_window_ms=60_000,
    )  # fmt: skip
    with tenancy.tenant_scope(TENANT):
        return holds.lock(tenant_id=TENANT, terms=given, actor=ACTOR, now=at)


def run(api, now=AFTER, **given):
    with clock.freeze(now):
        return body(api.post(PATH, given))


def counts(report):
    return tuple(report[name] for name in ("attempted", "released", "blocked", "errors"))


def fresh(hold):
    with tenancy.tenant_scope(TENANT):
        return FundingHold.objects.get(pk=hold.pk)


class CaseOn:
    """A case that is not closed, about one hold."""

    def __init__(self, hold):
        self.hold_hash = hold.hold_hash

    def of_runs(self, *, tenant_id, run_ids):
        return frozenset()

    def of_hold(self, *, tenant_id, hold_hash, receipt_hash):
        return "arb_case_1" if hold_hash == self.hold_hash else None


@pytest.fixture
def case_on(monkeypatch):
    return lambda hold: monkeypatch.setattr(open_cases, "_registered", CaseOn(hold))


def test_an_expired_hold_is_paid_out_once_with_its_adjustment(api, world):
    hold = a_hold()

    assert run(api) == {
        "ok": True, "tenantId": TENANT, "dryRun": False, "attempted": 1, "released": 1, "blocked": 0,
        "errors": 0, "blockedCases": [],
    }  # fmt: skip
    assert (wallet(PAYER), wallet(PAYEE)) == ((900, 0), (100, 0))
    adjustment_id = f"sadj_agmt_{'a' * 64}_holdback"
    made = body(api.get(f"/ops/settlement-adjustments/{adjustment_id}"))["adjustment"]
    assert (made["kind"], made["amountCents"], made["holdHash"]) == ("holdback_release", 100, hold.hold_hash)
    assert "verdictRef" not in made
    unhashed = {key: value for key, value in made.items() if key != "adjustmentHash"}
    assert made["adjustmentHash"] == canonical_hash(unhashed)
    shown = body(api.get(f"/ops/tool-calls/holds/{hold.hold_hash}"))["hold"]
    assert (shown["status"], shown["revision"], shown["resolvedAt"]) == ("released", 1, clock.iso(AFTER))
    assert shown["metadata"] == {"autoReleased": True, "adjustmentId": adjustment_id}
    with tenancy.tenant_scope(TENANT):
        twin = JournalEntry.objects.get(entry_id=f"jnl_escrow_release_{adjustment_id}")
        shares = set(
            Allocation.objects.filter(entry_id=twin.entry_id).values_list(
                "account_id", "party_id", "amount_cents"
            )
        )
        assert checks.wallets_unlike_ledger(tenant_id=TENANT) == []
        assert checks.escrow_unlike_holdings(tenant_id=TENANT) == []
    assert twin.memo == "job:- SETTLED"
    assert shares == {
        ("acct_customer_escrow", f"pty_customer:{PAYER}", 100),
        ("acct_operator_payable", f"pty_operator:{PAYEE}", -100),
    }
    audited = body(api.get("/ops/audit?action=TOOL_CALL_HOLD_AUTO_RELEASE"))["audit"]
    assert [row["targetId"] for row in audited] == [hold.hold_hash]
    assert counts(run(api)) == (0, 0, 0, 0)


def test_the_windows_last_instant_still_belongs_to_the_dispute(api, world):
    hold = a_hold()

    assert counts(run(api, now=NOW + WINDOW)) == (0, 0, 0, 0)
    assert fresh(hold).status == "held"


def test_a_dry_run_tells_what_would_be_and_moves_nothing(api, world):
    hold = a_hold()

    assert counts(run(api, dryRun=True)) == (1, 1, 0, 0)
    assert (fresh(hold).status, wallet(PAYER)) == ("held", (900, 100))


def test_the_oldest_go_first_up_to_the_limit(api, world):
    newer, older = a_hold("a"), a_hold("b", at=NOW - WINDOW)

    assert counts(run(api, limit=1)) == (1, 1, 0, 0)
    assert (fresh(older).status, fresh(newer).status) == ("released", "held")


def test_an_open_case_blocks_its_hold_and_keeps_no_other_waiting(api, world, case_on):
    blocked, free = a_hold("a", at=NOW - WINDOW), a_hold("b")
    case_on(blocked)
    name, labels = "tool_call_holdback_auto_release_skipped_total", {"reason": "arbitration_case_open"}
    before = REGISTRY.get_sample_value(name, labels) or 0

    report = run(api, limit=1)
    assert counts(report) == (2, 1, 1, 0)
    assert report["blockedCases"] == [{"holdHash": blocked.hold_hash, "caseId": "arb_case_1"}]
    assert (fresh(blocked).status, fresh(free).status) == ("held", "released")
    assert REGISTRY.get_sample_value(name, labels) == before + 1


def test_a_hold_that_fails_leaves_the_others_their_turn(api, world, monkeypatch):
    broken, sound = a_hold("a", at=NOW - WINDOW), a_hold("b")
    settle = holds.settle

    def settle_but_one(hold, **more):
        if hold.pk == broken.pk:
            raise holds.HoldNotActive()
        return settle(hold, **more)

    monkeypatch.setattr(holds, "settle", settle_but_one)
    assert counts(run(api)) == (2, 1, 0, 1)
    assert (fresh(broken).status, fresh(sound).status) == ("held", "released")


def test_a_closed_month_keeps_the_money_where_it_is(api, world):
    hold = a_hold()
    with tenancy.tenant_scope(TENANT):
        from settld.ledger.models import MonthClose

        MonthClose.objects.filter(tenant_id=TENANT, month="2026-03").update(
            status="CLOSED", requested_at=NOW, closed_at=NOW, last_event_id="evt_1", last_chain_hash="c" * 64
        )
    assert counts(run(api)) == (1, 0, 0, 1)
    assert (fresh(hold).status, wallet(PAYER)) == ("held", (900, 100))


def test_a_hold_of_nothing_is_released_without_an_entry(api, world):
    hold = a_hold(bps=0)

    assert counts(run(api)) == (1, 1, 0, 0)
    with tenancy.tenant_scope(TENANT):
        assert Adjustment.objects.get(hold_hash=hold.hold_hash).amount_cents == 0
        assert not JournalEntry.objects.filter(source_id=hold.hold_hash).exists()


def test_a_refund_gives_the_payer_back_what_was_held_and_nothing_follows(api, world):
    hold = a_hold()
    with tenancy.tenant_scope(TENANT):
        ref = {"caseId": "arb_case_1", "verdictHash": "d" * 64}
        made = holds.settle(hold, kind=AdjustmentKind.HOLDBACK_REFUND, verdict_ref=ref, now=AFTER)
        assert made.body["verdictRef"] == ref
        with pytest.raises(holds.HoldNotActive):
            holds.settle(hold, kind=AdjustmentKind.HOLDBACK_RELEASE, now=AFTER)
        memo = JournalEntry.objects.get(entry_id=f"escrow_forfeit_{made.adjustment_id}").memo
        assert not JournalEntry.objects.filter(entry_id__startswith="jnl_escrow_forfeit").exists()
    assert memo == f"escrow:forfeit:{made.adjustment_id}"
    assert (wallet(PAYER), wallet(PAYEE)) == ((1000, 0), (0, 0))
    shown = body(api.get(f"/agents/{PAYER}/wallet"))["wallet"]
    assert (shown["totalCreditedCents"], shown["totalDebitedCents"]) == (
        1100,
        0,
    )  # a refund counts as a credit
    assert counts(run(api)) == (0, 0, 0, 0)


def test_the_loop_serves_every_tenant_and_leaves_no_trace_without_work(world):
    hold = a_hold()
    entry = django_settings.CELERY_BEAT_SCHEDULE["tool-call-holdback"]
    assert (entry["task"], entry["schedule"]) == (release_holds.name, 60.0)

    assert holdback_release.run_over_all(now=NOW) is None
    done = holdback_release.run_over_all(now=AFTER)
    assert done is not None
    assert (done.summary["tenants"], done.summary["released"]) == (1, 1)
    assert fresh(hold).status == "released"
    with tenancy.tenant_scope("*"):
        assert MaintenanceRun.objects.filter(kind=holdback_release.KIND).count() == 1


@pytest.mark.parametrize("given", [{"limit": 0}, {"limit": "x"}, {"dryRun": "yes"}, {"limit": True}])
def test_a_bad_body_is_refused(api, db, given):
    assert api.post(PATH, given).status_code == 400
