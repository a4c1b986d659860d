"""Random histories: state machine, exposure counter and debt ledger stay what they say they are."""

import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STATES = ["initiated", "submitted", "confirmed", "failed", "cancelled", "reversed"]
EVENTS = STATES[1:]
NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)

enqueues = st.tuples(st.just("enqueue"), st.integers(1, 3), st.integers(1, 5_000), st.integers(0, 1))
tellings = st.tuples(st.just("tell"), st.integers(0, 30), st.sampled_from(EVENTS), st.just(0))
cancels = st.tuples(st.just("cancel"), st.integers(0, 30), st.just(""), st.just(0))
HISTORIES = st.lists(enqueues | tellings | cancels, min_size=5, max_size=30)


@given(st.lists(st.sampled_from(STATES), max_size=12))
def test_a_walk_enters_exactly_the_states_that_moves_allow(targets):
    from moneyrails.models import Operation
    from moneyrails.models.operation import STAMPS
    from moneyrails.states import MOVES, IllegalMove

    operation = Operation(state="initiated", initiated_at=NOW)
    for target in targets:
        before = operation.state
        if target in MOVES[before]:
            operation.enter(target, at=NOW, now=NOW)
            assert operation.state == target
        else:
            with pytest.raises(IllegalMove):
                operation.enter(target, at=NOW, now=NOW)
            assert operation.state == before
        assert all(getattr(operation, f"{stamp}_at") == NOW for stamp in STAMPS[operation.state])
    assert operation.is_terminal == (operation.state in {"failed", "cancelled", "reversed"})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES, limit=st.integers(0, 12_000), is_net=st.booleans())
def test_counters_and_balances_equal_what_they_stand_for(world, history, limit, is_net):
    from django.db import transaction

    with transaction.atomic():
        replay(world, history, limit=limit, is_net=is_net)
        transaction.set_rollback(True)


def replay(world, history, *, limit, is_net):
    """Live through a history and check after each step; what is refused is refused for its own reason."""
    from moneyrails.models import ExposureCounter, PartyBalance
    from moneyrails.services import cancellation, checks, enqueue
    from settld.core.errors import Conflict

    world.set_controls(
        dailyPayoutLimitCents=limit, chargebacks={"enabled": is_net, "negativeBalanceMode": "net"}
    )
    operations, refused = [], set()
    for number, (act, which, what, day) in enumerate(history):
        try:
            if act == "enqueue":
                period = f"{2000 + number}-01"
                world.closed(f"party{which}", period, what)
                made = enqueue.enqueue(
                    tenant_id=world.TENANT, party_id=f"party{which}", period=period, provider_id="",
                    counterparty_ref="", actor=world.ACTOR, now=NOW + dt.timedelta(days=day),
                )  # fmt: skip
                operations += [made.operation] if made.operation else []
            elif operations and act == "tell":
                world.told(operations[which % len(operations)], what, event_id=f"evt_{number}")
            elif operations:
                key = world.key_of(operations[which % len(operations)])
                cancellation.cancel(**key, actor=world.ACTOR, now=NOW)
        except Conflict as refusal:
            refused.add(refusal.code)
        assert refused <= {"PAYOUT_DAILY_LIMIT_EXCEEDED", "MONEY_RAIL_INVALID_TRANSITION"}
        assert checks.check_tenant(world.TENANT) == []
        assert all(row.outstanding_cents >= 0 for row in PartyBalance.objects.all())
        if limit:
            assert all(row.amount_cents <= limit for row in ExposureCounter.objects.all())


@given(cents=st.integers(0, 400), opens=st.lists(st.integers(1, 100), max_size=4))
def test_a_recovery_is_split_oldest_first_and_to_the_cent(cents, opens):
    from moneyrails.models import ChargebackEntry
    from moneyrails.queries.chargebacks import OpenReversal
    from moneyrails.services.chargebacks import split

    reversals = [OpenReversal(ChargebackEntry(amount_cents=cents), cents) for cents in opens]
    if cents > sum(opens):
        with pytest.raises(ArithmeticError):
            split(cents, reversals)
        return
    shares = split(cents, reversals)
    assert sum(share for _, share in shares) == cents
    assert [entry for entry, _ in shares] == [reversal.entry for reversal in reversals][: len(shares)]
    assert all(share == opened for (_, share), opened in zip(shares[:-1], opens, strict=False))
