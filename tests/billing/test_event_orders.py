"""T-143 to T-145: what a checkout's events come to does not depend on the order in which they come (INV-32).

Every order is played against the same beginning, wound back by savepoints, so that orders share what they
have in common. The provider answers as it is when all has happened, at a second after all events.
"""

import itertools
from collections.abc import Callable, Iterator

import pytest
from django.db import transaction

from billing.services import webhooks
from settld.stripe_gateway.consumers import Consumed
from tests.billing import factories, payloads
from tests.billing.payloads import T0
from tests.billing.projections import KEY, OTHER_KEY, World

Event = dict


def endings(world: World, events: list[Event], *, is_allowed: Callable | None = None) -> Iterator[tuple]:
    """Play every order that is allowed; gives the order, as event types, and what it came to."""

    stored = [payloads.stored(event) for event in events]

    def go_on(done: tuple[int, ...]) -> Iterator[tuple]:
        left = [number for number in range(len(events)) if number not in done]
        if not left:
            yield tuple(events[number]["type"] for number in done), world.state()
        for number in left:
            if is_allowed is not None and not is_allowed(done, number):
                continue
            savepoint = transaction.savepoint()
            webhooks.apply(stored[number])
            hold(world)
            yield from go_on((*done, number))
            transaction.savepoint_rollback(savepoint)

    return go_on(())


def hold(world: World) -> None:
    """What must hold after every step: one current subscription at most, and the only live one is it."""
    live = [row.provider_subscription_id for row in world.subscriptions() if not row.is_terminal]
    assert (world.current() is not None) == bool(live)
    blocking = [row for row in world.sessions() if row.status in ("open", "completed_pending_subscription")]
    assert len(blocking) <= 1


def the_one(found: list[tuple]) -> dict:
    """All orders came to the same; a difference names the orders."""
    first_order, first = found[0]
    for order, state in found[1:]:
        assert state == first, f"{order} differs from {first_order}"
    return first


def others_session(world: World) -> None:
    """The session of an earlier checkout of this entity, given up by its user and expired by the time."""
    factories.request(
        world.entity,
        operation_key=OTHER_KEY,
        client_idempotency_key="key-0",
        status="succeeded",
        response_json={"checkoutSession": {"providerCheckoutSessionId": "cs_0"}},
        provider_session_id="cs_0",
        pending_lease_expires_at=None,
    )


def test_t143_completed_expired_of_another_created_and_deleted(world):
    """T-143: all 24 orders; the checkout came to its end, and so did the subscription."""
    factories.session(
        world.entity, operation_key=OTHER_KEY, status="expired", provider_checkout_session_id="cs_0"
    )
    factories.session(world.entity, operation_key=KEY, provider_checkout_session_id="cs_1")
    others_session(world)
    events = [
        world.session_event(at=T0 + 1),
        world.session_event("expired", session_id="cs_0", metadata=world.labels(OTHER_KEY), at=T0 + 2),
        world.subscription_event(at=T0 + 3),
        world.subscription_event("deleted", at=T0 + 9, status="canceled", ended_at=T0 + 9),
    ]
    found = list(endings(world, events))

    assert len(found) == 24
    state = the_one(found)
    assert state["sessions"] == [
        (KEY, "completed_reconciled", "cs_1", "sub_1"),
        (OTHER_KEY, "expired", "cs_0", None),
    ]
    assert [row[:3] for row in state["subscriptions"]] == [("sub_1", "canceled", False)]
    assert [row[:2] for row in state["requests"]] == [("key-0", "succeeded"), ("key-1", "succeeded")]
    assert (state["remediations"], state["jobs"]) == ([], [])


def test_t143_the_expired_one_may_be_open_here_still(world):
    """T-143: the local row has not heard of its end; the other checkout has no row yet."""
    factories.session(world.entity, operation_key=OTHER_KEY, provider_checkout_session_id="cs_0")
    others_session(world)
    events = [
        world.session_event(at=T0 + 1),
        world.session_event("expired", session_id="cs_0", metadata=world.labels(OTHER_KEY), at=T0 + 2),
        world.subscription_event(at=T0 + 3),
        world.subscription_event("deleted", at=T0 + 9, status="canceled", ended_at=T0 + 9),
    ]
    found = list(endings(world, events))

    assert len(found) == 24
    for order, state in found:
        by_key = {row[0]: row for row in state["sessions"]}
        assert by_key[KEY] == (KEY, "completed_reconciled", "cs_1", "sub_1"), order
        # Displaced by the completed one, or expired before that: over either way, and nothing is left to owe
        # but the end of a session that has ended.
        assert by_key[OTHER_KEY][1] in ("expired", "abandoned"), order
        assert set(state["jobs"]) <= {"expire_checkout_session:cs_0"}, order
        assert [row[:3] for row in state["subscriptions"]] == [("sub_1", "canceled", False)], order


def in_turn(*chains: tuple[int, ...]) -> Callable[[tuple[int, ...], int], bool]:
    """Allow the orders in which each chain's own events keep theirs: the interleavings."""

    def is_allowed(done: tuple[int, ...], number: int) -> bool:
        chain = next(one for one in chains if number in one)
        return all(before in done for before in chain[: chain.index(number)])

    return is_allowed


def second_checkout(world: World) -> None:
    """Another checkout of the same entity; the first one's session was given up here, and yet it is paid."""
    factories.session(
        world.entity, operation_key=KEY, status="abandoned", provider_checkout_session_id="cs_1"
    )
    with factories.locked(world.entity):
        from billing.services import idempotency
        from billing.states import FailureCode

        idempotency.fail(
            world.request(),
            expected_version=1,
            code=FailureCode.CHECKOUT_SESSION_OPEN,
            now=factories.NOW,
        )
    factories.request(world.entity, operation_key=OTHER_KEY, client_idempotency_key="key-2")


def two_chains(world: World) -> list[Event]:
    """Two sessions, both paid, each with a subscription of its own customer."""
    other = world.labels(OTHER_KEY)
    theirs = {"subscription_id": "sub_2", "customer": "cus_2", "items": [payloads.item("si_2")]}
    return [
        world.session_event(at=T0 + 1),
        world.subscription_event(at=T0 + 2, status="incomplete"),
        world.subscription_event("updated", at=T0 + 5),
        world.session_event(
            session_id="cs_2", customer="cus_2", subscription="sub_2", metadata=other, at=T0 + 1
        ),
        world.subscription_event(at=T0 + 2, status="incomplete", metadata=other, **theirs),
        world.subscription_event("updated", at=T0 + 5, metadata=other, **theirs),
    ]


@pytest.mark.parametrize(
    "chains",
    [((0, 1, 2), (3, 4, 5)), ((2, 1, 0), (5, 4, 3))],
    ids=["in_turn", "backwards"],
)
def test_t144_two_sessions_of_one_entity_in_all_interleavings(world, chains):
    """T-144: one subscription counts, the first to be paid; the other is owed its end, and nobody waits."""
    second_checkout(world)
    found = list(endings(world, two_chains(world), is_allowed=in_turn(*chains)))

    assert len(found) == 20
    outcomes: dict[str, list[dict]] = {}
    for _, state in found:
        (current,) = (row[0] for row in state["subscriptions"] if row[2])
        outcomes.setdefault(current, []).append(state)
        other = {"sub_1": "sub_2", "sub_2": "sub_1"}[current]
        assert (other, "pending") in state["remediations"]
        assert state["customers"] == {
            "cus_1": current == "sub_1",
            "cus_2": current == "sub_2",
        }
        assert {row[1] for row in state["sessions"]} <= {"abandoned", "completed_reconciled"}
        assert all(row[1] != "pending" for row in state["requests"])
    assert sorted(outcomes) == ["sub_1", "sub_2"]
    for states in outcomes.values():
        kept = [(state["subscriptions"], state["items"], state["customers"]) for state in states]
        assert all(one == kept[0] for one in kept)


def one_second(world: World, *, reverse_ids: bool) -> list[Event]:
    """The events of a checkout that is paid, changed and ended, all in one second."""
    ids = [f"evt_{letter}" for letter in "abcdef"]
    names = iter(reversed(ids) if reverse_ids else ids)
    made = [
        world.session_event(),
        world.subscription_event(status="incomplete", event_id=next(names)),
        world.subscription_event("updated", event_id=next(names)),
        world.subscription_event("deleted", status="canceled", event_id=next(names)),
        world.invoice_event("payment_failed", event_id=next(names)),
        world.invoice_event(event_id=next(names)),
    ]
    world.provider.hold(world.subscription(status="canceled", ended_at=T0))
    world.provider.hold(payloads.invoice(metadata=world.labels(), payments=[payloads.invoice_payment()]))
    return made


@pytest.mark.parametrize(
    ("reverse_ids", "provider_second"), [(False, 0), (True, 1)], ids=["looks_in_that_second", "looks_later"]
)
def test_t145_all_in_one_second_the_provider_can_be_asked(world, reverse_ids, provider_second):
    """T-145: subscriptions and sessions in all 24 orders; invoices apart, which touch neither."""
    events = one_second(world, reverse_ids=reverse_ids)
    world.provider.now = T0 + provider_second
    state = the_one(list(endings(world, events[:4])))

    assert [row[:3] for row in state["subscriptions"]] == [("sub_1", "canceled", False)]
    assert state["sessions"] == [(KEY, "completed_reconciled", "cs_1", "sub_1")]
    assert state["requests"] == [("key-1", "succeeded", None, "cs_1")]
    invoices = the_one(list(endings(world, events[4:])))
    assert invoices["payments"] == [("pi_1", "paid", 4_900, False)]


@pytest.mark.parametrize("reverse_ids", [False, True], ids=["ids_in_order", "ids_reversed"])
def test_t145_all_in_one_second_the_provider_cannot_be_asked(world, reverse_ids):
    """T-145: the later kind of event wins, in every order."""
    events = one_second(world, reverse_ids=reverse_ids)
    world.provider.is_down = True
    state = the_one(list(endings(world, events[:4])))

    assert [row[:3] for row in state["subscriptions"]] == [("sub_1", "canceled", False)]
    assert state["sessions"] == [(KEY, "completed_reconciled", "cs_1", "sub_1")]
    invoices = the_one(list(endings(world, events[4:])))
    assert [row[:2] for row in invoices["invoices"]] == [("in_1", "paid")]
    assert invoices["payments"] == [("in_1:invoice.paid", "paid", 4_900, True)]


def test_t145_every_event_twice_is_every_event_once(world):
    """T-145: redeliveries in between change nothing."""
    events = one_second(world, reverse_ids=False)
    world.provider.now = T0
    once = None
    for order in itertools.islice(itertools.permutations(events), 0, None, 101):
        savepoint = transaction.savepoint()
        for event in order:
            told: Consumed = world.consume(event)
            assert told.outcome in ("applied", "stale")
        for event in reversed(order):
            world.deliver(event)
        once = once or world.state()
        assert world.state() == once
        transaction.savepoint_rollback(savepoint)
    assert once is not None
