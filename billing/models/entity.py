"""Who is billed, and who may act for it."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.models import fields, triggers
from billing.models.fields import Stamped
from billing.states import (
    EntityStatus,
    EntityType,
    MembershipStatus,
    OrganizationRole,
    PrincipalType,
    RefKind,
)


class Organization(Stamped):
    """Several people who are billed as one. Deployment-wide: found before its tenant is known."""

    name = models.CharField(max_length=160)
    tenant_id = fields.tenant()

    class Meta:
        db_table = "billing_organizations"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id"], name="organization_home_tenant")
        ]

    def __str__(self) -> str:
        return self.name


class OrganizationMembership(Stamped):
    """One person's role in an organization. Deployment-wide, as organizations are."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = fields.word(OrganizationRole)
    status = fields.word(MembershipStatus, default=MembershipStatus.ACTIVE)

    class Meta:
        db_table = "organization_memberships"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["organization", "user"], name="organization_membership_once"),
            fields.one_of("role", OrganizationRole, name="organization_membership_role"),
            fields.one_of("status", MembershipStatus, name="organization_membership_status"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} of {self.organization_id}"


class BillableEntity(Stamped):
    """What is billed: a workspace (a tenant), a person, an organization, or somebody outside.

    Its row lock is the mutex of everything that belongs to it (INV-3, INV-4). Every entity has a home
    tenant; a workspace is its own.
    """

    tenant_id = fields.tenant()
    entity_type = fields.word(EntityType, default=EntityType.WORKSPACE)
    entity_ref = fields.optional_ref()
    workspace_id = fields.optional_ref(200)
    owner_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    status = fields.word(EntityStatus, default=EntityStatus.ACTIVE)

    class Meta:
        db_table = "billable_entities"
        verbose_name_plural = "billable entities"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "id"], name="billable_entity_in_tenant"),
            models.UniqueConstraint(fields=["tenant_id", "workspace_id"], name="billable_entity_workspace"),
            models.UniqueConstraint(
                fields=["tenant_id", "entity_type", "entity_ref"], name="billable_entity_ref"
            ),
            fields.one_of("entity_type", EntityType, name="billable_entity_type"),
            fields.one_of("status", EntityStatus, name="billable_entity_status"),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant_id", "updated_at"], name="billable_entity_recent")]
        triggers: ClassVar = [
            triggers.immutable(
                "billable_entity",
                "tenant_id",
                "entity_type",
                "entity_ref",
                "workspace_id",
                "organization_id",
                rule="entity_identity",
            )
        ]

    def __str__(self) -> str:
        return f"{self.entity_type} {self.entity_ref or self.workspace_id}"

    @property
    def is_active(self) -> bool:
        """Tell whether it may be written for."""
        return bool(self.status == EntityStatus.ACTIVE)


class EntityGrant(Stamped):
    """A principal's right on an entity of somebody outside; the only way in to one."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    principal_type = fields.word(PrincipalType)
    principal_id = fields.ref()
    can_read = models.BooleanField(default=True)
    can_manage = models.BooleanField(default=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billable_entity_grants"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "billable_entity", "principal_type", "principal_id"],
                condition=Q(revoked_at=None),
                name="entity_grant_live",
            ),
            fields.one_of("principal_type", PrincipalType, name="entity_grant_principal"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["principal_type", "principal_id"], name="entity_grant_principal_idx")
        ]

    def __str__(self) -> str:
        return f"{self.principal_type} {self.principal_id} on {self.billable_entity_id}"


class ProviderRef(models.Model):
    """Whose a provider's identifier is. Deployment-wide: an event names it before the tenant is known.

    One identifier leads to one entity for ever, so nothing of one tenant's is ever taken for another's.
    """

    id = models.BigAutoField(primary_key=True)
    provider = fields.provider()
    kind = fields.word(RefKind)
    ref = fields.ref()
    tenant_id = fields.tenant()
    billable_entity_id = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "billing_provider_refs"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "kind", "ref"], name="provider_ref_once"),
            fields.one_of("kind", RefKind, name="provider_ref_kind"),
        ]
        triggers: ClassVar = [
            triggers.immutable(
                "provider_ref",
                "provider",
                "kind",
                "ref",
                "tenant_id",
                "billable_entity_id",
                rule="ref_identity",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}"
