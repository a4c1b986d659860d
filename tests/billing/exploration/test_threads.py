"""T-147: the events of checkouts delivered by eight threads at once, a hundred times each.

A hundred entities buy; every thread brings all of the post, each in an order of its own, so that threads meet
on one entity again and again. Whoever loses a race for an event leaves it to the winner.
"""

import random
import threading

import pytest
from django.db import connection

from settld.core import clock
from tests.billing.exploration import moves, truth
from tests.billing.exploration.stage import staged

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
THREADS, ROUNDS, TOGETHER = 8, 100, 25
PATIENCE_SECONDS = 500


def test_t_147_eight_threads_deliver_the_same_events(live_db, tmp_path, settings):
    with staged(folder=tmp_path, settings=settings) as stage:
        shapes = []
        for begin in range(0, ROUNDS, TOGETHER):
            tenants = [f"tenant_{number}" for number in range(begin, begin + TOGETHER)]
            rounds = [_paid(stage, tenant) for tenant in tenants]
            assert _deliver_at_once(stage, rounds) == []
            for event in (event for post in rounds for event in post):
                assert stage.deliver(event) == 200  # what lost a race for a lock is asked for again
            for tenant in tenants:
                stage.tenant = tenant
                result = truth.outcome(stage)
                truth.is_settled(result)
                shapes.append({name: len(rows) for name, rows in result.items()})
        assert shapes == shapes[:1] * ROUNDS


def _paid(stage, tenant_id):
    """Let a tenant buy; the events about it, of which none has been delivered."""
    stage.begin_elsewhere(tenant_id)
    status, answer = moves.start_checkout(stage, key="key-1")
    assert status == 200, answer
    moves.pay(stage, answer["checkoutSession"]["providerCheckoutSessionId"])
    return [event for event in stage.new_events() if event["type"] in moves.KINDS]


def _deliver_at_once(stage, rounds):
    """Bring all of the post in each thread, those of one entity at a time; what went wrong."""
    failures: list[BaseException] = []
    together = threading.Barrier(THREADS)

    def deliver(number: int) -> None:
        own = random.Random(number)
        try:
            with clock.freeze(stage.now):
                for post in rounds:
                    together.wait(PATIENCE_SECONDS)
                    for event in own.sample(post, k=len(post)):
                        stage.deliver(event)
        except BaseException as error:
            failures.append(error)
            together.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    # One that is still at work would bring its post behind the back of whoever judges.
    assert not any(thread.is_alive() for thread in threads)
    return failures
