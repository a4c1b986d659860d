"""INV-6 to INV-15, attacked with raw SQL."""

import datetime as dt

import pytest

from billing.models import BillingRequest, CheckoutSession
from tests.billing import factories as make
from tests.billing.factories import NOW
from tests.billing.invariants import World, attempt, copied, make_bare_request, make_world

pytestmark = pytest.mark.django_db(databases=["default"])


@pytest.fixture
def world(db) -> World:
    return make_world()


class TestRequests:
    """INV-6 to INV-15."""

    def request_update(self, world, change: str, *parameters: object) -> str:
        sql = f"UPDATE billing_request_idempotency SET {change} WHERE id = %s"
        return attempt(sql, *parameters, world.request.pk, lock=world.entity.pk)

    def fresh(self, world, **changes: object) -> str:
        """Another request of the entity, made of the one there is."""
        distinct = {
            "client_idempotency_key": "key-2", "operation_key": "b" * 64,
            "provider_idempotency_key": "c" * 64,
            "action": "portal",
        }  # fmt: skip
        return copied(
            "billing_request_idempotency", world.request.pk, lock=world.entity.pk, **(distinct | changes)
        )

    def test_inv_6_a_client_key_is_unique_per_entity_and_action(self, world):
        same = world.request.client_idempotency_key
        assert self.fresh(world, action="checkout", client_idempotency_key=same) == "request_client_key"
        assert self.fresh(world, client_idempotency_key=same) == ""

    def test_inv_7_operation_and_provider_keys_never_collide(self, world):
        assert self.fresh(world, action="checkout", operation_key=world.request.operation_key) in (
            "request_operation_key",
        )
        held = world.request.provider_idempotency_key
        assert self.fresh(world, provider_idempotency_key=held) == "request_provider_key"

    def test_inv_8_one_pending_checkout_per_entity(self, world):
        assert self.fresh(world, action="checkout") == "request_one_pending_checkout"
        assert self.fresh(world) == ""

    @pytest.mark.parametrize(
        "column",
        [
            "client_idempotency_key",
            "request_fingerprint_hash",
            "operation_key",
            "provider_idempotency_key",
            "provider",
        ],
    )
    def test_inv_9_identity_never_changes(self, world, column):
        assert self.request_update(world, f"{column} = 'other'") == "request_identity"

    @pytest.mark.parametrize(
        "change",
        [
            "provider_request_params_json = '{\"expires_at\": 1}'",
            "provider_request_hash = 'b'",
            "provider_request_schema_version = 'v2'",
            "provider_sdk_name = 'x'",
            "provider_sdk_version = '17'",
            "provider_api_version = 'x'",
            "provider_request_frozen_at = now()",
            "provider_idempotency_replay_deadline_at = now()",
            "provider_checkout_session_expires_at_upper_bound = NULL",
        ],
    )
    def test_inv_9_t_035_what_is_frozen_is_written_once(self, world, change):
        assert self.request_update(world, change) == "request_frozen"

    def test_inv_10_a_lease_version_never_decreases(self, world):
        assert self.request_update(world, "lease_version = 0") == "request_lease_version"
        assert self.request_update(world, "lease_version = 2") == ""

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ("status = 'succeeded', pending_lease_expires_at = NULL", "request_succeeded_has_answer"),
            ("status = 'failed', pending_lease_expires_at = NULL", "request_failure_has_code"),
            (
                "status = 'failed', pending_lease_expires_at = NULL, failure_code = 'because'",
                "request_failure_has_code",
            ),
            ("pending_lease_expires_at = NULL", "request_pending_has_lease"),
            ("status = 'succeeded', response_json = '{}'", "request_pending_has_lease"),
            ("failure_code = 'checkout_provider_error'", "request_failure_has_code"),
        ],
    )
    def test_inv_11_each_status_has_what_belongs_to_it(self, world, change, rule):
        assert self.request_update(world, change) == rule

    @pytest.mark.parametrize(
        "change",
        [
            "status = 'pending', pending_lease_expires_at = now()",
            "response_json = '{\"a\": 1}'",
            "lease_version = 9",
            "provider_session_id = 'cs_2'",
            "failure_reason = 'x'",
        ],
    )
    def test_inv_11_a_finished_request_never_changes(self, world, change):
        with make.locked(world.entity):
            BillingRequest.objects.filter(pk=world.request.pk).update(
                status="succeeded", response_json={"checkoutSession": {"providerCheckoutSessionId": "cs_1"}},
                pending_lease_expires_at=None, provider_session_id="cs_1",
            )  # fmt: skip
        assert self.request_update(world, change) in ("request_terminal", "request_frozen")

    def test_a_session_id_learnt_late_is_filled_into_the_answer(self, world):
        """8.5: a subscription event may finish a request before its session is known."""
        with make.locked(world.entity):
            BillingRequest.objects.filter(pk=world.request.pk).update(
                status="succeeded", response_json={"checkoutSession": {"providerCheckoutSessionId": None}},
                pending_lease_expires_at=None,
            )  # fmt: skip
        filled = 'response_json = \'{"checkoutSession": {"providerCheckoutSessionId": "cs_1"}}\''
        assert self.request_update(world, f"{filled}, provider_session_id = 'cs_1'") == ""
        assert self.request_update(world, filled) == "request_terminal"

    @pytest.mark.parametrize("column", ["provider_request_hash", "provider_sdk_version"])
    def test_inv_12_frozen_columns_come_all_together(self, world, column):
        assert self.fresh(world, **{column: None}) == "request_frozen_whole"

    def test_inv_12_what_is_frozen_has_a_deadline_and_a_checkout_an_upper_bound(self, world):
        assert self.fresh(world, provider_idempotency_replay_deadline_at=None) == "request_frozen_whole"
        with make.locked(world.entity):
            CheckoutSession.objects.filter(pk=world.session.pk).update(idempotency_row=None)
            BillingRequest.objects.filter(pk=world.request.pk).update(
                status="failed", failure_code="checkout_provider_error", pending_lease_expires_at=None
            )
        pending = {"status": "pending", "failure_code": None, "pending_lease_expires_at": NOW}
        assert (
            self.fresh(
                world, action="checkout", provider_checkout_session_expires_at_upper_bound=None, **pending
            )
            == "request_checkout_has_bound"
        )

    @pytest.mark.parametrize("params", ['{"expires_at": 5}', "{}", '{"expires_at": "1773230400"}'])
    def test_inv_13_the_upper_bound_is_the_frozen_expiry(self, world, params):
        with make.locked(world.entity):
            BillingRequest.objects.filter(pk=world.request.pk).update(
                status="failed", failure_code="checkout_provider_error", pending_lease_expires_at=None
            )
        assert (
            self.fresh(
                world, action="checkout", status="pending", failure_code=None, pending_lease_expires_at=NOW,
                provider_request_params_json=params,
            )
            == "request_bound_is_frozen"
        )  # fmt: skip

    def test_inv_14_a_replay_ends_before_the_provider_forgets(self, world):
        late = NOW + dt.timedelta(hours=24)
        assert (
            self.fresh(world, provider_idempotency_replay_deadline_at=late) == "request_deadline_within_a_day"
        )
        just = late - dt.timedelta(milliseconds=1)
        assert self.fresh(world, provider_idempotency_replay_deadline_at=just) == ""

    @pytest.mark.parametrize(
        "ending",
        [
            "status = 'succeeded', response_json = '{}'",
            "status = 'expired', failure_code = 'checkout_recovery_window_elapsed'",
            "status = 'failed', failure_code = 'checkout_replay_provenance_mismatch'",
        ],
    )
    def test_inv_15_t_065_a_claim_is_never_cleared_into_nothing(self, world, ending):
        bare = make_bare_request(world)
        sql = (
            f"UPDATE billing_request_idempotency SET pending_lease_expires_at = NULL, {ending} WHERE id = %s"
        )
        at = {"lock": world.entity.pk}
        assert attempt(sql, bare.pk, **at) == "request_never_into_nothing"
        make.session(
            world.entity,
            flow="one_off",
            operation_key=bare.operation_key,
            status="abandoned",
            expires_at=None,
        )
        assert attempt(sql, bare.pk, **at) == ""

    def test_inv_15_after_the_horizon_no_hold_is_needed(self, world):
        past = int(NOW.timestamp()) - 2 * 86_400
        bare = make_bare_request(
            world,
            provider_request_params_json={"expires_at": past + 86_400},
            provider_request_frozen_at=NOW - dt.timedelta(days=2),
            provider_idempotency_replay_deadline_at=NOW - dt.timedelta(days=2) + dt.timedelta(hours=23),
            provider_checkout_session_expires_at_upper_bound=NOW - dt.timedelta(days=1),
        )
        sql = (
            "UPDATE billing_request_idempotency SET pending_lease_expires_at = NULL, status = 'expired',"
            " failure_code = 'checkout_recovery_window_elapsed' WHERE id = %s"
        )
        assert attempt(sql, bare.pk, lock=world.entity.pk) == ""
