"""Checkout billing in the admin: for looking, but for what operators keep by hand (section 14)."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from billing.admin.base import Kept
from billing.models import CatalogItem, Entitlement, EntityGrant, Organization, Plan
from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.core.admin import ReadOnlyAdmin
from settld.tenants.models import Tenant
from tests.billing import factories as make
from tests.billing import history, people

pytestmark = pytest.mark.django_db
KEPT = {Plan, CatalogItem, EntityGrant, Organization}


def browser(platform_role):
    client = Client()
    client.force_login(
        people.user(f"staff-{platform_role}", platform_role=platform_role),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def address(model, page, *args):
    return reverse(f"admin:billing_{model._meta.model_name}_{page}", args=args)


def audited():
    with tenancy.platform_scope(reason="tests"):
        rows = OpsAudit.objects.filter(action__startswith="BILLING_ADMIN").order_by("tenant_id", "seq")
        return list(rows.values_list("action", "target_type"))


def test_every_table_is_registered_and_only_four_may_be_changed():
    models = set(apps.get_app_config("billing").get_models())
    registered = {
        model: admin.site.get_model_admin(model) for model in models if admin.site.is_registered(model)
    }
    assert set(registered) == models
    assert {model for model, page in registered.items() if isinstance(page, Kept)} == KEPT
    assert all(isinstance(page, ReadOnlyAdmin) for page in registered.values())


def test_every_row_opens_and_offers_operators_no_change():
    history.of(make.workspace_entity())
    history.run()
    operator = browser("operator")
    for model in apps.get_app_config("billing").get_models():
        with tenancy.platform_scope(reason="tests"):
            row = model.objects.first()
        if row is not None:
            page = operator.get(address(model, "change", row.pk))
            assert page.status_code == 200, model
            assert b'name="_save"' not in page.content
    for model in KEPT:
        assert operator.get(address(model, "changelist") + "?q=x").status_code == 200
        assert operator.get(address(model, "add")).status_code == 403


def test_an_admin_keeps_a_plan_and_what_it_grants():
    plan = make.plan()
    sent = {
        "name": "Renamed", "description": "", "is_active": "on", "metadata_json": "{}",
        "prices-TOTAL_FORMS": 0, "prices-INITIAL_FORMS": 0,
        "entitlements-TOTAL_FORMS": 1, "entitlements-INITIAL_FORMS": 0,
        "entitlements-0-code": "calls", "entitlements-0-schema_version": "entitlement.boolean.v1",
        "entitlements-0-value_json": '{"enabled": true}', "entitlements-0-plan": plan.pk, "code": "other",
    }  # fmt: skip
    page = browser("admin")
    assert page.post(address(Plan, "change", plan.pk), sent).status_code == 302
    plan.refresh_from_db()
    assert (plan.name, plan.code) == ("Renamed", "pro")
    assert Entitlement.objects.get().value_json == {"enabled": True}
    assert audited() == [("BILLING_ADMIN_CHANGE", "plan")]

    refused = page.post(
        address(Plan, "change", plan.pk),
        sent | {"name": "Again", "entitlements-0-value_json": '{"enabled": 1}'},
    )
    assert refused.status_code == 200
    plan.refresh_from_db()
    assert plan.name == "Renamed"


def test_an_admin_makes_an_organization_with_its_home():
    ann = people.user("ann")
    sent = {
        "name": "Guild", "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": ann.pk, "memberships-0-role": "owner", "memberships-0-status": "active",
    }  # fmt: skip
    assert browser("admin").post(address(Organization, "add"), sent).status_code == 302
    made = Organization.objects.get()
    assert (made.name, made.tenant_id, made.memberships.get().user) == ("Guild", f"org_{made.pk}", ann)
    assert Tenant.objects.get(tenant_id=made.tenant_id).source == "organization"


def test_an_admin_grants_access_to_outsiders_only():
    outside, workspace = people.external_entity("tenant_b"), make.workspace_entity()
    page = browser("admin")

    def give(entity):
        sent = {
            "billable_entity": entity.pk, "principal_type": "user", "principal_id": "1", "can_read": "on",
            "expires_at_0": "", "expires_at_1": "", "revoked_at_0": "", "revoked_at_1": "",
        }  # fmt: skip
        return page.post(address(EntityGrant, "add"), sent).status_code

    assert (give(workspace), give(outside)) == (200, 302)
    with tenancy.platform_scope(reason="tests"):
        grant = EntityGrant.objects.get()
    assert (grant.billable_entity_id, grant.tenant_id) == (outside.pk, "tenant_b")


def test_an_admin_keeps_one_time_items_but_not_their_amounts():
    item = CatalogItem.objects.create(
        provider_price_id="price_1", name="Setup", currency="USD", unit_amount_minor=100
    )
    sent = {"name": "Set-up", "is_active": "on", "unit_amount_minor": 1}
    assert browser("admin").post(address(CatalogItem, "change", item.pk), sent).status_code == 302
    item.refresh_from_db()
    assert (item.name, item.unit_amount_minor) == ("Set-up", 100)
