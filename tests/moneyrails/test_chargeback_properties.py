"""Any history of payouts, reversals, recoveries, failures, cancels, adjustments and policies (spec 4).

The rails live through it beside a model that keeps nothing but what each reversal has open; after every act
both must agree, and the database's own proof must find nothing.
"""

import datetime as dt
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
EVENTS = ["submitted", "confirmed", "failed", "cancelled", "reversed"]
PROVIDERS = ["stub_default", "stub_other"]

recent = st.integers(0, 5)
ENQUEUE = st.tuples(st.just("enqueue"), st.integers(1, 2), st.integers(1, 900), st.sampled_from(PROVIDERS))
TAKE_BACK = st.tuples(st.just("take back"), recent, st.just(0), st.just(0))
TELL = st.tuples(st.just("tell"), recent, st.sampled_from(EVENTS), st.just(0))
CANCEL = st.tuples(st.just("cancel"), recent, st.just(0), st.just(0))
ADJUST = st.tuples(st.just("adjust"), recent, st.integers(1, 400), st.just(0))
AGAIN = st.tuples(st.just("again"), recent, st.just(0), st.just(0))
POLICY = st.tuples(
    st.just("policy"),
    st.sampled_from([True, True, True, False]),
    st.sampled_from(["net", "net", "net", "hold"]),
    st.sampled_from([0, 0, 0, 700]),
)
ACTS = st.one_of(
    ENQUEUE, ENQUEUE, ENQUEUE, ENQUEUE, TAKE_BACK, TAKE_BACK, TELL, CANCEL, ADJUST, AGAIN, POLICY
)


class Model:
    """What the ledger must come to, told in the fewest words: open cents per reversal, shares per payout."""

    def __init__(self):
        self.policy = (True, "net", 0)
        self.open = {}  # operation id -> [party, open cents], oldest reversal first
        self.amounts = {}
        self.shares = {}  # payout key -> {operation id of the reversal: cents}
        self.released = set()

    def owed(self, party):
        return sum(cents for owner, cents in self.open.values() if owner == party)

    def expected(self, party, gross):
        """What an enqueue must answer: a refusal's code, or the amount paid out."""
        enabled, mode, most = self.policy
        owed = self.owed(party)
        if not enabled or not owed:
            return gross
        if most and owed > most:
            return "CHARGEBACK_OUTSTANDING_LIMIT_EXCEEDED"
        return "NEGATIVE_BALANCE_PAYOUT_HOLD" if mode == "hold" else gross - min(owed, gross)

    def recover(self, key, party, cents):
        taken = self.shares.setdefault(key, {})
        for reversal, entry in self.open.items():
            share = min(cents, entry[1]) if entry[0] == party else 0
            if share:
                taken[reversal] = share
                entry[1] -= share
                cents -= share
        assert cents == 0

    def move(self, operation):
        """Follow an operation to where it is now."""
        if operation.state == "reversed" and operation.operation_id not in self.open:
            self.open[operation.operation_id] = [operation.party_id, operation.amount_cents]
            self.amounts[operation.operation_id] = operation.amount_cents
        if (
            operation.state in ("reversed", "failed", "cancelled")
            and operation.payout_key not in self.released
        ):
            self.released.add(operation.payout_key)
            for reversal, cents in self.shares.get(operation.payout_key, {}).items():
                self.open[reversal][1] += cents


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(ACTS, min_size=8, max_size=35))
def test_outstanding_is_the_sum_of_entries_and_no_cent_is_recovered_twice(world, history):
    from django.db import transaction

    with transaction.atomic():
        live_through(world, history)
        transaction.set_rollback(True)


def test_a_long_history_in_which_everything_is_known_to_happen(world):
    chance = random.Random(20_260_310)
    kinds = ["enqueue"] * 8 + ["take back"] * 4 + ["cancel", "tell", "adjust", "again", "policy"]

    def act(kind):
        if kind == "enqueue":
            return kind, chance.randint(1, 2), chance.randint(1, 900), chance.choice(PROVIDERS)
        if kind == "policy":
            return (
                kind,
                chance.random() < 0.8,
                chance.choice(["net", "net", "hold"]),
                chance.choice([0, 0, 900]),
            )
        what = chance.choice(EVENTS) if kind == "tell" else chance.randint(1, 400)
        return kind, chance.randint(0, 5), what, 0

    model = live_through(world, [act(chance.choice(kinds)) for _ in range(170)])

    assert len(model.open) > 20
    assert sum(key.startswith("offset") for key in model.shares) > 5
    assert sum(len(shares) > 1 for shares in model.shares.values()) > 5
    assert len(model.released & set(model.shares)) > 5
    assert any(not cents for _, cents in model.open.values())


def live_through(world, history):
    model, operations, enqueued = Model(), [], []
    world.set_controls(chargebacks={"enabled": True, "negativeBalanceMode": "net"})
    for number, (act, first, second, third) in enumerate(history):
        now = NOW + dt.timedelta(seconds=number)
        if act == "policy":
            model.policy = (first, second, third)
            policy = {"enabled": first, "negativeBalanceMode": second, "maxOutstandingCents": third}
            world.set_controls(chargebacks=policy)
        elif act == "enqueue":
            party, period = f"party{first}", f"{2000 + number}-01"
            world.closed(party, period, second)
            enqueued.append((party, period, third))
            expected = model.expected(party, second)
            paid, done = attempt(world, party, period, third, now=now)
            assert paid == expected
            if done is not None:
                follow_recovery(model, party, done, gross=second)
                operations += [done.operation] if done.operation else []
        elif act == "again" and enqueued:
            repeat(world, enqueued[-1 - first % len(enqueued)], now=now)
        elif operations:
            operation = operations[-1 - first % len(operations)]
            if act == "adjust":
                adjust(world, model, operation, second, now=now)
            else:
                turn(world, operation, act, second, number=number, now=now)
                model.move(operation)
        agree(world, model)
    return model


def attempt(world, party, period, provider_id, *, now):
    from moneyrails.services import enqueue
    from settld.core.errors import Conflict

    try:
        done = enqueue.enqueue(
            tenant_id=world.TENANT, party_id=party, period=period, provider_id=provider_id,
            counterparty_ref="", actor=world.ACTOR, now=now,
        )  # fmt: skip
    except Conflict as refusal:
        return refusal.code, None
    return (done.operation.amount_cents if done.operation else 0), done


def follow_recovery(model, party, done, *, gross):
    recovered = done.chargeback["recoveryAppliedCents"]
    assert gross - recovered == done.chargeback["payoutAmountNetCents"]
    if recovered:
        key = done.operation.payout_key if done.operation else f"offset {id(done)}"
        model.recover(key, party, recovered)


def repeat(world, asked, *, now):
    """A repeat is answered with what was recorded, whatever the policy says by now, and writes nothing."""
    from moneyrails.models import ChargebackEntry, PayoutOutcome

    party, period, provider_id = asked
    if PayoutOutcome.objects.filter(party_id=party, period=period).exists():
        before = ChargebackEntry.objects.count()
        _, done = attempt(world, party, period, provider_id, now=now)
        assert done is not None
        assert ChargebackEntry.objects.count() == before


def turn(world, operation, act, what, *, number, now):
    from moneyrails.services import cancellation
    from settld.core.errors import Conflict

    steps = {"tell": [what], "take back": [*EVENTS[:2], "reversed"]}.get(act, [])
    if act == "cancel":
        cancellation.cancel(**world.key_of(operation), actor=world.ACTOR, now=now)
    for step in steps:
        try:
            world.told(operation, step, event_id=f"evt_{number}_{step}", now=now)
        except Conflict as refusal:
            assert refusal.code == "MONEY_RAIL_INVALID_TRANSITION"  # noqa: PT017
    operation.refresh_from_db()


def adjust(world, model, operation, cents, *, now):
    from moneyrails.services import adjustments
    from settld.core.errors import Conflict

    entry = model.open.get(operation.operation_id)
    try:
        adjustments.adjust(
            tenant_id=world.TENANT, party_id=operation.party_id, operation_id=operation.operation_id,
            amount_cents=cents, reason_code="tests", actor=world.ACTOR, now=now,
        )  # fmt: skip
    except Conflict as refusal:
        expected = (
            "CHARGEBACK_ADJUSTMENT_EXCEEDS_OUTSTANDING" if entry else "MONEY_RAIL_OPERATION_NOT_REVERSED"
        )
        assert refusal.code == expected  # noqa: PT017
        assert entry is None or cents > entry[1]
    else:
        entry[1] -= cents


def agree(world, model):
    from moneyrails.models import PartyBalance
    from moneyrails.queries import chargeback_exposure
    from moneyrails.queries.chargebacks import Account, open_reversals
    from moneyrails.services import checks

    assert checks.check_tenant(world.TENANT) == []
    kept = {row.party_id: row.outstanding_cents for row in PartyBalance.objects.all()}
    for party in ("party1", "party2"):
        assert kept.get(party, 0) == model.owed(party) >= 0
        account = Account(world.TENANT, party, "USD", "sandbox")
        assert {row.entry.operation.operation_id: row.open_cents for row in open_reversals(account)} == {
            name: cents for name, (owner, cents) in model.open.items() if owner == party and cents
        }
    for name, (_, cents) in model.open.items():
        assert 0 <= cents <= model.amounts[name]
    shown = [
        chargeback_exposure.exposure(
            chargeback_exposure.Selection(world.TENANT, provider_id), limit=1000, offset=0
        ).summary
        for provider_id in PROVIDERS
    ]
    assert sum(summary.outstanding_cents for summary in shown) == sum(kept.values())
    assert sum(summary.reversed_cents for summary in shown) == sum(model.amounts.values())
