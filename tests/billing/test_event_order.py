"""T-112 to T-114: events are placed by the provider's clock, and by a look where that cannot tell (8.4)."""

import datetime as dt
import json

import pytest

from billing.models import Subscription
from billing.provider_time import ProviderTime
from billing.providers import shapes
from billing.services import ordering, subscriptions
from billing.services.ordering import EventStamp, Unsettled, Verdict
from settld.core import clock, failpoints
from tests.billing import factories
from tests.billing.payloads import T0
from tests.billing.projections import nothing_written


def stamped(kind: str, second: int, event_id: str) -> EventStamp:
    return EventStamp(event_id, f"customer.subscription.{kind}", ProviderTime(second))


@pytest.mark.parametrize(
    ("event", "snapshot", "told", "verdict"),
    [
        (None, None, (5, "evt_a"), Verdict.APPLY),
        ((5, "evt_m"), None, (6, "evt_a"), Verdict.APPLY),
        ((5, "evt_m"), None, (4, "evt_z"), Verdict.STALE),
        ((5, "evt_m"), None, (5, "evt_a"), Verdict.RESOLVE),
        ((5, "evt_m"), None, (5, "evt_z"), Verdict.RESOLVE),
        ((5, "evt_m"), None, (5, "evt_m"), Verdict.APPLY),
        (None, 5, (6, "evt_a"), Verdict.APPLY),
        (None, 5, (4, "evt_a"), Verdict.STALE),
        (None, 5, (5, "evt_a"), Verdict.RESOLVE),
        ((5, "evt_m"), 7, (6, "evt_z"), Verdict.STALE),
        ((5, "evt_m"), 7, (7, "evt_z"), Verdict.RESOLVE),
        ((5, "evt_m"), 7, (8, "evt_z"), Verdict.APPLY),
        ((9, "evt_m"), 7, (8, "evt_z"), Verdict.STALE),
        ((9, "evt_m"), 7, (9, "evt_z"), Verdict.RESOLVE),
        ((5, "evt_m"), 5, (5, "evt_m"), Verdict.RESOLVE),
    ],
)
def test_t112_t113_an_event_is_placed_against_both_watermarks(event, snapshot, told, verdict):
    """T-112, T-113: the whole table, in seconds of the provider's clock."""
    row = Subscription()
    if event is not None:
        row.last_provider_event_created_at = ProviderTime(event[0]).at
        row.last_provider_event_id = event[1]
    if snapshot is not None:
        row.last_provider_snapshot_at = ProviderTime(snapshot).at

    assert ordering.decide(row, stamped("updated", *told)) == verdict


def test_t112_an_older_event_changes_nothing(world):
    """T-112: and is done with, so that nobody tries it again."""
    world.deliver(world.subscription_event("updated", at=T0 + 5, status="past_due"))
    with nothing_written(world):
        assert world.deliver(world.subscription_event(at=T0)) == ["stale"]

    assert world.row().last_provider_event_created_at.timestamp() == T0 + 5
    assert world.provider.asked == []


@pytest.mark.parametrize("first", ["evt_a", "evt_b"])
def test_t112_of_one_second_the_provider_tells_which_is_true(world, first):
    """T-112: either order of ids, and the answer is neither event's."""
    second = {"evt_a": "evt_b", "evt_b": "evt_a"}[first]
    world.provider.hold(world.subscription(status="unpaid"))
    world.deliver(world.subscription_event(event_id=first, status="active"))

    assert world.deliver(world.subscription_event("updated", event_id=second, status="past_due")) == [
        "applied"
    ]

    row = world.row()
    assert world.provider.asked == ["sub_1"]
    assert row.status == "unpaid"
    assert (row.last_provider_event_created_at.timestamp(), row.last_provider_event_id) == (T0, "evt_b")
    assert row.last_provider_snapshot_at.timestamp() == world.provider.now
    assert row.needs_reconciliation is False


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in_order", "reversed"])
@pytest.mark.parametrize(
    ("earlier", "later"),
    [("created", "updated"), ("updated", "paused"), ("created", "deleted"), ("resumed", "deleted")],
)
@pytest.mark.parametrize("ids", [("evt_a", "evt_b"), ("evt_b", "evt_a")])
def test_t112_when_the_provider_cannot_be_asked_the_later_kind_wins(world, order, earlier, later, ids):
    """T-112: created < updated < paused, resumed < deleted; the row is flagged."""
    world.provider.is_down = True
    statuses = {"created": "incomplete", "updated": "active", "paused": "paused", "resumed": "active"}
    events = [
        world.subscription_event(kind, event_id=event_id, status=statuses.get(kind, "canceled"))
        for kind, event_id in zip((earlier, later), ids, strict=True)
    ]
    outcomes = world.deliver(*(events[number] for number in order))

    row = world.row()
    assert row.status == statuses.get(later, "canceled")
    assert row.needs_reconciliation is True
    assert row.last_provider_event_id == ids[1]
    assert outcomes == (["applied", "applied"] if order == (0, 1) else ["applied", "stale"])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in_order", "reversed"])
def test_t112_when_the_kinds_are_the_same_the_greater_id_wins(world, order):
    """T-112: byte by byte."""
    world.provider.is_down = True
    events = [
        world.subscription_event("updated", event_id="evt_Z", status="active"),
        world.subscription_event("updated", event_id="evt_a", status="past_due"),
    ]
    world.deliver(*(events[number] for number in order))

    assert (world.row().status, world.row().last_provider_event_id) == ("past_due", "evt_a")


@pytest.mark.parametrize("kind", ["updated", "resumed"])
def test_t112_an_ended_subscription_does_not_come_back_by_rank(world, kind):
    """T-112: what a look has found ended stays so while the provider cannot be asked."""
    world.provider.hold(world.subscription(status="canceled"))
    world.provider.now = T0
    world.deliver(world.subscription_event(event_id="evt_a"), world.subscription_event(event_id="evt_b"))
    assert world.row().status == "canceled"
    world.provider.is_down = True

    assert world.deliver(world.subscription_event(kind, event_id="evt_c")) == ["stale"]
    assert (world.row().status, world.row().needs_reconciliation) == ("canceled", True)


def test_t112_a_newer_event_takes_the_flag_away(world):
    """T-112: what follows in order is certain again."""
    world.provider.is_down = True
    world.deliver(world.subscription_event(), world.subscription_event("updated"))
    assert world.row().needs_reconciliation is True

    world.deliver(world.subscription_event("updated", at=T0 + 1))
    assert world.row().needs_reconciliation is False


def test_t112_the_same_event_again_is_not_a_second_one(world):
    """T-112: a worker died between the commit and writing down that it was done."""
    told = world.subscription_event()
    world.deliver(told)
    before = world.state()

    assert world.deliver(told) == ["applied"]
    assert (world.state(), world.provider.asked) == (before, [])


@pytest.mark.parametrize(
    ("seconds_after", "outcome", "asks"), [(-1, "stale", 0), (0, "applied", 1), (1, "applied", 0)]
)
def test_t113_an_event_beside_a_look(world, seconds_after, outcome, asks):
    """T-113: before it is stale, in its second it takes another look, after it applies."""
    world.provider.hold(world.subscription(status="past_due"))
    project_from_provider(world)
    assert world.row().last_provider_event_id is None
    world.provider.asked.clear()

    at = world.provider.now + seconds_after
    assert world.deliver(world.subscription_event("updated", at=at, status="active")) == [outcome]
    assert len(world.provider.asked) == asks
    assert world.row().status == ("active" if seconds_after == 1 else "past_due")


def test_t113_a_look_older_than_the_row_is_dropped(world):
    """T-113: a listing of a moment ago does not undo an event of since then."""
    world.deliver(world.subscription_event(at=world.provider.now + 1))
    with factories.locked(world.entity):
        row = subscriptions.project(
            entity=world.entity,
            facts=shapes.subscription_facts(world.subscription(status="unpaid")),
            event=None,
            snapshot_at=ProviderTime(world.provider.now),
            now=factories.NOW,
        )

    assert (row.status, row.last_provider_snapshot_at) == ("active", None)


def project_from_provider(world) -> Subscription:
    return subscriptions.project_from_provider(
        tenant_id=world.entity.tenant_id,
        entity_id=world.entity.pk,
        provider_subscription_id="sub_1",
        now=factories.NOW,
    )


@pytest.mark.parametrize("hours", [-1, 1])
def test_t114_our_own_clock_decides_nothing(world, hours):
    """T-114, INV-31: an hour off, and not a row is different."""
    story = [
        world.subscription_event("updated", at=T0 + 5, status="past_due"),
        world.session_event(at=T0 + 1),
        world.invoice_event(at=T0 + 2),
        world.subscription_event(at=T0),
        world.invoice_event("payment_failed", at=T0 + 1),
    ]
    world.deliver(*story)
    with clock.freeze(factories.NOW + dt.timedelta(hours=hours)):
        skewed = _elsewhere(world)
        outcomes = skewed.deliver(*_moved(story, world, skewed))

    assert outcomes == ["applied", "applied", "applied", "stale", "stale"]
    for mine, theirs in (
        (world.row(), skewed.row()),
        (world.invoice(), skewed.invoice()),
        (world.sessions()[0], skewed.sessions()[0]),
    ):
        assert mine.status == theirs.status
        assert mine.last_provider_event_created_at == theirs.last_provider_event_created_at


def _elsewhere(world):
    """The same world for another tenant, with other ids at the provider."""
    other = object.__new__(type(world))
    other.provider, other.plan = world.provider, world.plan
    other.entity = factories.workspace_entity("tenant_b")
    factories.request(other.entity, operation_key="e" * 64, client_idempotency_key="key-1")
    return other


def _moved(story: list[dict], world, other) -> list[dict]:
    text = json.dumps(story)
    for ours, theirs in (
        ("a" * 64, "e" * 64),
        (f'"billable_entity_id": "{world.entity.pk}"', f'"billable_entity_id": "{other.entity.pk}"'),
        (f'"client_reference_id": "{world.entity.pk}"', f'"client_reference_id": "{other.entity.pk}"'),
        *((f'"{name}_1"', f'"{name}_9"') for name in ("sub", "si", "cus", "in", "cs")),
        ('"evt_', '"evt_x'),
    ):
        text = text.replace(ours, theirs)
    return json.loads(text)


class TestOvertaken:
    """W3 of 8.1: what was seen before the lock counts only if nobody wrote since."""

    def test_a_look_that_was_overtaken_is_made_again(self, world):
        """T-113: two looks of one second, and the first to ask is the last to lock."""
        world.deliver(world.subscription_event(event_id="evt_a"))
        world.provider.now = T0
        world.provider.hold(world.subscription(status="past_due"))

        def rival() -> None:
            world.provider.hold(world.subscription(status="unpaid"))
            world.deliver(world.subscription_event("updated", event_id="evt_b"))

        world.provider.meanwhile.append(rival)
        world.deliver(world.subscription_event("updated", event_id="evt_c"))

        assert world.provider.asked == ["sub_1"] * 3
        assert world.row().status == "unpaid"

    def test_an_event_that_was_placed_before_a_rival_wrote_is_placed_again(self, world):
        """T-112: without a lock it looked applicable, with the lock it needs a look."""
        world.deliver(world.subscription_event(event_id="evt_a", at=T0 - 5))
        world.provider.hold(world.subscription(status="unpaid"))
        told = world.subscription_event("updated", event_id="evt_c", status="active")
        seen = []

        def rival(point: str) -> None:
            if point == "billing.webhook.prefetched" and not seen:
                seen.append(point)
                world.deliver(world.subscription_event("updated", event_id="evt_b", status="past_due"))

        with failpoints.watched(rival):
            assert world.deliver(told) == ["applied"]

        assert world.provider.asked == ["sub_1"]
        assert world.row().status == "unpaid"

    def test_whoever_is_always_overtaken_gives_up_and_asks_to_be_sent_again(self, world):
        world.deliver(world.subscription_event(event_id="evt_0"))
        world.provider.hold(world.subscription())
        world.provider.now = T0

        def touch() -> None:
            with factories.locked(world.entity):
                Subscription.objects.update(trial_end=None)

        world.provider.meanwhile.extend([touch] * 4)
        with nothing_written(world), pytest.raises(Unsettled) as refusal:
            world.deliver(world.subscription_event("updated"))

        assert (refusal.value.status, len(world.provider.asked)) == (503, 4)

    def test_three_repeats_are_enough_for_three_rivals(self, world):
        world.deliver(world.subscription_event(event_id="evt_0"))
        world.provider.hold(world.subscription(status="unpaid"))
        world.provider.now = T0

        def touch() -> None:
            with factories.locked(world.entity):
                Subscription.objects.update(trial_end=None)

        world.provider.meanwhile.extend([touch] * 3)

        assert world.deliver(world.subscription_event("updated")) == ["applied"]
        assert (world.row().status, len(world.provider.asked)) == ("unpaid", 4)

    def test_a_projection_on_its_own_account_asks_again_too(self, world):
        world.provider.hold(world.subscription(status="past_due"))

        def rival() -> None:
            world.provider.hold(world.subscription(status="unpaid"))
            world.deliver(world.subscription_event(at=T0))

        world.provider.meanwhile.append(rival)

        assert project_from_provider(world).status == "unpaid"
        assert len(world.provider.asked) == 2


def test_the_database_counts_every_write_of_what_is_ordered(world):
    world.deliver(world.subscription_event(), world.invoice_event())
    for row in (world.row(), world.invoice()):
        with factories.locked(world.entity):
            type(row).objects.update(revision=0)
            assert type(row).objects.get().revision == row.revision + 1


def test_watermarks_of_payloads_without_a_clock_are_refused():
    """INV-31: a datetime is no provider time."""
    with pytest.raises(TypeError):
        ProviderTime(factories.NOW)  # type: ignore[arg-type]
