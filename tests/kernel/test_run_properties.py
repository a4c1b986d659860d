"""Runs, settlements and disputes against a model of them, in any order of calls: kernel spec 5, 6, 8."""

import datetime as dt
from dataclasses import dataclass, field

from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settld.core import tenancy
from settld.kernel.models import Wallet
from settld.kernel.queries import runs as queries
from settld.kernel.queries.disputes import of_run
from settld.kernel.services import decisions
from settld.kernel.services import runs as opening
from settld.ledger.queries import balance
from settld.metering.models import UsageEvent
from tests.kernel.work import NOW, PAYEE, PAYER, TENANT, under_agreement, wallet

FUNDED = 100_000
RUNS = ("r1", "r2")
WINDOW_DAYS = 2


@dataclass
class Work:
    """What one run should be like."""

    amount: int
    is_agreed: bool
    has_window: bool
    run: str = "created"
    money: str = "locked"
    released: int = 0
    resolved_at: dt.datetime | None = None
    disputes: list[str] = field(default_factory=list)
    level: int = 0

    @property
    def is_open(self):
        return bool(self.disputes) and self.disputes[-1] == "open"


class Model:
    """The whole: what every call should answer, and what should then be so."""

    def __init__(self):
        self.now, self.works = NOW, {}

    def free(self):
        return FUNDED - sum(w.released if w.money != "locked" else w.amount for w in self.works.values())

    def open(self, run, amount, is_agreed, has_window):
        if run in self.works or amount > self.free():
            return 409
        self.works[run] = Work(amount, is_agreed, has_window)
        return 201

    def event(self, run, kind, rate):
        work = self.works.get(run)
        if work is None:
            return 404
        if work.run in ("completed", "failed"):
            return 400
        if kind == "EVIDENCE_ADDED":
            return 201
        work.run = {"RUN_STARTED": "running", "RUN_COMPLETED": "completed", "RUN_FAILED": "failed"}[kind]
        if kind in ("RUN_COMPLETED", "RUN_FAILED"):
            share = (100 if rate is None else rate) if kind == "RUN_COMPLETED" else 0
            if not work.is_agreed:
                self._resolve(work, work.amount * share // 100)
            elif share == 100:  # the default policy: green is paid, everything else waits
                self._resolve(work, work.amount)
        return 201

    def resolve(self, run, rate):
        work = self.works.get(run)
        if work is None:
            return 404
        if work.money != "locked" or work.run in ("created", "running"):
            return 409
        self._resolve(work, work.amount * rate // 100)
        return 200

    def _resolve(self, work, released):
        work.released, work.resolved_at = released, self.now
        work.money = "released" if released else "refunded"

    def dispute(self, verb, run, level):
        work = self.works.get(run)
        if work is None:
            return 404
        if work.money == "locked":
            return 409
        if verb == "open":
            is_late = not work.has_window or self.now > work.resolved_at + dt.timedelta(days=WINDOW_DAYS)
            if is_late or work.is_open:
                return 409
            work.disputes.append("open")
            work.level = 0
            return 200
        if not work.is_open or (verb == "escalate" and level < work.level):
            return 409
        if verb == "escalate":
            work.level = level
        if verb == "close":
            work.disputes[-1] = "closed"
        return 200


run_ids = st.sampled_from(RUNS)
steps = st.one_of(
    st.tuples(st.just("open"), run_ids, st.sampled_from([1, 3, 1001, 60_000]), st.booleans(), st.booleans()),
    st.tuples(st.just("event"), run_ids, st.sampled_from(["RUN_STARTED", "EVIDENCE_ADDED"]), st.none()),
    st.tuples(
        st.just("event"), run_ids, st.sampled_from(["RUN_COMPLETED", "RUN_FAILED"]),
        st.none() | st.sampled_from([0, 1, 50, 99, 100]),
    ),
    st.tuples(st.just("resolve"), run_ids, st.sampled_from([0, 1, 33, 100])),
    st.tuples(
        st.just("dispute"), st.sampled_from(["open", "evidence", "escalate", "close"]), run_ids,
        st.integers(0, 2),
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, 24, 48])),
)  # fmt: skip
LEVELS = ("l1_counterparty", "l2_arbiter", "l3_external")


def carried_out(runs, model, step):
    """Do a step in the product; gives the status of its answer."""
    verb, *rest = step
    if verb == "open":
        return _open(runs, *rest)
    if verb == "event":
        run, kind, rate = rest
        payload = {
            "RUN_COMPLETED": {"metrics": None if rate is None else {"settlementReleaseRatePct": rate}},
            "EVIDENCE_ADDED": {"evidenceRef": "ev://a"},
        }.get(kind)
        return runs.append(kind, payload, run_id=run, head=runs.heads.get(run, "none")).status_code
    if verb == "resolve":
        run, rate = rest
        return runs.resolve({"status": "released", "releaseRatePct": rate}, run_id=run).status_code
    verb, run, level = rest
    sent = {"evidenceRef": f"ev://{model.now}", "escalationLevel": LEVELS[level]} if verb != "open" else {}
    return runs.dispute(verb, sent, run_id=run).status_code


def _open(runs, run, amount, is_agreed, has_window):
    days = WINDOW_DAYS if has_window else 0
    if not is_agreed:
        return runs.open(run, cents=amount, disputeWindowDays=days).status_code
    from settld.core import transactions
    from settld.core.errors import Refusal

    terms = opening.SettlementTerms(
        payer_agent_id=PAYER, amount_cents=amount, agreement_id="agr_1", dispute_window_days=days
    )
    try:
        with tenancy.tenant_scope(TENANT), transactions.atomic():
            opened = opening.open_run(
                tenant_id=TENANT, agent_id=PAYEE, run_id=run, terms=terms,
                phase=decisions.AGREEMENT_ACCEPTED, now=NOW,
            )  # fmt: skip
    except Refusal as refusal:
        return refusal.status
    runs.heads[run] = opened.event["chainHash"]
    return 201


def require_same(runs, model):
    """Compare everything that can be read with the model."""
    released = sum(work.released for work in model.works.values())
    locked = sum(work.amount for work in model.works.values() if work.money == "locked")
    assert wallet(PAYER) == (FUNDED - released - locked, locked)
    assert wallet(PAYEE)[0] == released
    for run, work in model.works.items():
        found = runs.settlement(run)
        settlement = found["settlement"]
        assert (settlement["status"], settlement["releasedAmountCents"]) == (work.money, work.released)
        assert found["kernelVerification"]["valid"] is True
        assert (found["settlementReceipt"]["finalityState"] == "final") == (work.money != "locked")
        assert settlement["disputeStatus"] == (work.disputes[-1] if work.disputes else "none")
        with tenancy.tenant_scope(TENANT):
            disputes = of_run(tenant_id=TENANT, run_id=run)
            assert [dispute.status for dispute, _ in disputes] == work.disputes
            assert queries.check(tenant_id=TENANT, run_id=run).ok
            billed = sorted(UsageEvent.objects.filter(run_id=run).values_list("event_type", flat=True))
        wanted = ["verified_run"] * (work.run in ("completed", "failed"))
        assert billed == ["settled_volume"] * (work.money != "locked") + wanted
    with tenancy.tenant_scope(TENANT):
        for row in Wallet.objects.all():
            account = f"wallet:{TENANT}:{row.wallet_id}:"
            for suffix, cents in (
                ("available", row.available_cents),
                ("escrow_locked", row.escrow_locked_cents),
            ):
                assert balance(tenant_id=TENANT, account_id=account + suffix, currency="USD") == cents


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(taken=st.lists(steps, min_size=6, max_size=14))
def test_any_order_of_calls_leads_where_the_model_says(runs, monkeypatch, taken):
    under_agreement(monkeypatch)
    model = Model()
    runs.heads.clear()
    runs.at(NOW)
    with transaction.atomic():
        for step in taken:
            if step[0] == "wait":
                model.now += dt.timedelta(hours=step[1])
                runs.at(model.now)
                continue
            assert carried_out(runs, model, step) == getattr(model, step[0])(*step[1:]), step
        require_same(runs, model)
        with tenancy.tenant_scope(TENANT):
            connection.check_constraints()
        transaction.set_rollback(True)
