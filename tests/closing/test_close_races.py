"""Closing with real connections: one event, one instruction, no statement left behind."""

import threading

import pytest
from django.db import connections

from settld.artifacts.models import Artifact
from settld.closing.models import MonthDocument, PartyStatement
from settld.closing.services import close, months, statements, worker
from settld.closing.services.statements import PartyStatementClosed, StatementContent
from settld.core import clock, tenancy
from settld.core.principals import Actor
from settld.ledger.models import JournalEntry, MonthClose, MonthEvent
from settld.ledger.services.journal import LedgerPeriodClosed
from tests.closing.general_book import instant, settle

MONTH = {"tenant_id": "tenant_a", "month": "2026-01", "basis": "settledAt"}
ACTOR = Actor.system("test")


def at_once(*calls):
    """Run calls at the same moment, each on a connection of its own; gives results or errors in order."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(place, call):
        try:
            barrier.wait()
            with tenancy.tenant_scope("tenant_a"):
                results[place] = call()
        except Exception as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def put(party_id, cents=100):
    return statements.put(
        tenant_id="tenant_a", party_id=party_id, period="2026-01", actor=ACTOR, now=clock.now(),
        content=StatementContent(party_role="operator", payout_cents=cents),
    )  # fmt: skip


def request():
    return months.request_close(**MONTH, actor=ACTOR, now=clock.now())


def test_concurrent_requests_make_one_event(live_db):
    answers = at_once(*[request] * 8)
    assert len({answer.event.event_id for answer in answers}) == 1
    with tenancy.tenant_scope("tenant_a"):
        assert MonthEvent.objects.count() == 1


def test_concurrent_workers_close_once_and_instruct_once(live_db):
    with tenancy.tenant_scope("tenant_a"):
        for number in range(5):
            put(f"p{number}")
        request()
    results = at_once(*[lambda: close.close_month(**MONTH, now=clock.now())] * 4)
    assert sorted(result.is_new for result in results) == [False, False, False, True]
    with tenancy.tenant_scope("tenant_a"):
        assert MonthEvent.objects.filter(type="MONTH_CLOSED").count() == 1
        assert Artifact.objects.filter(artifact_type="PayoutInstruction.v1").count() == 5


@pytest.mark.parametrize("turn", range(6))
def test_a_put_beside_a_close_never_leaves_an_open_statement_in_a_closed_month(live_db, turn):
    with tenancy.tenant_scope("tenant_a"):
        request()
    at_once(
        lambda: put("early"),
        lambda: close.close_month(**MONTH, now=clock.now()), lambda: put("late", 7 + turn)
    )  # fmt: skip
    with tenancy.tenant_scope("tenant_a"):
        assert MonthClose.objects.get().status == "CLOSED"
        assert set(PartyStatement.objects.values_list("status", flat=True)) == {"CLOSED"}
        assert Artifact.objects.filter(artifact_type="PayoutInstruction.v1").count() == 2


def test_concurrent_puts_of_one_statement_make_one_row(live_db):
    results = at_once(*[lambda cents=cents: put("p", cents) for cents in (1, 2, 3, 3)])
    assert not [result for result in results if isinstance(result, Exception)]
    with tenancy.tenant_scope("tenant_a"):
        assert PartyStatement.objects.count() == 1


def test_concurrent_puts_into_a_closed_month_keep_the_first(live_db):
    with tenancy.tenant_scope("tenant_a"):
        request()
        close.close_month(**MONTH, now=clock.now())
    results = at_once(*[lambda cents=cents: put("p", cents) for cents in (1, 2, 3, 4)])
    assert sum(isinstance(result, PartyStatementClosed) for result in results) == 3
    with tenancy.tenant_scope("tenant_a"):
        assert Artifact.objects.filter(artifact_type="PayoutInstruction.v1").count() == 1


def test_a_worker_killed_inside_the_close_leaves_a_job_that_another_one_finishes(live_db):
    """The connection dies with the transaction open, as a SIGKILL would have it."""
    with tenancy.tenant_scope("tenant_a"):
        put("p")
        request()

    class Killed(BaseException):
        pass

    def die(*_args, **_kwargs):
        connections["default"].connection.close()
        raise Killed

    original = close._freeze
    close._freeze = die
    try:
        with pytest.raises(Killed):
            worker.close_requested(tenant_id="tenant_a")
    finally:
        close._freeze = original
        connections.close_all()
    assert worker.close_requested(tenant_id="tenant_a") == 0  # the lease still holds
    later = clock.now() + worker.LEASE * 2
    assert worker.close_requested(tenant_id="tenant_a", now=later) == 1
    with tenancy.tenant_scope("tenant_a"):
        assert MonthClose.objects.get().status == "CLOSED"
        assert Artifact.objects.filter(artifact_type="PayoutInstruction.v1").count() == 1


@pytest.mark.parametrize("turn", range(4))
def test_an_entry_beside_a_close_is_in_its_batch_or_refused_never_lost_5_1_5(live_db, turn):
    """The peer guards settlements only, by a racy read."""
    settle("a0", 10, at=instant("2026-01"), entry_id="first")
    with tenancy.tenant_scope("tenant_a"):
        request()
    posts = [
        lambda number=number: settle("a1", number, at=instant("2026-01"), entry_id=f"e{number}")
        for number in range(1, 5)
    ]
    shut = lambda: close.close_month(**MONTH, now=clock.now())  # noqa: E731
    results = at_once(*posts[:turn], shut, *posts[turn:])
    refused = [one for one in results if isinstance(one, Exception)]
    assert all(isinstance(one, LedgerPeriodClosed) for one in refused), refused
    with tenancy.tenant_scope("tenant_a"):
        assert MonthClose.objects.get(month="2026-01").status == "CLOSED"
        posted = set(JournalEntry.objects.values_list("entry_id", flat=True))
        batch = Artifact.objects.get(artifact_type="GLBatch.v1").document["batch"]
    assert {line["entryId"] for line in batch["lines"]} == posted
    assert len(posted) == 5 - len(refused)


def test_two_closes_of_a_month_with_entries_write_one_generation(live_db):
    settle("a1", 10, at=instant("2026-01"))
    with tenancy.tenant_scope("tenant_a"):
        request()
    results = at_once(*[lambda: close.close_month(**MONTH, now=clock.now())] * 2)
    assert sorted(result.is_new for result in results) == [False, True]
    with tenancy.tenant_scope("tenant_a"):
        assert MonthDocument.objects.count() == 3
        assert PartyStatement.objects.count() == 2
