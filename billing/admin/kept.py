"""Plans, what they grant, one-time items, organizations and grants: platform admins may change them.

What the database keeps unchanged is not offered for change.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from billing.admin.base import Kept, Part
from billing.models import (
    BillableEntity,
    CatalogItem,
    Entitlement,
    EntityGrant,
    Organization,
    OrganizationMembership,
    Plan,
    PlanPrice,
)
from billing.services import entitlements, organizations
from billing.states import EntityType
from settld.core import money, tenancy


class EntitlementForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Refuses what could not be read back."""

    class Meta:
        model = Entitlement
        fields = ("code", "schema_version", "value_json")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        problem = entitlements.problem_of(cleaned.get("schema_version"), cleaned.get("value_json"))
        if problem is not None:
            self.add_error("value_json", f"{problem}: it does not fit the schema.")
        return cleaned


class EntitlementInline(Part):
    """What the plan grants."""

    model = Entitlement
    form = EntitlementForm


class PlanPriceInline(Part):
    """What the plan costs; the console changes it, for it asks the provider."""

    model = PlanPrice
    fields = ("provider_price_id", "billing_component", "currency", "unit_amount_minor", "is_active")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_add_permission


@admin.register(Plan)
class PlanAdmin(Kept):
    """Plans and what they grant."""

    list_display = ("code", "name", "version", "is_active", "updated_at")
    list_filter = ("is_active",)
    search_fields = ("code", "name")
    fields = (
        "code", "plan_family_code", "version", "applies_to", "name", "description", "is_active",
        "metadata_json", "created_at", "updated_at",
    )  # fmt: skip
    fixed = ("code", "plan_family_code", "version", "applies_to")
    inlines: tuple[type[Part], ...] = (PlanPriceInline, EntitlementInline)


@admin.register(CatalogItem)
class CatalogItemAdmin(Kept):
    """One-time prices on offer."""

    list_display = ("name", "provider_price_id", "amount", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name", "=provider_price_id")
    fixed = ("provider", "provider_price_id", "currency", "unit_amount_minor")

    @admin.display(ordering="unit_amount_minor")
    def amount(self, item: CatalogItem) -> str:
        """Show the amount with its currency."""
        return money.show(item.unit_amount_minor, item.currency)


class MembershipInline(Part):
    """Who belongs to the organization."""

    model = OrganizationMembership
    fields = ("user", "role", "status")
    raw_id_fields = ("user",)


@admin.register(Organization)
class OrganizationAdmin(Kept):
    """Organizations and their people; the home tenant comes with the first save."""

    list_display = ("name", "tenant_id", "created_at")
    search_fields = ("name", "=tenant_id")
    fields = ("name", "tenant_id", "created_at", "updated_at")
    inlines: tuple[type[Part], ...] = (MembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("tenant_id", "created_at", "updated_at")

    def write(self, obj: Organization, *, change: bool) -> None:
        if change:
            obj.save()
        else:
            organizations.insert(obj)


class GrantForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Lets grants be given on external entities only."""

    class Meta:
        model = EntityGrant
        fields = (
            "billable_entity",
            "principal_type",
            "principal_id",
            "can_read",
            "can_manage",
            "expires_at",
            "revoked_at",
        )

    def clean_billable_entity(self) -> BillableEntity:
        entity: BillableEntity = self.cleaned_data["billable_entity"]
        if entity.entity_type != EntityType.EXTERNAL:
            raise forms.ValidationError("Only external billable entities have grants.")
        return entity


@admin.register(EntityGrant)
class EntityGrantAdmin(Kept):
    """Who may act for whom outside."""

    form = GrantForm
    list_display = (
        "billable_entity",
        "principal_type",
        "principal_id",
        "can_manage",
        "expires_at",
        "revoked_at",
    )
    list_filter = ("principal_type", "can_manage")
    list_select_related = ("billable_entity",)
    search_fields = ("=principal_id", "=tenant_id")
    raw_id_fields = ("billable_entity",)
    fixed = ("billable_entity", "principal_type", "principal_id")

    def write(self, obj: EntityGrant, *, change: bool) -> None:
        obj.tenant_id = obj.billable_entity.tenant_id
        with tenancy.tenant_scope(obj.tenant_id):
            obj.save()
