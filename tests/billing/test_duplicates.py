"""T-118 to T-124: which of several subscriptions counts, and what is owed about the others (8.6)."""

import datetime as dt
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.models import Remediation, Subscription
from billing.providers.errors import ProviderProblem
from billing.services import canonical
from billing.states import SubscriptionStatus
from tests.billing import factories, payloads
from tests.billing.payloads import T0
from tests.billing.projections import OTHER_KEY, nothing_written

PAID = ("active", "trialing", "past_due")
UNPAID = ("unpaid", "paused")


def row(
    subscription_id: str, status: str = "active", *, made: int = 0, is_current: bool = False
) -> Subscription:
    return Subscription(
        provider_subscription_id=subscription_id,
        status=status,
        is_current=is_current,
        provider_subscription_created_at=dt.datetime.fromtimestamp(T0 + made, dt.UTC),
    )


def chosen(*rows: Subscription) -> str | None:
    found = canonical.select(rows)
    return None if found is None else found.provider_subscription_id


@st.composite
def stored_rows(draw) -> list[Subscription]:
    """Subscriptions of one entity as they may be stored: distinct ids, at most one current, and that live."""
    ids = draw(st.lists(st.text("aAzZ09_", min_size=1, max_size=3), unique=True, max_size=5))
    rows = [
        row(one, draw(st.sampled_from(SubscriptionStatus.values)), made=draw(st.integers(0, 2)))
        for one in ids
    ]
    live = [one for one in rows if not one.is_terminal]
    if live and draw(st.booleans()):
        draw(st.sampled_from(live)).is_current = True
    return rows


@given(rows=stored_rows(), data=st.data())
@settings(max_examples=400, deadline=None)
def test_t118_the_same_rows_give_the_same_choice_in_whatever_order(rows, data):
    """T-118, INV-25: and it is the least by class, by being current, by age, by id."""
    choice = canonical.select(rows)
    shuffled = data.draw(st.permutations(rows))
    assert canonical.select(shuffled) is choice
    live = [one for one in rows if not one.is_terminal]
    assert (choice is None) == (not live)
    if choice is None:
        return
    for other in live:
        mine, its = canonical.PAYMENT_CLASS[choice.status], canonical.PAYMENT_CLASS[other.status]
        assert mine <= its
        if mine == its and other is not choice:
            assert not other.is_current
            age = (choice.provider_subscription_created_at, choice.provider_subscription_id.encode())
            assert choice.is_current or age < (
                other.provider_subscription_created_at,
                other.provider_subscription_id.encode(),
            )
    for one in rows:
        one.is_current = one is choice
    assert canonical.select(rows) is choice  # what was chosen stays chosen: no flapping


@pytest.mark.parametrize("first", ["sub_1", "sub_2"])
def test_t118_the_first_current_one_stays_over_redeliveries(world, first, fired):
    """T-118: whichever came first, although the other is the older one at the provider."""
    events = {
        "sub_1": world.subscription_event(subscription_id="sub_1", created=T0, event_id="evt_1"),
        "sub_2": world.subscription_event(
            subscription_id="sub_2",
            created=T0 + 5,
            items=[payloads.item("si_2")],
            at=T0 + 5,
            event_id="evt_2",
        ),
    }
    second = "sub_2" if first == "sub_1" else "sub_1"
    world.deliver(events[first], events[second])
    before = world.state()
    for order in itertools.permutations(events):
        world.deliver(*(events[name] for name in order))
        assert world.state() == before

    assert world.current() == first
    assert world.duplicates() == [second]
    assert set(fired) == {"DUPLICATE_ACTIVE_SUBSCRIPTIONS_DETECTED"}


@pytest.mark.parametrize(
    ("rows", "choice"),
    [
        ([], None),
        ([row("sub_1", "canceled"), row("sub_2", "incomplete_expired")], None),
        ([row("sub_b"), row("sub_a", made=1)], "sub_b"),
        ([row("sub_b"), row("sub_a")], "sub_a"),
        ([row("sub_a"), row("sub_Z")], "sub_Z"),
        ([row("sub_10"), row("sub_9")], "sub_10"),
        ([row("sub_a"), row("sub_b", made=9, is_current=True)], "sub_b"),
        ([row("sub_a", "incomplete"), row("sub_b", "unpaid", made=9)], "sub_b"),
        ([row("sub_a", "unpaid", is_current=True), row("sub_b", "active", made=9)], "sub_b"),
        ([row("sub_a", "paused"), row("sub_b", "unpaid", made=1)], "sub_a"),
        ([row("sub_a", "past_due"), row("sub_b", "active", made=1)], "sub_a"),
        ([row("sub_a", "canceled"), row("sub_b", "incomplete", made=1)], "sub_b"),
    ],
)
def test_t119_ties_are_broken_by_class_place_age_and_id(rows, choice):
    """T-119."""
    assert chosen(*rows) == choice
    assert chosen(*reversed(rows)) == choice


@pytest.mark.parametrize(("better", "worse"), [*itertools.product(PAID, UNPAID), ("unpaid", "incomplete")])
def test_t119_a_better_class_beats_place_age_and_id(better, worse):
    """T-119."""
    assert chosen(row("sub_a", worse, is_current=True), row("sub_b", better, made=9)) == "sub_b"


@pytest.mark.parametrize(
    ("one", "other"), [*itertools.permutations(PAID, 2), *itertools.permutations(UNPAID, 2)]
)
def test_t119_within_a_class_the_status_decides_nothing(one, other):
    """T-119."""
    assert chosen(row("sub_a", one), row("sub_b", other, made=1)) == "sub_a"


def test_t119_the_database_orders_ids_as_we_do(world):
    """T-119: byte order, whatever the locale."""
    payer = factories.customer(world.entity)
    for subscription_id in ("sub_a", "sub_B", "sub_10", "sub_9"):
        factories.subscription(world.entity, world.plan, payer, subscription_id, is_current=False)
    with factories.locked(world.entity):
        ids = list(
            Subscription.objects.order_by("provider_subscription_id").values_list(
                "provider_subscription_id", flat=True
            )
        )
    assert ids == sorted(ids, key=str.encode)


def test_t120_when_it_was_made_is_asked_for_before_the_choice(world):
    """T-120: the event does not say; the provider does, and the choice rests on it."""
    world.provider.hold(world.subscription(created=T0 - 99))
    world.deliver(world.subscription_event(created=None))

    assert world.provider.asked == ["sub_1"]
    assert world.row().provider_subscription_created_at.timestamp() == T0 - 99


def test_t120_a_subscription_that_we_know_needs_no_asking(world):
    """T-120."""
    world.deliver(world.subscription_event())
    world.deliver(world.subscription_event("updated", at=T0 + 5, created=None, status="past_due"))

    assert world.provider.asked == []
    assert (world.row().status, world.row().provider_subscription_created_at.timestamp()) == ("past_due", T0)


def test_t120_without_an_answer_nothing_is_guessed(world):
    """T-120."""
    world.provider.is_down = True
    with nothing_written(world), pytest.raises(ProviderProblem):
        world.deliver(world.subscription_event(created=None))


def second(world, *, at: int = T0 + 5, **more):
    """An event about another subscription of the entity."""
    values = {"subscription_id": "sub_2", "items": [payloads.item("si_2")], "created": T0 + 5} | more
    return world.subscription_event(at=at, **values)


def test_t121_a_duplicate_is_owed_its_end_and_nothing_is_asked_inline(world, fired):
    """T-121: a row for the worker; the provider hears nothing here."""
    world.deliver(
        world.subscription_event(), second(world, event_id="evt_dup", metadata=world.labels(OTHER_KEY))
    )

    (owed,) = world.remediations()
    assert (owed.status, owed.action) == ("pending", "cancel_duplicate_subscription")
    assert owed.selection_algorithm_version == "dup_canonical_v2"
    assert (owed.canonical_provider_subscription_id, owed.duplicate_provider_subscription_id) == (
        "sub_1",
        "sub_2",
    )
    assert owed.canonical_subscription_id == world.subscriptions()[0].pk
    assert (owed.provider_event_id, owed.operation_key) == ("evt_dup", OTHER_KEY)
    assert world.provider.asked == []
    assert fired == ["DUPLICATE_ACTIVE_SUBSCRIPTIONS_DETECTED"]


def test_t121_each_of_several_duplicates_is_owed_its_own_end(world):
    """T-121."""
    third = second(world, subscription_id="sub_3", items=[payloads.item("si_3")])
    world.deliver(world.subscription_event(), second(world), third)

    assert (world.current(), world.duplicates()) == ("sub_1", ["sub_2", "sub_3"])


def test_t121_the_customer_of_a_duplicate_does_not_become_primary(world):
    """T-121: whoever pays the one that counts does."""
    world.deliver(world.subscription_event(), second(world, customer="cus_2"))
    assert world.customers() == {"cus_1": True, "cus_2": False}

    world.deliver(world.subscription_event("deleted", at=T0 + 9))
    assert (world.current(), world.customers()) == ("sub_2", {"cus_1": False, "cus_2": True})


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("paid", PAID)
def test_t122_a_paid_one_beats_an_incomplete_one_in_either_order(world, order, paid, fired):
    """T-122: also when the incomplete one was current and is older."""
    events = [world.subscription_event(status="incomplete"), second(world, status=paid)]
    world.deliver(*(events[number] for number in order))

    assert (world.current(), world.duplicates()) == ("sub_2", ["sub_1"])
    fallback = ["CANONICAL_SELECTION_FALLBACK"] if order == (0, 1) else []
    assert fired == ["DUPLICATE_ACTIVE_SUBSCRIPTIONS_DETECTED", *fallback]


def test_t122_the_incomplete_one_that_gets_paid_does_not_take_the_place_back(world):
    """T-122: of equals the current one stays."""
    world.deliver(world.subscription_event(status="incomplete"), second(world))
    world.deliver(world.subscription_event("updated", at=T0 + 9))

    assert world.current() == "sub_2"


def test_when_the_current_one_ends_another_live_one_takes_its_place(world):
    world.deliver(world.subscription_event(), second(world))
    world.deliver(world.subscription_event("deleted", at=T0 + 9))

    assert world.current() == "sub_2"


def change(world, owed: Remediation, **values) -> None:
    with factories.locked(world.entity):
        Remediation.objects.filter(pk=owed.pk).update(**values)


LEASE = factories.NOW + dt.timedelta(seconds=90)


@pytest.mark.parametrize(
    ("values", "after"),
    [
        ({"status": "pending"}, "pending"),
        ({"status": "failed"}, "failed"),
        ({"status": "in_progress", "lease_expires_at": LEASE}, "in_progress"),
        ({"status": "succeeded", "metadata_json": {"outcome": "canceled"}}, "succeeded"),
        ({"status": "succeeded", "metadata_json": {}}, "succeeded"),
        ({"status": "dead_letter"}, "dead_letter"),
        ({"status": "succeeded", "metadata_json": {"outcome": "not_needed"}}, "pending"),
    ],
)
def test_t124_only_one_that_was_not_needed_is_reopened(world, values, after):
    """T-124: neither done, nor given up, nor under way is begun again by another event."""
    world.deliver(world.subscription_event(), second(world))
    (owed,) = world.remediations()
    change(world, owed, **values)
    world.deliver(second(world, at=T0 + 9))

    assert [one.status for one in world.remediations()] == [after]
