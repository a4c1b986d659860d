"""People and what they are in a tenant."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models

from settld.core import ids
from settld.tenants.roles import PLATFORM_SCOPES, ROLE_SCOPES, Role


class User(AbstractUser):
    """A person who logs in. Deployment-wide: a person may belong to several tenants."""

    platform_role = models.CharField(
        max_length=16, blank=True, choices=[("operator", "Platform operator"), ("admin", "Platform admin")]
    )

    class Meta:
        db_table = "tenants_user"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(platform_role__in=["", "operator", "admin"]),
                name="user_platform_role_known",
            )
        ]

    @property
    def platform_scopes(self) -> frozenset[str]:
        """Give the scopes that platform staff hold in every tenant."""
        return PLATFORM_SCOPES.get(self.platform_role, frozenset())


class Membership(models.Model):
    """One person's role in one tenant."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    status = models.CharField(
        max_length=16, choices=[("active", "Active"), ("removed", "Removed")], default="active"
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "tenant_membership"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "user"], name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "removed"]), name="membership_status_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.tenant_id}"

    @property
    def scopes(self) -> frozenset[str]:
        """Give the scopes of the role."""
        return ROLE_SCOPES[self.role]
