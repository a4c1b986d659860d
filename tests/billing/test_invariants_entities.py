"""INV-1, INV-3, INV-24, INV-34 to INV-48 and the tenant fence, attacked with raw SQL."""

import pytest
from django.db import connection, transaction

from settld.core import tenancy
from tests.billing.factories import NOW, TENANT
from tests.billing.invariants import FOREIGN, World, attempt, copied, copy, make_world

pytestmark = pytest.mark.django_db(databases=["default"])


@pytest.fixture
def world(db) -> World:
    return make_world()


class TestEntities:
    """INV-1 and the shape of an entity (section 2)."""

    def test_inv_1_one_entity_per_workspace(self, world):
        assert copied("billable_entities", world.entity.pk) == "billable_entity_workspace"

    @pytest.mark.parametrize(
        "changes",
        [
            {"workspace_id": None},
            {"entity_ref": "user:1"},
            {"entity_type": "user", "workspace_id": None, "entity_ref": "user:1"},
            {"entity_type": "organization", "workspace_id": None, "entity_ref": "organization:1"},
            {"entity_type": "external", "workspace_id": None, "entity_ref": "external:Bad Ns:1"},
            {"entity_type": "external", "workspace_id": None, "entity_ref": "external:ns:"},
            {"entity_type": "external", "workspace_id": None, "entity_ref": None},
        ],
    )
    def test_inv_1_an_entity_has_the_shape_of_its_type(self, world, changes):
        assert copied("billable_entities", world.entity.pk, **changes) == "billable_entity_shape"

    def test_inv_1_one_entity_per_type_and_ref(self, world):
        shape = {"entity_type": "external", "workspace_id": None, "entity_ref": "external:crm:77"}
        sql, parameters = copy("billable_entities", world.entity.pk, **shape)
        twice = f"WITH one AS ({sql} RETURNING 1) SELECT 1; "
        assert attempt(sql, *parameters) == ""
        with tenancy.tenant_scope(TENANT), connection.cursor() as cursor:
            cursor.execute(twice.rstrip("; "), parameters)
        assert attempt(sql, *parameters) == "billable_entity_ref"

    def test_an_entity_keeps_its_identity(self, world):
        sql = "UPDATE billable_entities SET entity_type = 'external' WHERE id = %s"
        assert attempt(sql, world.entity.pk) == "entity_identity"

    def test_one_live_grant_per_principal(self, world):
        insert = (
            "INSERT INTO billable_entity_grants (tenant_id, billable_entity_id, principal_type, principal_id,"
            " can_read, can_manage, revoked_at, created_at, updated_at)"
            " SELECT %s, %s, 'user', '7', true, false, %s, now(), now() FROM generate_series(1, 2)"
        )
        assert attempt(insert, TENANT, world.entity.pk, None) == "entity_grant_live"
        assert attempt(insert, TENANT, world.entity.pk, NOW) == ""


class TestLocksAndWriters:
    """INV-3, INV-24: T-068, and the writers that subscriptions accept."""

    @pytest.mark.parametrize(
        ("table", "row"),
        [
            ("billing_subscriptions", "subscription"),
            ("billing_request_idempotency", "request"),
            ("billing_checkout_sessions", "session"),
            ("billing_subscription_remediations", "remediation"),
        ],
    )
    @pytest.mark.parametrize("lock", ["none", "another"])
    def test_t_068_a_write_without_the_entitys_lock_is_refused(self, world, table, row, lock):
        held = "" if lock == "none" else world.foreign.pk
        pk = getattr(world, row).pk
        assert attempt(f"UPDATE {table} SET updated_at = now() WHERE id = %s", pk, lock=held) == (
            "entity_lock_held"
        )
        assert attempt(f"UPDATE {table} SET updated_at = now() WHERE id = %s", pk, lock=world.entity.pk) == ""
        assert copied(table, pk, lock=held) == "entity_lock_held"

    @pytest.mark.parametrize("writer", ["", "webhook_session", "invoice"])
    def test_inv_24_others_never_write_a_subscriptions_life(self, world, writer):
        sql = "UPDATE billing_subscriptions SET status = 'unpaid' WHERE id = %s"
        at = {"lock": world.entity.pk}
        assert attempt(sql, world.subscription.pk, writer=writer, **at) == "subscription_writer"
        assert attempt(sql, world.subscription.pk, writer="reconciliation", **at) == ""


class TestOwnership:
    """INV-34 to INV-36, INV-48: whose a row is, and that nothing crosses tenants (ruling 2)."""

    def test_inv_34_a_customer_never_changes_entity(self, world):
        sql = "UPDATE billing_customers SET billable_entity_id = %s WHERE id = %s"
        assert attempt(sql, world.foreign.pk, world.customer.pk) == "customer_entity"

    def test_inv_35_one_primary_customer(self, world):
        assert copied("billing_customers", world.customer.pk, provider_customer_id="cus_2") == (
            "billing_customer_one_primary"
        )

    def test_a_link_payer_is_never_primary(self, world):
        assert (
            copied(
                "billing_customers", world.customer.pk, provider_customer_id="cus_2", origin="payment_link"
            )
            == "billing_customer_link_payer"
        )

    @pytest.mark.parametrize(
        ("table", "row", "changes"),
        [
            ("billing_customers", "customer", {"provider_customer_id": "cus_2", "is_primary": False}),
            ("billing_invoices", "invoice", {"provider_invoice_id": "in_2", "subscription_id": None}),
        ],
    )
    def test_inv_36_no_row_points_into_another_tenant(self, world, table, row, changes):
        refusal = copied(table, getattr(world, row).pk, billable_entity_id=world.foreign.pk, **changes)
        assert refusal.startswith("billing_fk_")

    @pytest.mark.parametrize(
        ("table", "row", "changes"),
        [
            ("billing_invoices", "invoice", {"provider_invoice_id": "in_2", "billing_customer_id": 0}),
            ("billing_invoices", "invoice", {"provider_invoice_id": "in_2", "subscription_id": 0}),
            ("billing_invoices", "invoice", {"provider_invoice_id": "in_2", "provider": "other"}),
            (
                "billing_subscriptions",
                "subscription",
                {"provider_subscription_id": "sub_2", "is_current": False, "billing_customer_id": 0},
            ),
        ],
    )
    def test_inv_36_children_agree_with_their_parents(self, world, table, row, changes):
        refusal = copied(table, getattr(world, row).pk, lock=world.entity.pk, **changes)
        assert refusal.startswith("billing_fk_")

    def test_t_163_inv_37_keys_that_a_deletion_empties_are_nullable(self, world):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.conrelid::regclass::text, a.attname, a.attnotnull FROM pg_constraint c"
                " JOIN pg_attribute a ON a.attrelid = c.conrelid"
                " AND a.attnum = ANY (coalesce(c.confdelsetcols, c.conkey))"
                " WHERE c.contype = 'f' AND c.confdeltype = 'n'"
            )
            found = cursor.fetchall()
        assert len(found) >= 3
        assert [row for row in found if row[2]] == []

    def test_inv_48_one_default_payment_method(self, world):
        sql = (
            "INSERT INTO billing_payment_methods (tenant_id, billable_entity_id,"
            " billing_customer_id, provider,"
            " provider_payment_method_id, type, is_default, status, metadata_json, created_at, updated_at)"
            " SELECT %s, %s, %s, 'stripe', 'pm_' || n, 'card', true, %s, '{}', now(), now()"
            " FROM generate_series(1, 2) AS n"
        )
        known = (TENANT, world.entity.pk, world.customer.pk)
        assert attempt(sql, *known, "active") == "payment_method_one_default"
        assert attempt(sql, *known, "detached") == ""


class TestTenantFence:
    """Ruling 2: row-level security stands behind every query."""

    def test_another_tenants_rows_are_out_of_sight(self, world):
        tables = (
            "billable_entities", "billing_customers", "billing_subscriptions", "billing_invoices",
            "billing_request_idempotency", "billing_checkout_sessions", "billing_subscription_remediations",
        )  # fmt: skip
        for table in tables:
            with tenancy.tenant_scope(FOREIGN), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", [TENANT])
                assert cursor.fetchone() == (0,), table

    def test_every_table_with_a_tenant_is_fenced(self, world):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                " WHERE a.attname = 'tenant_id' AND c.relkind = 'r' AND NOT c.relrowsecurity"
                " AND (c.relname LIKE 'bill%%' OR c.relname LIKE 'organiz%%') ORDER BY 1"
            )
            open_tables = [name for (name,) in cursor.fetchall()]
        deployment_wide = ["billing_organizations", "billing_provider_refs"]
        assert [name for name in open_tables if not name.startswith("billing_webhook")] == deployment_wide
