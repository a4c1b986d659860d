"""The exploration can fail: each guard taken out of the product is found missing, within a bounded search."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from billing.services import canonical as canonical_choice
from billing.services import (
    checkout_dispatch,
    checkout_session,
    holds,
    ordering,
    recovery,
    remediation_work,
    session_rows,
)
from billing.services.ordering import Verdict
from settld.core import clock
from tests.billing.exploration import moves, truth
from tests.billing.exploration.actors import Actors
from tests.billing.exploration.search import Broken, Move, Search, Told
from tests.billing.exploration.stage import Stage, staged

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(300)]


def _nothing(*_args: Any, **_options: Any) -> None:
    return None


# --- Guards taken out ------------------------------------------------------------------------------------
def what_is_older_is_applied(patch):
    decide = ordering.decide

    def forgetful(row, event):
        verdict = decide(row, event)
        return Verdict.APPLY if verdict is Verdict.STALE else verdict

    patch.setattr(ordering, "decide", forgetful)


def the_newest_subscription_wins(patch):
    order = canonical_choice._order

    def newest(row):
        payment_class, _, created, name = order(row)
        return payment_class, -created.timestamp(), name

    patch.setattr(canonical_choice, "_order", newest)


def a_completed_session_is_merged_over(patch):
    merged = checkout_session.merged_status

    def bold(*, provider_status, flow, local):
        return merged(provider_status=provider_status, flow=flow, local=None)

    patch.setattr(checkout_session, "merged_status", bold)
    patch.setattr(session_rows, "TERMINAL", ())


def no_place_is_held(patch):
    patch.setattr(holds, "place", _nothing)


def a_repeated_answer_is_believed(patch):
    patch.setattr(
        checkout_dispatch, "_adopt_as_it_is_now", lambda request, *_args, **_options: _first_answer(request)
    )


def _first_answer(request):
    """Take the session for what it was when it was made: open."""
    from billing.providers import base as providers

    provider = providers.named(request.provider)
    answer = provider.create_checkout_session(
        request.provider_request_params_json, idempotency_key=request.provider_idempotency_key
    )
    return checkout_dispatch.adopt(request, answer)


def a_duplicate_is_cancelled_without_a_look(patch):
    decision = remediation_work.Decision(cancel=True)
    patch.setattr(remediation_work, "_decide", lambda *_args: decision)


def our_clock_is_a_watermark(patch):
    stamp = ordering.stamp

    def local(row, **options):
        stamp(row, **options)
        if options.get("event") is not None:
            row.last_provider_event_created_at = clock.now()

    patch.setattr(ordering, "stamp", local)


def sends_carry_no_idempotency_key(patch):
    exchange = Stage.exchange

    def forgetful(stage, method, url, headers, body):
        kept = {name: value for name, value in headers.items() if name.lower() != "idempotency-key"}
        return exchange(stage, method, url, kept, body)

    patch.setattr(Stage, "exchange", forgetful)


def nobody_recovers(patch):
    patch.setattr(recovery, "find_due", lambda **_options: [])


# --- Searches ----------------------------------------------------------------------------------------------
def among_the_orders_of_a_life(stage: Stage) -> None:
    """All orders of a bought, changed and cancelled subscription's events, as T-140 compares them."""
    actors = Actors(stage)
    moves.start_checkout(stage)
    for act in (actors.pay, actors.touch, actors.cancel):
        stage.pass_by(10)
        act()
    kinds = ("created", "updated", "deleted")
    post = [stage.events("checkout.session.completed")[-1]]
    post += [stage.events(f"customer.subscription.{kind}")[-1] for kind in kinds]
    endings: list[dict[str, Any]] = []

    def end(_story: Told) -> None:
        endings.append(truth.outcome(stage))
        assert endings[-1] == endings[0], "the order of events decides how it ends"

    Search(stage, end).orders({event["type"]: _posting(stage, event) for event in post})


def _posting(stage: Stage, event: dict[str, Any]) -> Move:
    return lambda: stage.deliver(event)


def among_histories(*names: str, begin: Told = (), length: int = 3) -> Callable[[Stage], None]:
    """All histories of some letters, each followed to its rest."""

    def search(stage: Stage) -> None:
        letters = Actors(stage).many_letters()
        for name in begin:
            letters[name]()

        def end(_story: Told) -> None:
            moves.come_to_rest(stage)
            truth.require(stage)
            truth.is_at_rest(stage)

        chosen = {name: letters[name] for name in names}
        Search(stage, end).histories(lambda _known: chosen, length=length)

    return search


BOUGHT = ("checkout key-1", "pay", "post everything backwards", "1 s pass", "a second subscription")
LOST = "checkout key-1, 0 lost there and 10 back"
MUTANTS = [
    (what_is_older_is_applied, "the order of events", among_the_orders_of_a_life),
    (
        the_newest_subscription_wins,
        "INV-25",
        among_histories("post everything backwards", "workers", begin=BOUGHT, length=2),
    ),
    (
        a_completed_session_is_merged_over,
        "session_moves|INV-17|blocked without cause|beside a subscription|IllegalSessionMove",
        among_histories("post 0", "return", "loop checkout_open", begin=("checkout key-1", "pay"), length=2),
    ),
    (
        no_place_is_held,
        "request_never_into_nothing|nobody watches",
        among_histories("86400 s pass", "recover", begin=("checkout key-1, 10 lost there and 0 back",)),
    ),
    (
        a_repeated_answer_is_believed,
        "old answer",
        among_histories("pay", "checkout key-1", begin=(LOST, "130 s pass"), length=2),
    ),
    (
        a_duplicate_is_cancelled_without_a_look,
        "last live subscription",
        among_histories("cancel", "workers", begin=(*BOUGHT, "post everything backwards"), length=2),
    ),
    (our_clock_is_a_watermark, "INV-31", among_histories("post 0", begin=("checkout key-1", "pay"))),
    (
        sends_carry_no_idempotency_key,
        "nobody watches|one subscription|duplicate|second",
        among_histories("recovery", "pay", begin=(LOST,)),
    ),
    (nobody_recovers, "no end", among_histories("1 s pass", begin=(LOST,), length=1)),
]


@pytest.mark.parametrize(("mutant", "found", "search"), MUTANTS, ids=[row[0].__name__ for row in MUTANTS])
def test_a_missing_guard_is_found(db, tmp_path, settings, monkeypatch, mutant, found, search):
    with staged(folder=tmp_path, settings=settings) as stage:
        with stage.branch():
            search(stage)  # with the guard in its place there is nothing to find
        mutant(monkeypatch)
        with pytest.raises(Broken) as caught, stage.branch():
            search(stage)
    print(caught.value)
    assert re.search(found, str(caught.value)), str(caught.value)
