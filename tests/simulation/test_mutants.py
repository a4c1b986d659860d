"""The simulation can fail: each guard taken out of the product is found missing, within a bounded search."""

import contextlib
import re

import pytest

from moneyrails.models import DispatchAttempt
from moneyrails.services import (
    attempts,
    cancellation,
    chargebacks,
    doubt,
    enqueue,
    exposure,
    movements,
    payout_writes,
    resolution,
    submission,
)
from settld.idempotency import http
from tests.simulation.provider import Provider
from tests.simulation.simulation import Failed, simulated
from tests.support.servers import process_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SEEDS = (11, 12, 13, 14)
STEPS = 400


def _nothing(*_args, **_options):
    return None


def caps_are_not_guarded(patch):
    write = payout_writes.write_operation
    patch.setattr(enqueue.gates, "LIMITS", ())
    patch.setattr(
        payout_writes,
        "write_operation",
        lambda *rows, **options: write(*rows, **options | {"limit_cents": None}),
    )


def the_recovery_lease_fences_nobody(patch):
    patch.setattr(attempts, "is_held", lambda *_args, **_options: True)
    patch.setattr(DispatchAttempt, "is_leased", lambda _attempt, _now: False)


def sends_carry_no_idempotency_key(patch):
    exchange = Provider.exchange

    def forgetful(provider, method, url, headers, body):
        kept = {name: value for name, value in headers.items() if name.lower() != "idempotency-key"}
        return exchange(provider, method, url, kept, body)

    patch.setattr(Provider, "exchange", forgetful)


def doubt_is_sent_again_without_looking(patch):
    patch.setattr(resolution, "find_out", lambda *_args, **_options: resolution.SendAgain())


def a_doubt_is_never_looked_at_again(patch):
    close = attempts.close

    def forgetful(attempt, status, **options):
        close(attempt, status, **options)
        DispatchAttempt.objects.filter(pk=attempt.pk, status="in_doubt").update(next_check_at=None)

    patch.setattr(attempts, "close", forgetful)


def a_stop_does_not_reach_submit(patch):
    patch.setattr(submission, "require_sendable", _nothing)
    patch.setattr(doubt.submit_conditions, "require_sendable", _nothing)


def a_payout_on_its_way_can_be_cancelled(patch):
    patch.setattr(cancellation, "_require_cancellable", _nothing)


def movements_are_not_written(patch):
    patch.setattr(movements, "record_move", _nothing)


def exposure_is_never_released(patch):
    patch.setattr(exposure, "release", _nothing)


def recoveries_are_never_released(patch):
    patch.setattr(chargebacks, "release_recovery", _nothing)


def replies_are_not_kept(patch):
    patch.setattr(http.records, "store", _nothing)


PAY = {"state_a_month": 5, "close_requested": 4, "enqueue": 10, "submit": 10}
DOUBT = PAY | {"bad_line": 5, "good_line": 1, "recover": 5, "wait": 5}
MUTANTS = [
    (caps_are_not_guarded, "above its limit|above the cap", PAY | {"set_controls": 4, "decide": 2}),
    (
        the_recovery_lease_fences_nobody,
        "submit answered 500|audited twice|paid twice|an open attempt of an operation",
        DOUBT,
    ),
    (sends_carry_no_idempotency_key, "paid twice", DOUBT),
    (doubt_is_sent_again_without_looking, "paid twice", DOUBT | {"wait": 9, "recover": 2}),
    (a_doubt_is_never_looked_at_again, "nobody will look at", DOUBT),
    (a_stop_does_not_reach_submit, "was stopped", PAY | {"stop_and_lift": 5}),
    (a_payout_on_its_way_can_be_cancelled, "of an operation that is cancelled", DOUBT | {"cancel": 6}),
    (movements_are_not_written, "movements do not match", PAY),
    (exposure_is_never_released, "exposure counter differs", PAY | {"cancel": 4}),
    (recoveries_are_never_released, "still repays", PAY | {"tell": 12, "cancel": 5}),
    (replies_are_not_kept, "answered with something else", {"put_statement": 5, "repeat": 5}),
]


@pytest.mark.parametrize(("mutant", "found", "drawn"), MUTANTS, ids=[row[0].__name__ for row in MUTANTS])
def test_a_missing_guard_is_found(live_db, request, monkeypatch, mutant, found, drawn):
    from tests.support import pristine

    mutant(monkeypatch)
    for seed in SEEDS:
        with contextlib.suppress(_Unharmed), simulated(seed=seed, database=process_database()) as simulation:
            simulation.only(**drawn)
            simulation.stalls = 0.5
            with pytest.raises(Failed) as caught:
                simulation.run(STEPS, to_the_end=False)
                raise _Unharmed
            first_line = str(caught.value).splitlines()[0]
            print(first_line)
            assert re.search(found, first_line), str(caught.value)
            return
        pristine.restore(request.getfixturevalue("_pristine"))
    pytest.fail(f"{STEPS} steps of each of the seeds {SEEDS} found nothing")


def test_a_world_in_which_nobody_recovers_does_not_come_to_rest(live_db, monkeypatch):
    monkeypatch.setattr(doubt, "recover_due", lambda **_options: {})
    with simulated(seed=21, database=process_database()) as simulation:
        simulation.only(**PAY)
        simulation.deaths = 0.8
        with pytest.raises(Failed, match=r"does not come to rest|no way forward"):
            simulation.run(100)


class _Unharmed(Exception):
    """This seed's run found nothing."""
