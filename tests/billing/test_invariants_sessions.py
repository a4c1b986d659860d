"""INV-16 to INV-26, attacked with raw SQL."""

import datetime as dt

import pytest
from django.db import connection

from billing.models import CheckoutSession
from billing.states import SessionStatus, session_moves
from tests.billing import factories as make
from tests.billing.factories import NOW
from tests.billing.invariants import World, attempt, copied, make_world

pytestmark = pytest.mark.django_db(databases=["default"])


@pytest.fixture
def world(db) -> World:
    return make_world()


class TestSessions:
    """INV-16 to INV-20."""

    @pytest.mark.parametrize(
        "status", ["open", "completed_pending_subscription", "recovery_verification_pending"]
    )
    def test_inv_16_one_blocking_session_per_entity(self, world, status):
        other = {
            "operation_key": "d" * 64, "provider_checkout_session_id": "cs_2", "idempotency_row_id": None,
        }  # fmt: skip
        at = {"lock": world.entity.pk}
        assert copied("billing_checkout_sessions", world.session.pk, status=status, **other, **at) == (
            "checkout_session_one_blocking"
        )
        assert copied(
            "billing_checkout_sessions", world.session.pk, status=status, flow="one_off", **other, **at
        ) in ("",)

    @pytest.mark.parametrize("flow", ["subscription", "one_off", "payment_link"])
    @pytest.mark.parametrize("source", SessionStatus.values)
    def test_inv_17_t_074_a_session_moves_only_along_its_table(self, world, flow, source):
        with make.locked(world.entity):
            CheckoutSession.objects.filter(pk=world.session.pk).update(status="abandoned")
        session = make.session(world.entity, flow=flow, status=source, provider_checkout_session_id="cs_9")
        for target in SessionStatus.values:
            sql = "UPDATE billing_checkout_sessions SET status = %s WHERE id = %s"
            refusal = attempt(sql, target, session.pk, lock=world.entity.pk)
            is_legal = target == source or target in session_moves(flow=flow, status=source)
            assert refusal == ("" if is_legal else "session_moves"), f"{flow}: {source} to {target}"

    @pytest.mark.parametrize(
        "change",
        [
            "provider_checkout_session_id = 'cs_2'",
            "provider_customer_id = 'cus_2'",
            "provider_subscription_id = 'sub_2'",
            "provider_subscription_id = NULL",
            "operation_key = 'e'",
            "flow = 'one_off'",
        ],
    )
    def test_inv_18_correlation_stays_once_set(self, world, change):
        at = {"lock": world.entity.pk}
        fill = (
            "UPDATE billing_checkout_sessions SET provider_customer_id = 'cus_1',"
            " provider_subscription_id = 'sub_1'"
        )
        with make.locked(world.entity), connection.cursor() as cursor:
            cursor.execute(f"{fill} WHERE id = %s", [world.session.pk])
        sql = f"UPDATE billing_checkout_sessions SET {change} WHERE id = %s"
        assert attempt(sql, world.session.pk, **at) == "session_correlation"

    @pytest.mark.parametrize(
        ("changes", "rule"),
        [
            ({"operation_key": "d" * 64, "idempotency_row_id": None}, "checkout_session_once"),
            (
                {"provider_checkout_session_id": "cs_2", "idempotency_row_id": None},
                "checkout_session_operation",
            ),
            (
                {"provider_checkout_session_id": "cs_2", "operation_key": "d" * 64},
                "checkout_session_request",
            ),
        ],
    )
    def test_inv_18_correlation_is_unique(self, world, changes, rule):
        at = {"lock": world.entity.pk, "status": "abandoned"}
        assert copied("billing_checkout_sessions", world.session.pk, **changes, **at) == rule

    def test_inv_18_one_session_per_subscription(self, world):
        with make.locked(world.entity):
            CheckoutSession.objects.filter(pk=world.session.pk).update(provider_subscription_id="sub_1")
        changes = {
            "provider_checkout_session_id": "cs_2", "operation_key": "d" * 64, "idempotency_row_id": None,
            "status": "abandoned",
        }  # fmt: skip
        assert (
            copied("billing_checkout_sessions", world.session.pk, lock=world.entity.pk, **changes)
            == "checkout_session_subscription"
        )

    @pytest.mark.parametrize("expiry", [NOW - dt.timedelta(seconds=1), None])
    def test_inv_20_a_hold_never_ends_earlier(self, world, expiry):
        with make.locked(world.entity):
            CheckoutSession.objects.filter(pk=world.session.pk).update(status="abandoned")
        hold = make.session(world.entity, status="recovery_verification_pending", expires_at=NOW)
        sql = "UPDATE billing_checkout_sessions SET expires_at = %s WHERE id = %s"
        at = {"lock": world.entity.pk}
        assert attempt(sql, expiry, hold.pk, **at) == "hold_never_shortens"
        assert attempt(sql, NOW + dt.timedelta(seconds=1), hold.pk, **at) == ""


class TestSubscriptions:
    """INV-21 to INV-23, INV-26."""

    def test_inv_21_one_current_subscription(self, world):
        assert copied(
            "billing_subscriptions", world.subscription.pk, lock=world.entity.pk,
            provider_subscription_id="sub_2",
        ) == "subscription_one_current"  # fmt: skip

    @pytest.mark.parametrize("status", ["canceled", "incomplete_expired"])
    def test_inv_22_t_094_what_has_ended_is_never_current(self, world, status):
        sql = "UPDATE billing_subscriptions SET status = %s WHERE id = %s"
        assert attempt(sql, status, world.subscription.pk, lock=world.entity.pk) == (
            "subscription_terminal_not_current"
        )

    def test_inv_23_t_101_the_providers_date_of_birth_never_changes(self, world):
        sql = "UPDATE billing_subscriptions SET provider_subscription_created_at = now() WHERE id = %s"
        assert attempt(sql, world.subscription.pk, lock=world.entity.pk) == "subscription_identity"

    def test_inv_26_a_remediation_spares_the_canonical_and_comes_once(self, world):
        at = {"lock": world.entity.pk}
        assert copied(
            "billing_subscription_remediations", world.remediation.pk,
            duplicate_provider_subscription_id="sub_1", **at,
        ) == "remediation_spares_canonical"  # fmt: skip
        assert copied("billing_subscription_remediations", world.remediation.pk, **at) == "remediation_once"
