"""Runs, settlements and disputes under rivals with connections of their own: kernel spec 2.9, 5, 6, 8, 15."""

import threading
import time

import pytest
from django.db import connection, connections

from settld.core import clock, failpoints, tenancy, transactions
from settld.kernel.models import Settlement, Wallet
from settld.kernel.services import decisions
from settld.kernel.services import runs as opening
from settld.ledger.models import MonthClose
from settld.ledger.services import months
from settld.metering import limit
from settld.metering.limit import HardLimit
from settld.metering.models import UsageCounter, UsageEvent
from tests.kernel.work import NOW, PAYEE, PAYER, TENANT, Runs, entry_ids, under_agreement, wallet
from tests.support.api import Api, body


def at_once(*calls):
    """Run calls in threads that start together, each on its own connection; gives answers in order."""
    answers, ready = [None] * len(calls), threading.Barrier(len(calls))

    def work(number, call):
        try:
            with clock.freeze(NOW):
                ready.wait(10)
                answers[number] = call()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def caller(runs):
    """Another client with the same heads."""
    return Runs(Api(TENANT), dict(runs.heads))


def statuses(answers):
    return sorted(answer.status_code for answer in answers)


class Rival:
    """A call that arrives while another one holds its locks, and has to wait for it."""

    def __init__(self, point, call):
        self.point, self.call, self.answer, self.thread = point, call, None, None

    def __enter__(self):
        self.watching = failpoints.watched(self)
        self.watching.__enter__()
        return self

    def __call__(self, name):
        if name != self.point or self.thread is not None:
            return
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        _until_somebody_waits()

    def _work(self):
        try:
            with clock.freeze(NOW):
                self.answer = self.call()
        finally:
            connections.close_all()

    def __exit__(self, *_):
        self.watching.__exit__(*_)
        self.thread.join(60)


def _until_somebody_waits():
    """Wait until somebody waits for a lock of ours: the rival has come as far as it can."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits")


@pytest.fixture
def waiting(live_runs, monkeypatch):
    """A failed run of 1000 cents that waits for a person."""
    under_agreement(monkeypatch)
    with tenancy.tenant_scope(TENANT):
        opened = opening.open_run(
            tenant_id=TENANT, agent_id=PAYEE, run_id="run_1", phase=decisions.AGREEMENT_ACCEPTED, now=NOW,
            terms=opening.SettlementTerms(
                payer_agent_id=PAYER, amount_cents=1000, agreement_id="agr_1", dispute_window_days=3
            ),
        )  # fmt: skip
    live_runs.heads["run_1"] = opened.event["chainHash"]
    assert live_runs.append("RUN_FAILED").status_code == 201
    return live_runs


def test_of_two_ends_with_one_head_one_wins(live_runs):
    live_runs.open()
    with Rival("kernel.append_event.before_commit", lambda: caller(live_runs).append("RUN_FAILED")) as rival:
        won = live_runs.complete()
    assert won.status_code == 201
    assert (rival.answer.status_code, body(rival.answer)["error"]) == (409, "event append conflict")
    assert body(rival.answer)["details"]["expectedPrevChainHash"] == live_runs.heads["run_1"]
    assert (wallet(PAYER), wallet(PAYEE)) == ((99_000, 0), (1000, 0))
    assert len(entry_ids()) == 3


def test_many_ends_at_once_settle_once(live_runs):
    live_runs.open()
    clients = [caller(live_runs) for _ in range(8)]
    answers = at_once(*(client.complete for client in clients))
    assert statuses(answers) == [201] + [409] * 7
    assert (wallet(PAYER), wallet(PAYEE)) == ((99_000, 0), (1000, 0))
    with tenancy.tenant_scope(TENANT):
        assert UsageEvent.objects.filter(event_type="verified_run").count() == 1


def test_one_key_at_once_has_one_effect_and_replays(live_runs):
    clients = [caller(live_runs) for _ in range(4)]
    opened = at_once(*(lambda client=client: client.open(key="o") for client in clients))
    assert statuses(opened) == [201] * 4
    assert len({answer.content for answer in opened}) == 1
    assert wallet(PAYER) == (99_000, 1000)
    clients = [Runs(Api(TENANT), dict(clients[0].heads)) for _ in range(4)]
    ended = at_once(*(lambda client=client: client.complete(key="c") for client in clients))
    assert statuses(ended) == [201] * 4
    assert len({answer.content for answer in ended}) == 1
    assert wallet(PAYEE) == (1000, 0)


def test_one_id_at_once_under_fresh_keys_opens_one_run_and_locks_once_15(live_runs):
    clients = [caller(live_runs) for _ in range(4)]
    answers = at_once(
        *(lambda n=n, client=client: client.open(key=f"k{n}") for n, client in enumerate(clients))
    )
    assert statuses(answers) == [201, 409, 409, 409]
    assert wallet(PAYER) == (99_000, 1000)


def test_many_locks_at_once_never_spend_a_cent_twice_15(live_runs):
    clients = [caller(live_runs) for _ in range(8)]
    calls = [
        lambda n=n, client=client: client.open(f"run_{n}", cents=30_000) for n, client in enumerate(clients)
    ]
    assert statuses(at_once(*calls)) == [201] * 3 + [409] * 5
    assert wallet(PAYER) == (10_000, 90_000)


def test_of_many_completions_with_one_unit_left_exactly_one_goes_2_2(live_runs, monkeypatch):
    monkeypatch.setattr(limit, "_registered", lambda **_: HardLimit("free", 2))
    live_runs.settled("run_0")
    for number in range(1, 6):
        live_runs.open(f"run_{number}")
    clients = [caller(live_runs) for _ in range(5)]
    calls = [
        lambda n=n, client=client: client.complete(run_id=f"run_{n}") for n, client in enumerate(clients, 1)
    ]
    assert statuses(at_once(*calls)) == [201] + [402] * 4
    assert (wallet(PAYER), wallet(PAYEE)) == ((94_000, 4000), (2000, 0))
    with tenancy.tenant_scope(TENANT):
        assert UsageCounter.objects.get(event_type="verified_run").quantity == 2


def test_crossing_payments_do_not_wait_for_each_other_in_a_circle(live_runs):
    """Payer and payee of one run are payee and payer of the next: wallets are locked by their id."""
    from tests.kernel.work import money

    money(PAYEE, 10_000)
    for number in range(4):
        live_runs.open(f"there_{number}")
        live_runs.open(f"back_{number}", agent_id=PAYER, payerAgentId=PAYEE)
    clients = [caller(live_runs) for _ in range(8)]
    calls = [
        lambda n=n, c=client: c.complete(run_id=f"there_{n}") for n, client in enumerate(clients[:4])
    ] + [
        lambda n=n, c=client: c.complete(run_id=f"back_{n}", agent_id=PAYER)
        for n, client in enumerate(clients[4:])
    ]
    assert statuses(at_once(*calls)) == [201] * 8
    assert (wallet(PAYER), wallet(PAYEE)) == ((100_000, 0), (10_000, 0))


def test_of_two_resolutions_one_moves_the_money(waiting):
    refund = caller(waiting)
    with Rival("kernel.resolve.before_commit", lambda: refund.resolve({"status": "refunded"})) as rival:
        won = waiting.resolve({"status": "released", "releaseRatePct": 30})
    assert won.status_code == 200
    assert (rival.answer.status_code, body(rival.answer)["error"]) == (
        409, "run settlement is already resolved",
    )  # fmt: skip
    assert (wallet(PAYER), wallet(PAYEE)) == ((99_700, 0), (300, 0))


def test_a_dispute_that_comes_while_the_money_moves_finds_it_resolved(waiting):
    disputing = caller(waiting)
    with Rival("kernel.resolve.before_commit", lambda: disputing.dispute("open")) as rival:
        assert waiting.resolve({"status": "released"}).status_code == 200
    assert rival.answer.status_code == 200
    assert body(rival.answer)["settlement"]["status"] == "released"
    with tenancy.tenant_scope(TENANT):
        assert Settlement.objects.get().dispute_status == "open"


def test_of_two_disputes_at_once_one_is_open(live_runs):
    live_runs.settled()
    clients = [caller(live_runs) for _ in range(6)]
    answers = at_once(
        *(lambda n=n, c=client: c.dispute("open", {"disputeId": f"d{n}"}) for n, client in enumerate(clients))
    )
    assert statuses(answers) == [200] + [409] * 5
    assert len(body(live_runs.api.get("/runs/run_1/disputes"))["disputes"]) == 1


def test_evidence_that_comes_together_is_all_kept(live_runs):
    live_runs.settled()
    live_runs.dispute("open")
    clients = [caller(live_runs) for _ in range(6)]
    answers = at_once(
        *(lambda n=n, c=client: c.dispute("evidence", {"evidenceRef": f"ev://{n % 3}"})
          for n, client in enumerate(clients))
    )  # fmt: skip
    assert statuses(answers) == [200] * 6
    (dispute,) = body(live_runs.api.get("/runs/run_1/disputes"))["disputes"]
    assert sorted(dispute["context"]["evidenceRefs"]) == ["ev://0", "ev://1", "ev://2"]
    assert len(dispute["evidence"]) == 3


class TestAgainstTheMonthsClose:
    """The month's row: shared by whoever posts, exclusive for whoever closes."""

    def close(self):
        with tenancy.tenant_scope(TENANT), transactions.atomic():
            row = months.lock_exclusively(tenant_id=TENANT, month="2026-03", basis="settledAt", now=NOW)
            MonthClose.objects.filter(pk=row.pk).update(status="CLOSED", closed_at=NOW)
        return "closed"

    def test_a_close_that_comes_while_money_moves_waits_for_it(self, live_runs):
        live_runs.open()
        with Rival("kernel.append_event.before_commit", self.close) as rival:
            assert live_runs.complete().status_code == 201
        assert rival.answer == "closed"
        assert wallet(PAYEE) == (1000, 0)

    def test_an_end_that_comes_while_the_month_closes_waits_and_is_refused(self, live_runs):
        live_runs.open()
        late, answers = caller(live_runs), []

        def end():
            try:
                with clock.freeze(NOW):
                    answers.append(late.complete())
            finally:
                connections.close_all()

        thread = threading.Thread(target=end)
        with tenancy.tenant_scope(TENANT), transactions.atomic():
            row = months.lock_exclusively(tenant_id=TENANT, month="2026-03", basis="settledAt", now=NOW)
            thread.start()
            _until_somebody_waits()
            MonthClose.objects.filter(pk=row.pk).update(status="CLOSED", closed_at=NOW)
        thread.join(60)
        assert body(answers[0])["details"]["message"] == "cannot settle: month is closed"
        assert (wallet(PAYER), wallet(PAYEE)) == ((99_000, 1000), (0, 0))


def test_wallets_and_books_agree_after_all_of_it(live_runs):
    """Runs of every kind at once; then column for column what the journal says."""
    for number in range(6):
        live_runs.open(f"run_{number}", cents=1000 + number)
    clients = [caller(live_runs) for _ in range(6)]
    answers = at_once(
        *(lambda n=n, c=client: c.complete((100, 37, 0)[n % 3], run_id=f"run_{n}")
          for n, client in enumerate(clients))
    )  # fmt: skip
    assert statuses(answers) == [201] * 6
    from settld.ledger import queries

    with tenancy.tenant_scope(TENANT):
        for row in Wallet.objects.all():
            for suffix, cents in (
                ("available", row.available_cents),
                ("escrow_locked", row.escrow_locked_cents),
            ):
                account = f"wallet:{TENANT}:{row.wallet_id}:{suffix}"
                assert queries.balance(tenant_id=TENANT, account_id=account, currency="USD") == cents
