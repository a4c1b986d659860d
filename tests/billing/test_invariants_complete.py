"""T-164: every CHECK and every unique index of the room refuses something, and no new one goes unattacked."""

import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from billing import models
from settld.core import tenancy
from tests.billing import factories as make
from tests.billing.factories import NOW, TENANT
from tests.billing.invariants import World, copied, make_world

pytestmark = pytest.mark.django_db(databases=["default"])

# What composite foreign keys point at: the primary key and more, so only the primary key itself can collide.
TARGETS = {
    "billable_entity_in_tenant",
    "billing_customer_in_tenant",
    "billing_customer_of_entity",
    "invoice_of_provider",
    "payment_link_in_tenant",
    "plan_price_of_provider",
    "request_in_tenant",
    "subscription_of_provider",
}
SESSION = {"provider_checkout_session_id": "cs_2", "operation_key": "d" * 64, "idempotency_row_id": None}
REQUEST = {
    "client_idempotency_key": "key-2", "operation_key": "b" * 64, "provider_idempotency_key": "c" * 64,
    "action": "portal",
}  # fmt: skip

# Table, what to change in a copy of its row, and the rule that refuses it.
ATTACKS = (
    ("billable_entities", {"status": "gone"}, "billable_entity_status"),
    (
        "billable_entities",
        {"entity_type": "planet", "workspace_id": None, "entity_ref": "external:a:b"},
        "billable_entity_type",
    ),
    ("billable_entity_grants", {"principal_type": "robot", "principal_id": "9"}, "entity_grant_principal"),
    ("billing_catalog_items", {"unit_amount_minor": -1, "provider_price_id": "x"}, "catalog_item_amount"),
    ("billing_catalog_items", {"currency": "usd", "provider_price_id": "x"}, "catalog_item_currency"),
    ("billing_catalog_items", {}, "catalog_item_price"),
    ("billing_checkout_sessions", SESSION | {"flow": "gift"}, "checkout_session_flow"),
    ("billing_checkout_sessions", SESSION | {"status": "lost"}, "checkout_session_status"),
    ("billing_customers", {"is_primary": False}, "billing_customer_once"),
    (
        "billing_customers",
        {"is_primary": False, "provider_customer_id": "cus_9", "origin": "dream"},
        "billing_customer_origin",
    ),
    ("billing_entitlements", {"code": ""}, "entitlement_code_given"),
    ("billing_entitlements", {}, "entitlement_once"),
    ("billing_invoices", {}, "invoice_once"),
    ("billing_invoices", {"provider_invoice_id": "in_9", "status": "lost"}, "invoice_status"),
    ("billing_organizations", {}, "organization_home_tenant"),
    ("billing_outbox_jobs", {"dedupe_key": "x", "status": "leased"}, "billing_job_lease"),
    ("billing_outbox_jobs", {"dedupe_key": "x", "lease_expires_at": NOW}, "billing_job_lease"),
    ("billing_outbox_jobs", {"dedupe_key": "x", "status": "lost"}, "billing_job_status"),
    ("billing_payment_links", {"operation_key": "x"}, "payment_link_once"),
    ("billing_payment_links", {"provider_payment_link_id": "x"}, "payment_link_operation"),
    ("billing_payment_method_sync_events", {}, "payment_method_sync_event_once"),
    (
        "billing_payment_method_sync_events",
        {"provider_event_id": None, "status": "lost"},
        "payment_method_sync_status",
    ),
    ("billing_payment_methods", {"is_default": False}, "payment_method_once"),
    ("billing_payment_methods", {"provider_payment_method_id": "x", "exp_month": 13}, "payment_method_month"),
    ("billing_payment_methods", {"provider_payment_method_id": "x", "exp_month": 0}, "payment_method_month"),
    ("billing_payment_methods", {"provider_payment_method_id": "x", "exp_year": 1999}, "payment_method_year"),
    (
        "billing_payment_methods",
        {"provider_payment_method_id": "x", "status": "lost"},
        "payment_method_status",
    ),
    ("billing_payments", {"provider_payment_id": "x", "amount_minor": -1}, "payment_amount"),
    ("billing_payments", {"provider_payment_id": "x", "currency": "usd"}, "payment_currency"),
    ("billing_payments", {"provider_payment_id": "x", "status": "lost"}, "payment_status"),
    ("billing_payments", {}, "payment_once"),
    ("billing_plan_prices", {"provider_price_id": "x", "billing_component": "gift"}, "plan_price_component"),
    (
        "billing_plan_prices",
        {"provider_price_id": "x", "interval": "eon", "is_active": False},
        "plan_price_interval",
    ),
    ("billing_plan_prices", {"provider_price_id": "x", "usage_type": "gift"}, "plan_price_usage"),
    ("billing_plan_prices", {"is_active": False}, "plan_price_provider_id"),
    ("billing_plans", {"plan_family_code": "x"}, "billing_plan_code"),
    ("billing_plans", {"code": "x"}, "billing_plan_version"),
    ("billing_plans", {"code": "x", "version": 0}, "billing_plan_version_counts"),
    ("billing_provider_refs", {"kind": "gift"}, "provider_ref_kind"),
    ("billing_provider_refs", {}, "provider_ref_once"),
    ("billing_reconciliation_runs", {"scope": "all"}, "reconciliation_run_scope"),
    ("billing_reconciliation_runs", {"status": "lost"}, "reconciliation_run_status"),
    ("billing_request_idempotency", REQUEST | {"action": "gift"}, "request_action"),
    (
        "billing_request_idempotency",
        REQUEST | {"status": "lost", "pending_lease_expires_at": None},
        "request_status",
    ),
    (
        "billing_subscription_items",
        {"provider_subscription_item_id": "x", "billing_component": "gift"},
        "subscription_item_component",
    ),
    (
        "billing_subscription_items",
        {"provider_subscription_item_id": "x", "quantity": -1},
        "subscription_item_quantity",
    ),
    (
        "billing_subscription_items",
        {"provider_subscription_item_id": "x", "usage_type": "gift"},
        "subscription_item_usage",
    ),
    ("billing_subscription_items", {}, "subscription_item_once"),
    (
        "billing_subscription_remediations",
        {"duplicate_provider_subscription_id": "x", "action": "shout"},
        "remediation_action",
    ),
    (
        "billing_subscription_remediations",
        {"duplicate_provider_subscription_id": "x", "status": "in_progress"},
        "remediation_lease",
    ),
    (
        "billing_subscription_remediations",
        {"duplicate_provider_subscription_id": "x", "status": "lost"},
        "remediation_status",
    ),
    ("billing_subscriptions", {"is_current": False}, "subscription_once"),
    (
        "billing_subscriptions",
        {"is_current": False, "provider_subscription_id": "x", "status": "lost"},
        "subscription_status",
    ),
    ("billing_usage_counters", {}, "usage_counter_window"),
    ("billing_usage_events", {"usage_event_key": "x", "state": "lost"}, "usage_event_state"),
    ("organization_memberships", {}, "organization_membership_once"),
    ("organization_memberships", {"role": "king"}, "organization_membership_role"),
    ("organization_memberships", {"status": "lost"}, "organization_membership_status"),
)


@pytest.fixture
def world(db) -> World:
    """The world of the other tests, and a row in every other table."""
    made = make_world()
    own = {"tenant_id": TENANT, "billable_entity": made.entity}
    known = {"window_start_at": NOW, "window_end_at": NOW.replace(day=11), "entitlement_code": "x"}
    person = get_user_model().objects.create(username="ada")
    company = models.Organization.objects.create(name="Ada & Co", tenant_id="org_1")
    models.OrganizationMembership.objects.create(organization=company, user=person, role="owner")
    models.CatalogItem.objects.create(
        provider_price_id="price_1", name="Hat", currency="USD", unit_amount_minor=5
    )
    make.entitlement(made.plan, "x", "entitlement.boolean.v1", {"enabled": True})
    models.ReconciliationRun.objects.create(
        scope="checkout_open", status="succeeded", runner_id="me", started_at=NOW
    )
    with make.locked(made.entity):
        models.EntityGrant.objects.create(principal_type="user", principal_id="7", **own)
        models.PaymentLink.objects.create(
            provider_payment_link_id="plink_1", operation_key="a" * 64, url="https://x", **own
        )
        models.BillingOutboxJob.objects.create(job_type="t", dedupe_key="k", available_at=NOW, **own)
        models.PaymentMethodSync.objects.create(status="succeeded", provider_event_id="evt_1", **own)
        models.PaymentMethod.objects.create(
            billing_customer=made.customer, provider_payment_method_id="pm_1", type="card", **own
        )
        models.Payment.objects.create(
            tenant_id=TENANT, invoice=made.invoice, provider_payment_id="pi_1", type="payment_intent",
            status="paid", amount_minor=100, currency="USD",
        )  # fmt: skip
        models.SubscriptionItem.objects.create(
            tenant_id=TENANT, subscription=made.subscription, provider_subscription_item_id="si_1", quantity=1
        )
        models.UsageCounter.objects.create(usage_count=1, **known, **own)
        models.UsageEvent.objects.create(usage_event_key="k", amount=1, **known, **own)
    return made


def test_t_164_every_check_and_unique_index_refuses_what_it_is_for(world):
    for table, changes, rule in ATTACKS:
        with tenancy.tenant_scope(TENANT), connection.cursor() as cursor:
            cursor.execute(f"SELECT max(id) FROM {table} WHERE {_ours(table)}")
            row_id = cursor.fetchone()[0]
        assert copied(table, row_id, lock=world.entity.pk, **changes) == rule, (table, changes)


def _ours(table: str) -> str:
    return f"tenant_id = '{TENANT}'" if table == "billable_entities" else "true"


def test_t_164_no_rule_goes_unattacked(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint JOIN pg_class t ON t.oid = conrelid"
            " WHERE contype IN ('c', 'u') AND t.relname ~ '^(bill|organiz)'"
            " AND t.relname !~ '^billing_(webhook|tenant_config|usage_event$|usage_counter$)'"
            " UNION SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
            " JOIN pg_class t ON t.oid = x.indrelid"
            " WHERE x.indisunique AND x.indpred IS NOT NULL AND t.relname ~ '^(bill|organiz)'"
            " AND t.relname !~ '^billing_(webhook|tenant_config|usage_event$|usage_counter$)'"
        )
        rules = {name for (name,) in cursor.fetchall()}
    attacked = set()
    for path in Path(__file__).parent.glob("test_invariants*.py"):
        attacked |= set(re.findall(r'"([a-z0-9_]+)"', path.read_text(encoding="utf-8")))
    assert rules - attacked - TARGETS == set()
    assert rules >= TARGETS
