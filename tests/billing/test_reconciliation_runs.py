"""Runs: one at a time, taken over, resumed, fenced, stopped by too much that is missing (9.3)."""

import dataclasses
import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from billing import clock
from billing.models import BillableEntity, CheckoutSession, ReconciliationRun
from billing.services import reconciliation
from billing.services.reconciliation import runs, walk
from billing.services.reconciliation.checkout_open import CheckoutOpen
from billing.services.reconciliation.runs import Item, Run, RunFenced
from billing.services.reconciliation.walk import Plain
from billing.states import Scope
from tests.billing import factories, payloads
from tests.billing.checkouts import dying_at
from tests.billing.workers import NOW, fired, frozen, provider, session, trouble

__all__ = ["fired", "provider"]
LEASE = 180


class Counting(Plain):
    """A scope over numbers: each costs a call if `asks`, and writes if `repairs`."""

    scope = Scope.CHECKOUT_OPEN

    def __init__(self, count: int, entity: BillableEntity | None = None, *, asks: int = 0) -> None:
        self.count, self.entity, self.asks = count, entity, asks
        self.seen: list[int] = []
        self.applied: list[int] = []
        self.is_missing = lambda number: False
        self.on: dict[int, object] = {}

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> list[Item]:
        last = min(after + limit, self.count)
        entity_id = self.entity.pk if self.entity else 0
        return [Item(number, factories.TENANT, entity_id) for number in range(after + 1, last + 1)]

    def examine(self, run: Run, item: Item) -> None:
        run.seen += 1
        for _ in range(self.asks):
            run.ask()
        if act := self.on.get(item.id):
            act(run, item)
        if self.is_missing(item.id):
            run.note_missing(id=item.id)
        self.seen.append(item.id)

    def apply_missing(self, run: Run, what: dict) -> None:
        self.applied.append(what["id"])


def the_run() -> ReconciliationRun:
    return ReconciliationRun.objects.order_by("-id").first()


def test_t133_a_run_leaves_its_row_with_what_it_did(db, provider):
    """T-133: opened, worked, closed."""
    work = Counting(3, asks=1)
    with frozen():
        summary = walk.run(work, limit=None, is_dry=False)

    row = the_run()
    assert (summary.status, summary.is_complete) == ("succeeded", True)
    assert (row.status, row.started_at, row.finished_at) == ("succeeded", NOW, NOW)
    assert (row.scanned_count, row.cursor_json, row.lease_expires_at, row.lease_owner) == (
        3,
        None,
        None,
        None,
    )
    assert row.summary_json["providerCalls"] == 3


def test_t133_a_second_run_is_skipped_while_the_first_is_at_work(db, provider):
    """T-133, INV-38: active_run_exists; another scope has a run of its own."""
    inner = []

    def begin_another(run: Run, item: Item) -> None:
        inner.append(walk.run(Counting(1), limit=None, is_dry=False))
        other = Counting(1)
        other.scope = Scope.INVOICES_RECENT
        inner.append(walk.run(other, limit=None, is_dry=False))

    work = Counting(1)
    work.on[1] = begin_another
    with frozen():
        walk.run(work, limit=None, is_dry=False)

    assert [(done.status, done.reason) for done in inner] == [
        ("skipped", "active_run_exists"),
        ("succeeded", None),
    ]
    assert ReconciliationRun.objects.count() == 2


def test_t133_of_runners_that_begin_together_one_works(live_db, provider):
    """T-133: eight real connections, one running row (INV-38 is a partial unique index)."""

    def begin(_: int) -> bool:
        try:
            return runs.open_run(Scope.CHECKOUT_OPEN) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(begin, range(8)))

    assert opened.count(True) == 1
    assert ReconciliationRun.objects.count() == 1


def test_t134_of_runners_that_take_over_together_one_does(live_db, provider):
    """T-134: the row's lock puts them in line, and the second sees the first one's lease."""
    dead = runs.open_run(Scope.CHECKOUT_OPEN)
    ReconciliationRun.objects.update(lease_expires_at=NOW)

    def take_over(_: int) -> int | None:
        try:
            run = runs.open_run(Scope.CHECKOUT_OPEN)
            return None if run is None else run.version
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        versions = [version for version in pool.map(take_over, range(8)) if version is not None]

    assert versions == [dead.version + 1]
    assert ReconciliationRun.objects.count() == 1


def test_t134_a_run_whose_runner_died_is_taken_over_with_its_cursor(db, provider):
    """T-134: version+1, the cursor continues, the counts go on; before the lease is over nobody may."""
    work = Counting(250)
    with frozen(), dying_at("billing.reconciliation.saved"):
        walk.run(work, limit=None, is_dry=False)
    dead = the_run()

    with frozen(seconds=LEASE - 1):
        early = walk.run(Counting(250), limit=None, is_dry=False)
    later = Counting(250)
    with frozen(seconds=LEASE):
        done = walk.run(later, limit=None, is_dry=False)

    row = the_run()
    assert (dead.status, dead.cursor_json["after"], dead.lease_version) == ("running", 100, 1)
    assert early.status == "skipped"
    assert later.seen == list(range(101, 251))
    assert (row.pk, done.status, row.scanned_count) == (dead.pk, "succeeded", 250)
    assert row.lease_version == dead.lease_version + 2  # taken over, closed


@pytest.mark.parametrize("point", ["opened", "saved", "closed"])
def test_t134_wherever_a_runner_dies_the_next_ends_the_scope(db, provider, point):
    """T-134: no death leaves a scope that nobody can run."""
    with frozen(), dying_at(f"billing.reconciliation.{point}"):
        walk.run(Counting(3), limit=None, is_dry=False)

    with frozen(seconds=LEASE):
        assert walk.run(Counting(3), limit=None, is_dry=False).status == "succeeded"
    assert not ReconciliationRun.objects.filter(status="running").exists()


def test_t135_a_runner_that_was_overtaken_writes_nothing_more(db, provider, fired):
    """T-135, INV-39: the repair's transaction locks the run's row and is undone; no count, no cursor."""
    entity = factories.workspace_entity()
    row = factories.session(entity)

    def overtaken(run: Run, item: Item) -> None:
        taken = ReconciliationRun.objects.filter(status="running")
        taken.update(lease_version=run.version + 1, lease_owner="quick")

        def write(locked: BillableEntity) -> None:
            CheckoutSession.objects.filter(pk=row.pk).update(status="expired")

        run.repair(item, write)

    work = Counting(3, entity)
    work.on[2] = overtaken
    with frozen():
        done = walk.run(work, limit=None, is_dry=False)

    held = the_run()
    assert done.status == "fenced"
    assert work.seen == [1]
    assert session(entity).status == "open"
    assert (held.status, held.lease_owner, held.scanned_count) == ("running", "quick", 0)
    assert fired == ["RECONCILIATION_LEASE_FENCED"]


@pytest.mark.parametrize("moment", ["keep", "close"])
def test_t135_cursor_and_end_are_compare_and_set(db, provider, moment):
    """T-135: an overtaken runner can neither save its place nor end the run."""
    with frozen():
        run = runs.open_run(Scope.CHECKOUT_OPEN)
        ReconciliationRun.objects.update(lease_version=7)
        with pytest.raises(RunFenced):
            run.keep(is_batch_end=True) if moment == "keep" else run.close("succeeded", is_complete=True)

    assert the_run().status == "running"


def test_t135_a_repair_holds_the_runs_row_until_it_commits(live_db, provider):
    """T-135: who takes the run over waits for a repair under way, so the repair is before the takeover."""
    entity = factories.workspace_entity()
    run = runs.open_run(Scope.CHECKOUT_OPEN)

    def grab(_: int) -> str:
        try:
            with transaction.atomic():
                found = ReconciliationRun.objects.select_for_update(nowait=True).get(pk=run.row_id)
            return str(found.pk)
        except Exception as error:
            return str(getattr(error.__cause__, "sqlstate", error))
        finally:
            connections.close_all()

    def work(locked: BillableEntity) -> str:
        return pool.submit(grab, 0).result(timeout=20)

    with ThreadPoolExecutor(1) as pool:
        during = run.repair(Item(1, entity.tenant_id, entity.pk), work)

    assert during == "55P03"
    assert run.repaired == 1


@pytest.mark.parametrize(
    ("missing", "of", "is_abort"), [(5, 10, False), (6, 30, False), (6, 29, True), (7, 7, True)]
)
def test_t137_more_than_five_and_a_fifth_missing_stops_the_run_unapplied(
    db, provider, fired, missing, of, is_abort
):
    """T-137: a wrong key or account must not cancel what lives."""
    work = Counting(of)
    work.is_missing = lambda number: number <= missing
    with frozen():
        done = walk.run(work, limit=None, is_dry=False)

    row = the_run()
    if is_abort:
        assert (done.status, done.reason, row.status) == ("failed", "missing_rate_exceeded", "failed")
        assert work.applied == []
        assert fired == ["RECONCILIATION_MISSING_RATE"]
        assert f"{missing} of {of}" in row.error_text
        assert row.cursor_json is None
    else:
        assert (done.status, work.applied) == ("succeeded", list(range(1, missing + 1)))
        assert fired == []


def test_t137_a_batch_full_of_missing_stops_the_run_before_the_next(db, provider, fired):
    """T-137: not after thousands of calls."""
    work = Counting(1000)
    work.is_missing = lambda number: True
    with frozen():
        walk.run(work, limit=None, is_dry=False)

    assert len(work.seen) == runs.BATCH
    assert work.applied == []


def test_t137_what_was_missing_survives_a_takeover(db, provider, fired):
    """T-137: the next runner neither forgets it nor judges by its own share alone."""
    work = Counting(150)
    work.is_missing = lambda number: number <= 15
    with frozen(), dying_at("billing.reconciliation.saved"):
        walk.run(work, limit=None, is_dry=False)
    later = Counting(150)
    with frozen(seconds=LEASE):
        walk.run(later, limit=None, is_dry=False)

    assert work.applied == []
    assert later.applied == list(range(1, 16))


def test_t138_every_one_of_many_rows_is_visited_over_runs_of_five_hundred_calls(db, provider):
    """T-138: 1,234 rows; a run stops at 500 calls and the next goes on after the last that it saw."""
    seen: list[int] = []
    summaries = []
    for _ in range(3):
        work = Counting(1234, asks=1)
        with frozen():
            summaries.append(walk.run(work, limit=None, is_dry=False))
        seen += work.seen

    assert seen == list(range(1, 1235))
    assert [done.figures["providerCalls"] for done in summaries] == [500, 500, 234]
    assert [done.is_complete for done in summaries] == [False, False, True]
    with frozen():
        again = Counting(1234)
        walk.run(again, limit=None, is_dry=False)
    assert again.seen[0] == 1


def test_t138_an_item_that_does_not_fit_in_the_budget_waits_whole_for_the_next_run(db, provider):
    """T-138: three calls each: 166 items, and the 167th begins the next run."""
    work, rest = Counting(200, asks=3), Counting(200, asks=3)
    with frozen():
        first = walk.run(work, limit=None, is_dry=False)
        walk.run(rest, limit=None, is_dry=False)

    assert first.figures["providerCalls"] == 500
    assert (work.seen[-1], rest.seen[0], rest.seen[-1]) == (166, 167, 200)


def test_t138_an_item_that_costs_more_than_a_run_may_ask_stops_nobody_for_ever(db, provider, fired):
    """T-138: it is counted as a failure and passed."""
    rest = Counting(2, asks=1)
    with frozen():
        first = walk.run(Counting(2, asks=501), limit=None, is_dry=False)
        walk.run(rest, limit=None, is_dry=False)

    assert (first.figures["failed"], rest.seen) == (1, [2])


def test_t138_a_limit_is_kept_and_the_next_run_goes_on(db, provider):
    """T-138: --limit."""
    first, second = Counting(10), Counting(10)
    with frozen():
        walk.run(first, limit=4, is_dry=False)
        walk.run(second, limit=None, is_dry=False)

    assert (first.seen, second.seen) == ([1, 2, 3, 4], [5, 6, 7, 8, 9, 10])


def test_t138_real_rows_of_many_tenants_are_all_visited(db, provider, monkeypatch):
    """T-138: more than a thousand checkout sessions, by id, over all tenants, ids of others included."""
    entities = [factories.workspace_entity(f"tenant_{name}") for name in "abc"]
    made = 0
    for entity in entities:
        with factories.locked(entity):
            CheckoutSession.objects.bulk_create(
                CheckoutSession(
                    tenant_id=entity.tenant_id,
                    billable_entity=entity,
                    flow="one_off",
                    status="open",
                    operation_key=f"{entity.pk:032d}{number:032d}",
                    expires_at=NOW - dt.timedelta(days=1),
                )
                for number in range(350)
            )
            made += 350

    visited: list[tuple[str, int]] = []
    monkeypatch.setattr(
        CheckoutOpen, "examine", lambda self, run, item: visited.append((item.tenant_id, item.id))
    )
    with frozen():
        done = reconciliation.run(Scope.CHECKOUT_OPEN)

    assert made == done.figures["scanned"] == len(set(visited)) == len(visited) == 1050
    assert [number for _, number in visited] == sorted(number for _, number in visited)
    assert {tenant_id for tenant_id, _ in visited} == {"tenant_a", "tenant_b", "tenant_c"}


def test_the_lease_is_renewed_while_a_batch_is_under_way(db, provider):
    """Slow answers must not cost the run its lease."""
    renewed = []
    with frozen() as move:

        def slow(run: Run, item: Item) -> None:
            renewed.append(the_run().lease_expires_at)
            move(clock.now() + dt.timedelta(seconds=60))

        work = Counting(6)
        work.on = dict.fromkeys(range(1, 7), slow)
        walk.run(work, limit=None, is_dry=False)

    assert renewed[0] == NOW + dt.timedelta(seconds=LEASE)
    assert renewed[-1] > NOW + dt.timedelta(seconds=300)


def test_one_items_failure_is_counted_and_stops_nobody_else(db, provider, fired):
    def breaks(run: Run, item: Item) -> None:
        raise trouble()

    work = Counting(3)
    work.on[2] = breaks
    with frozen():
        done = walk.run(work, limit=None, is_dry=False)

    assert work.seen == [1, 3]
    assert (done.status, done.figures["failed"], done.figures["scanned"]) == ("succeeded", 1, 3)
    assert fired == ["RECONCILIATION_REPAIR_FAILURE"]


def test_a_run_that_breaks_says_so_and_can_be_run_again(db, provider, fired):
    class Broken(Counting):
        def conclude(self, run: Run) -> None:
            raise RuntimeError("no")

    with frozen():
        done = walk.run(Broken(2), limit=None, is_dry=False)
        again = walk.run(Counting(2), limit=None, is_dry=False)

    first = ReconciliationRun.objects.order_by("id").first()
    assert (done.status, first.status, first.error_text) == ("failed", "failed", "RuntimeError: no")
    assert again.status == "succeeded"
    assert fired == ["RECONCILIATION_REPAIR_FAILURE"]


def test_a_dry_run_leaves_no_row_and_is_in_nobodys_way(db, provider):
    with frozen():
        held = runs.open_run(Scope.CHECKOUT_OPEN)
        done = walk.run(Counting(3), limit=None, is_dry=True)

    assert done.status == "succeeded"
    assert held is not None
    assert ReconciliationRun.objects.count() == 1


def test_scopes_that_stopped_early_are_named_until_a_run_has_seen_all(db, provider):
    with frozen():
        walk.run(Counting(10), limit=4, is_dry=False)
        before = reconciliation.due(now=NOW)
        walk.run(Counting(10), limit=None, is_dry=False)
        after = reconciliation.due(now=NOW)

    assert set(before) - set(after) == {Scope.CHECKOUT_OPEN}


def test_a_scope_whose_runner_died_is_due_when_its_lease_is_over(db, provider):
    with frozen():
        runs.open_run(Scope.SUBSCRIPTIONS_ACTIVE)
    found = [
        Scope.SUBSCRIPTIONS_ACTIVE in reconciliation.due(now=NOW + dt.timedelta(seconds=seconds))
        for seconds in (LEASE - 1, LEASE)
    ]

    assert found == [False, True]


def test_a_run_that_broke_waits_for_its_time(db, provider, fired):
    """It is tried again at the scope's interval, not at once for ever."""
    work = Counting(10)
    work.is_missing = lambda number: True
    with frozen():
        walk.run(work, limit=None, is_dry=False)

    assert Scope.CHECKOUT_OPEN not in reconciliation.due(now=NOW + dt.timedelta(minutes=29))
    assert Scope.CHECKOUT_OPEN in reconciliation.due(now=NOW + dt.timedelta(minutes=30))


def test_drift_and_repairs_are_measured_and_nothing_is_said_of_zero(db, provider, fired):
    def drifts(run: Run, item: Item) -> None:
        run.drift += 1
        run.repair(item, lambda entity: None)

    entity = factories.workspace_entity()
    work = Counting(1, entity)
    work.on[1] = drifts
    with frozen():
        walk.run(Counting(1), limit=None, is_dry=False)
        quiet = list(fired)
        walk.run(work, limit=None, is_dry=False)

    assert quiet == []
    assert fired == ["RECONCILIATION_DRIFT_COUNT", "RECONCILIATION_REPAIR_COUNT"]


def test_every_scope_runs_with_nothing_to_do(db, provider, settings):
    """Loops run even with zero traffic."""
    settings.BILLING = dataclasses.replace(settings.BILLING)
    with frozen():
        done = [reconciliation.run(scope) for scope in Scope]

    assert [summary.status for summary in done] == ["succeeded"] * len(Scope)
    assert provider.asked == []


def test_a_run_sees_rows_of_every_tenant(db, provider):
    for name in ("tenant_a", "tenant_b"):
        entity = factories.workspace_entity(name)
        factories.session(entity, provider_checkout_session_id=f"cs_{name}", expires_at=NOW)
        held = session(entity)
        provider.hold(
            payloads.session(
                f"cs_{name}",
                status="expired",
                customer=None,
                metadata=payloads.labels(entity, held.operation_key),
            )
        )
    with frozen(hours=1):
        done = reconciliation.run(Scope.CHECKOUT_OPEN)

    assert done.figures["repaired"] == 2
