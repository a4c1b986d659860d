"""INV-27 to INV-30, INV-38 to INV-44, attacked with raw SQL."""

import pytest

from tests.billing.factories import TENANT
from tests.billing.invariants import World, attempt, copied, make_world

pytestmark = pytest.mark.django_db(databases=["default"])


@pytest.fixture
def world(db) -> World:
    return make_world()


class TestCatalogAndAmounts:
    """INV-27 to INV-30, INV-44."""

    @pytest.mark.parametrize(
        ("table", "row", "column", "value", "rule"),
        [
            ("billing_plan_prices", "price", "unit_amount_minor", -1, "plan_price_amounts"),
            ("billing_plan_prices", "price", "currency", "usd", "plan_price_currency"),
            ("billing_invoices", "invoice", "amount_due_minor", -1, "invoice_amounts"),
            ("billing_invoices", "invoice", "amount_paid_minor", -1, "invoice_amounts"),
            ("billing_invoices", "invoice", "amount_remaining_minor", -1, "invoice_amounts"),
            ("billing_invoices", "invoice", "currency", "US", "invoice_currency"),
        ],
    )
    def test_inv_27_amounts_are_not_negative_and_currencies_are_codes(
        self, world, table, row, column, value, rule
    ):
        fresh = {
            "billing_plan_prices": {"provider_price_id": "price_2", "is_active": False},
            "billing_invoices": {"provider_invoice_id": "in_2"},
        }[table]
        assert copied(table, getattr(world, row).pk, **(fresh | {column: value})) == rule

    def test_inv_28_t_088_one_sellable_price(self, world):
        assert copied("billing_plan_prices", world.price.pk, provider_price_id="price_2") == (
            "plan_price_one_sellable"
        )
        assert (
            copied("billing_plan_prices", world.price.pk, provider_price_id="price_2", is_active=False) == ""
        )

    @pytest.mark.parametrize("changes", [{"interval": "year"}, {"interval_count": 2}])
    def test_inv_28_a_sellable_price_is_monthly(self, world, changes):
        assert (
            copied("billing_plan_prices", world.price.pk, provider_price_id="price_2", **changes)
            == "plan_price_sellable_monthly"
        )

    @pytest.mark.parametrize("change", ["code = 'x'", "plan_family_code = 'x'", "version = 2"])
    def test_inv_29_t_091_a_plans_terms_never_change(self, world, change):
        assert attempt(f"UPDATE billing_plans SET {change} WHERE id = %s", world.plan.pk) == "plan_commercial"

    @pytest.mark.parametrize(
        "change",
        [
            "currency = 'EUR'",
            "unit_amount_minor = 1",
            "interval = 'year'",
            "interval_count = 2",
            "provider_price_id = 'x'",
            "usage_type = 'metered'",
            "billing_component = 'seat'",
        ],
    )
    def test_inv_29_t_091_a_prices_terms_never_change(self, world, change):
        sql = f"UPDATE billing_plan_prices SET {change} WHERE id = %s"
        assert attempt(sql, world.price.pk) == "price_commercial"

    def test_inv_29_what_only_describes_may_change(self, world):
        sql = "UPDATE billing_plans SET name = 'New', is_active = false WHERE id = %s"
        assert attempt(sql, world.plan.pk) == ""
        assert attempt("UPDATE billing_plan_prices SET is_active = false WHERE id = %s", world.price.pk) == ""

    def test_inv_44_an_entitlement_has_a_known_schema(self, world):
        sql = (
            "INSERT INTO billing_entitlements (plan_id, code, schema_version, value_json,"
            " created_at, updated_at)"
            " VALUES (%s, 'x', %s, '{}', now(), now())"
        )
        assert attempt(sql, world.plan.pk, "entitlement.boolean.v2") == "entitlement_schema_known"
        assert attempt(sql, world.plan.pk, "entitlement.boolean.v1") == ""


class TestWork:
    """INV-38, INV-40, INV-42, INV-43."""

    def test_inv_38_t_133_one_running_reconciliation_per_scope(self, world):
        sql = (
            "INSERT INTO billing_reconciliation_runs (provider, scope, status, runner_id, started_at,"
            " scanned_count, drift_detected_count, repaired_count, lease_version, created_at, updated_at)"
            " SELECT 'stripe', 'checkout_open', %s, 'me', now(), 0, 0, 0, 1, now(), now()"
            " FROM generate_series(1, 2)"
        )
        assert attempt(sql, "running") == "reconciliation_run_single"
        assert attempt(sql, "succeeded") == ""

    def test_inv_40_t_130_one_job_per_type_and_key(self, world):
        sql = (
            "INSERT INTO billing_outbox_jobs (tenant_id, job_type, dedupe_key, payload_json,"
            " status, available_at,"
            " attempt_count, lease_version, created_at, updated_at)"
            " SELECT %s, 'expire_checkout_session', %s, '{}', 'pending', now(), 0, 1, now(), now()"
            " FROM generate_series(1, 2)"
        )
        assert attempt(sql, TENANT, "expire_checkout_session:cs_1") == "billing_job_once"

    def test_inv_43_a_usage_event_counts_once(self, world):
        sql = (
            "INSERT INTO billing_usage_events (tenant_id, billable_entity_id,"
            " entitlement_code, usage_event_key,"
            " window_start_at, window_end_at, amount, state, metadata_json, created_at, updated_at)"
            " SELECT %s, %s, 'x', 'k', now() + n * interval '1 day', now(), %s, 'counted', '{}', now(), now()"
            " FROM generate_series(1, 2) AS n"
        )
        assert attempt(sql, TENANT, world.entity.pk, 1) == "usage_event_once"
        assert attempt(sql, TENANT, world.entity.pk, 0) == "usage_event_amount"

    def test_inv_42_a_counter_is_never_negative(self, world):
        sql = (
            "INSERT INTO billing_usage_counters (tenant_id, billable_entity_id,"
            " entitlement_code, window_start_at,"
            " window_end_at, usage_count, metadata_json, created_at, updated_at)"
            " VALUES (%s, %s, 'x', now(), now() + %s * interval '1 day', %s, '{}', now(), now())"
        )
        assert attempt(sql, TENANT, world.entity.pk, 1, -1) == "usage_counter_count"
        assert attempt(sql, TENANT, world.entity.pk, 0, 1) == "usage_counter_span"
