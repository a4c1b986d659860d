"""Subscriptions as events tell them: status, plan, items, dates, customer, session, request (8.5)."""

import pytest
from django.db import IntegrityError, transaction

from billing.models import Plan, PlanPrice, Subscription
from billing.services import locks
from billing.services.resolution import CorrelationMismatch
from billing.services.subscription_plans import PlanUnclear
from billing.states import TERMINAL_SUBSCRIPTION, SubscriptionStatus
from settld.core import tenancy
from settld.stripe_gateway import consumers
from tests.billing import checkouts, factories, payloads
from tests.billing.payloads import MONTH, T0
from tests.billing.projections import KEY, OTHER_KEY, nothing_written


def test_the_first_event_makes_the_row_its_items_and_its_customer(world):
    assert world.deliver(world.subscription_event()) == ["applied"]

    row = world.row()
    assert (row.provider_subscription_id, row.status, row.is_current) == ("sub_1", "active", True)
    assert row.plan_id == world.plan.pk
    assert row.provider_subscription_created_at.timestamp() == T0
    assert row.metadata_json["operation_key"] == KEY
    (item,) = world.items()
    assert (item.provider_subscription_item_id, item.is_active, item.quantity) == ("si_1", True, 1)
    assert item.billing_plan_price.provider_price_id == "price_pro"
    assert item.last_provider_event_id == row.last_provider_event_id
    assert world.customers() == {"cus_1": True}


def test_the_pending_request_succeeds_and_a_session_stands_for_the_checkout(world):
    world.deliver(world.subscription_event())

    (session,) = world.sessions()
    assert (session.status, session.operation_key) == ("completed_reconciled", KEY)
    assert (session.provider_checkout_session_id, session.provider_subscription_id) == (None, "sub_1")
    request = world.request()
    assert (request.status, request.provider_session_id) == ("succeeded", None)
    assert request.response_json["checkoutSession"]["providerCheckoutSessionId"] is None

    world.deliver(world.session_event())

    assert world.request().provider_session_id == "cs_1"
    assert world.request().response_json["checkoutSession"]["providerCheckoutSessionId"] == "cs_1"
    assert [row.status for row in world.sessions()] == ["completed_reconciled"]


@pytest.mark.parametrize(
    "before", ["open", "completed_pending_subscription", "recovery_verification_pending"]
)
def test_the_session_of_the_operation_is_brought_to_its_end(world, before):
    factories.session(world.entity, operation_key=KEY, status=before, provider_checkout_session_id="cs_1")

    world.deliver(world.subscription_event())

    (session,) = world.sessions()
    assert (session.status, session.provider_subscription_id) == ("completed_reconciled", "sub_1")
    assert world.request().status == "succeeded"


def test_the_session_is_found_by_the_subscription_when_the_labels_are_gone(world):
    factories.customer(world.entity)
    factories.session(
        world.entity,
        operation_key=KEY,
        status="completed_pending_subscription",
        provider_subscription_id="sub_1",
        idempotency_row=world.request(),
    )

    world.deliver(world.subscription_event(metadata={}))

    assert [row.status for row in world.sessions()] == ["completed_reconciled"]
    assert world.request().status == "succeeded"


@pytest.mark.parametrize(
    ("before", "after"),
    [("open", "open"), ("completed_pending_subscription", "completed_reconciled")],
)
def test_an_incomplete_subscription_moves_only_what_was_completed(world, before, after):
    factories.session(world.entity, operation_key=KEY, status=before, provider_checkout_session_id="cs_1")

    world.deliver(world.subscription_event(status="incomplete"))

    assert [row.status for row in world.sessions()] == [after]


def test_a_session_completed_after_its_incomplete_subscription_ends_the_same(world):
    factories.session(world.entity, operation_key=KEY, provider_checkout_session_id="cs_1")

    world.deliver(world.subscription_event(status="incomplete"), world.session_event())

    assert [row.status for row in world.sessions()] == ["completed_reconciled"]


def test_t093_an_incomplete_subscription_is_current_and_blocks_another_checkout(world):
    """T-093."""
    world.deliver(world.subscription_event(status="incomplete"), world.session_event())
    assert world.current() == "sub_1"

    assert checkouts.told(world.entity, key="another") == (409, "subscription_exists_use_portal")


@pytest.mark.parametrize("status", TERMINAL_SUBSCRIPTION)
@pytest.mark.parametrize("kind", ["created", "updated"])
def test_t094_a_subscription_that_has_ended_is_never_current(world, status, kind):
    """T-094: neither when it comes so, nor when it becomes so."""
    if kind == "updated":
        world.deliver(world.subscription_event(at=T0 - 5))
        assert world.current() == "sub_1"
    world.deliver(world.subscription_event(kind, status=status))

    assert (world.row().status, world.current()) == (status, None)


def test_t094_the_database_lets_no_ended_subscription_be_current(world):
    """T-094, INV-22."""
    payer = factories.customer(world.entity)
    with pytest.raises(IntegrityError, match="subscription_terminal_not_current"), transaction.atomic():
        factories.subscription(world.entity, world.plan, payer, status="canceled", is_current=True)


@pytest.mark.parametrize("status", SubscriptionStatus.values)
def test_t096_a_status_that_we_know_passes_through(world, status):
    """T-096."""
    world.deliver(world.subscription_event(status=status))

    assert world.row().status == status


@pytest.mark.parametrize(
    ("kind", "told", "stored"),
    [
        ("updated", "ended", "canceled"),
        ("deleted", "canceled", "canceled"),
        ("deleted", "active", "canceled"),
        ("deleted", "something_new", "canceled"),
        ("paused", "paused", "paused"),
        ("resumed", "active", "active"),
        ("updated", "something_new", "past_due"),
    ],
)
def test_t096_each_word_and_event_maps_to_a_status(world, fired, kind, told, stored):
    """T-096: an unknown word keeps what is stored, and says so; a deletion is the end whatever it says."""
    world.deliver(world.subscription_event(status="past_due", at=T0 - 5))
    world.deliver(world.subscription_event(kind, status=told))

    assert world.row().status == stored
    assert ("PROVIDER_SDK_API_BASELINE_DRIFT" in fired) == (stored == "past_due")


def test_t096_an_unknown_word_of_a_new_subscription_is_incomplete(world, fired):
    """T-096."""
    world.deliver(world.subscription_event(status="something_new"))

    assert world.row().status == "incomplete"
    assert fired == ["PROVIDER_SDK_API_BASELINE_DRIFT"]


def test_t096_a_deletion_says_when_it_ended(world):
    """T-096: `ended_at`, else `canceled_at`, else the event's own time."""
    world.deliver(world.subscription_event("deleted", at=T0 + 7))
    assert world.row().ended_at.timestamp() == T0 + 7

    world.deliver(world.subscription_event("deleted", at=T0 + 8, canceled_at=T0 + 3))
    assert world.row().ended_at.timestamp() == T0 + 3


def other_plan(code: str = "team", price_id: str = "price_team") -> Plan:
    return factories.plan(code, price_id=price_id, amount=9_900)


def test_t097_a_plan_change_in_the_portal_maps_to_the_new_plan(world):
    """T-097: the old item stays, inactive."""
    team = other_plan()
    world.deliver(world.subscription_event())
    world.deliver(
        world.subscription_event("updated", at=T0 + 5, items=[payloads.item("si_2", price="price_team")])
    )

    assert world.row().plan_id == team.pk
    assert {row.provider_subscription_item_id: row.is_active for row in world.items()} == {
        "si_1": False,
        "si_2": True,
    }


def test_t097_the_price_of_one_item_may_change_in_place(world):
    """T-097."""
    team = other_plan()
    world.deliver(world.subscription_event())
    world.deliver(world.subscription_event("updated", at=T0 + 5, items=[payloads.item(price="price_team")]))

    (item,) = world.items()
    assert (world.row().plan_id, item.provider_price_id, item.is_active) == (team.pk, "price_team", True)


def test_t097_a_price_that_is_no_longer_sold_maps_to_its_plan_still(world):
    """T-097."""
    PlanPrice.objects.filter(provider_price_id="price_pro").update(is_active=False)
    world.deliver(world.subscription_event())

    assert world.row().plan_id == world.plan.pk


def test_t097_items_of_two_plans_are_refused(world):
    """T-097: one plan or none."""
    other_plan()
    two = [payloads.item(), payloads.item("si_2", price="price_team")]
    with nothing_written(world), pytest.raises(PlanUnclear) as refusal:
        world.deliver(world.subscription_event(items=two))

    assert (refusal.value.status, refusal.value.code) == (409, "BILLING_SUBSCRIPTION_PLAN_UNCLEAR")
    assert refusal.value.details["planCodes"] == ["pro", "team"]
    assert consumers.correlation_of(refusal.value) == (world.entity.tenant_id, world.entity.pk, KEY)


@pytest.mark.parametrize(
    ("thing", "end"),
    [
        (payloads.subscription(items=[payloads.item(period_end=T0 + 5)]), T0 + 5),
        (
            payloads.subscription(
                items=[payloads.item(period_end=T0 + 9), payloads.item("si_2", period_end=T0 + 6)]
            ),
            T0 + 6,
        ),
        (payloads.legacy_subscription(period_end=T0 + 7), T0 + 7),
        (payloads.subscription(items=[payloads.item(period_end=None)]), None),
    ],
    ids=["basil", "basil_earliest_item", "legacy", "untold"],
)
def test_t098_the_end_of_the_period_is_found_in_each_shape(world, thing, end):
    """T-098."""
    thing |= {"metadata": world.labels()}
    world.deliver(payloads.event("customer.subscription.created", thing))

    stored = world.row().current_period_end
    assert (stored and stored.timestamp()) == end


@pytest.mark.parametrize(
    ("told", "is_cancelling"),
    [
        ({"cancel_at_period_end": True}, True),
        ({"cancel_at_period_end": False}, False),
        ({"cancel_at": T0 + MONTH}, True),
        ({"cancel_at": T0 + MONTH - 1}, True),
        ({"cancel_at": T0 + MONTH + 1}, False),
        ({"cancel_at_period_end": True, "cancel_at": T0 + MONTH}, True),
    ],
)
def test_t099_a_cancellation_at_the_end_is_told_in_two_ways(world, told, is_cancelling):
    """T-099: `cancel_at` may stand alone."""
    world.deliver(world.subscription_event(**told))

    row = world.row()
    assert row.cancel_at_period_end is is_cancelling
    assert (row.cancel_at and row.cancel_at.timestamp()) == told.get("cancel_at")


def test_t099_a_cancellation_that_was_taken_back_is_gone(world):
    """T-099."""
    world.deliver(world.subscription_event(cancel_at=T0 + MONTH, canceled_at=T0))
    world.deliver(world.subscription_event("updated", at=T0 + 5))

    row = world.row()
    assert (row.cancel_at, row.canceled_at, row.cancel_at_period_end) == (None, None, False)


def test_t100_a_price_of_no_plan_is_refused(world, fired):
    """T-100."""
    with nothing_written(world), pytest.raises(PlanUnclear) as refusal:
        world.deliver(world.subscription_event(items=[payloads.item(price="price_unknown")]))

    assert refusal.value.details["providerPriceIds"] == ["price_unknown"]
    assert fired == ["UNMAPPED_SUBSCRIPTION_PRICE"]


def test_t100_a_subscription_that_has_a_plan_keeps_it_when_its_price_is_unknown(world, fired):
    """T-100: service goes on; the guardrail asks a person to map the price."""
    world.deliver(world.subscription_event())
    world.deliver(world.subscription_event("updated", at=T0 + 5, items=[payloads.item(price="price_new")]))

    (item,) = world.items()
    assert world.row().plan_id == world.plan.pk
    assert (item.provider_price_id, item.billing_plan_price_id) == ("price_new", None)
    assert fired == ["UNMAPPED_SUBSCRIPTION_PRICE"]


def test_t100_an_unknown_price_beside_a_known_one_decides_nothing(world, fired):
    """T-100."""
    world.deliver(world.subscription_event(items=[payloads.item(), payloads.item("si_2", price="price_x")]))

    assert world.row().plan_id == world.plan.pk
    assert [item.billing_plan_price_id is None for item in world.items()] == [False, True]
    assert fired == []


def test_t100_the_refused_event_applies_once_the_price_is_mapped(world):
    """T-100: nothing of the first try is in the way of the second."""
    told = world.subscription_event(items=[payloads.item(price="price_new")])
    with pytest.raises(PlanUnclear):
        world.deliver(told)
    other_plan("new", "price_new")

    assert world.deliver(told) == ["applied"]
    assert world.row().plan.code == "new"


def test_t101_when_a_subscription_was_made_is_taken_over_once(world):
    """T-101, INV-23."""
    world.deliver(world.subscription_event(), world.subscription_event("updated", at=T0 + 5, created=T0 + 99))

    assert world.row().provider_subscription_created_at.timestamp() == T0


def test_t101_the_database_keeps_when_a_subscription_was_made(world):
    """T-101, INV-23."""
    world.deliver(world.subscription_event())
    with factories.locked(world.entity):
        with pytest.raises(IntegrityError) as refused, transaction.atomic():
            Subscription.objects.update(provider_subscription_created_at=factories.NOW)
    assert refused.value.__cause__.diag.constraint_name == "subscription_identity"


class TestWhoPays:
    """8.3: customers of subscriptions."""

    def test_an_unknown_customer_is_adopted_when_the_operation_is_known(self, world):
        world.deliver(world.subscription_event(customer={"id": "cus_9", "object": "customer"}))

        assert world.customers() == {"cus_9": True}

    def test_with_a_known_operation_it_takes_the_place_of_the_primary_one(self, world):
        factories.customer(world.entity, "cus_old")
        world.deliver(world.subscription_event(customer="cus_new"))

        assert world.customers() == {"cus_old": False, "cus_new": True}

    def test_the_payer_of_a_link_who_subscribes_becomes_primary(self, world):
        factories.customer(world.entity, "cus_1", origin="payment_link", is_primary=False)
        world.deliver(world.subscription_event())

        assert world.customers() == {"cus_1": True}

    @pytest.mark.parametrize("is_known", [True, False])
    def test_without_a_known_operation_only_the_primary_one_will_do(self, world, fired, is_known):
        factories.customer(world.entity, "cus_old")
        if is_known:
            factories.customer(world.entity, "cus_1", is_primary=False)
        stranger = world.subscription_event(metadata=payloads.labels(world.entity))

        with nothing_written(world), pytest.raises(CorrelationMismatch):
            world.deliver(stranger)

        assert fired == ["CHECKOUT_CORRELATION_MISMATCH"]

    def test_the_primary_one_needs_no_operation(self, world):
        factories.customer(world.entity)

        assert world.deliver(world.subscription_event(metadata={})) == ["applied"]

    def test_a_subscription_that_we_know_keeps_its_customer(self, world):
        factories.customer(world.entity)
        world.deliver(world.subscription_event(metadata={}))
        with factories.locked(world.entity):
            locks.lock_entity(entity_id=world.entity.pk)
            world.row().billing_customer.__class__.objects.update(is_primary=False)

        assert world.deliver(world.subscription_event("updated", at=T0 + 5, metadata={})) == ["applied"]

    def test_a_deleted_customer_is_not_made_primary_again(self, world):
        factories.customer(world.entity, "cus_1", is_primary=False, provider_deleted_at=factories.NOW)
        world.deliver(world.subscription_event())

        assert world.customers() == {"cus_1": False}

    def test_another_entitys_customer_is_refused(self, world):
        other = factories.workspace_entity("tenant_b")
        factories.customer(other, "cus_1")

        with nothing_written(world), pytest.raises(CorrelationMismatch):
            world.deliver(world.subscription_event())


def test_when_a_subscription_becomes_current_other_blocking_sessions_give_way(world):
    factories.session(world.entity, operation_key=OTHER_KEY, provider_checkout_session_id="cs_other")
    world.deliver(world.subscription_event())

    assert {row.operation_key: row.status for row in world.sessions()} == {
        OTHER_KEY: "abandoned",
        KEY: "completed_reconciled",
    }
    assert world.jobs() == ["expire_checkout_session:cs_other"]


def test_an_event_that_changes_nothing_current_displaces_nobody(world):
    world.deliver(world.subscription_event())
    factories.session(world.entity, operation_key=OTHER_KEY, provider_checkout_session_id="cs_other")
    world.deliver(world.subscription_event("updated", at=T0 + 5))

    assert "open" in {row.status for row in world.sessions()}


def test_what_an_event_came_to_says_whose_it_is(world):
    told = world.consume(world.subscription_event())

    assert told.correlation == (world.entity.tenant_id, world.entity.pk, KEY)
    with tenancy.tenant_scope("tenant_b"):
        assert not Subscription.objects.exists()
