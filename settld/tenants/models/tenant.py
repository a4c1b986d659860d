"""The tenant."""

from typing import ClassVar

from django.db import models


class TenantStatus(models.TextChoices):
    """Whether a tenant may act."""

    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    CLOSED = "closed", "Closed"


class Tenant(models.Model):
    """Our customer's account. Deployment-wide: it is looked up before the tenant is known."""

    tenant_id = models.CharField(max_length=200, primary_key=True)
    name = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=16, choices=TenantStatus.choices, default=TenantStatus.ACTIVE)
    source = models.CharField(max_length=32, default="bootstrap")
    contact_email = models.CharField(max_length=320, blank=True)
    billing_email = models.CharField(max_length=320, blank=True)
    requires_second_factor = models.BooleanField(default=False)
    retention = models.JSONField(default=dict, blank=True)
    quotas = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "tenant"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(status__in=TenantStatus.values), name="tenant_status_known"
            ),
            models.CheckConstraint(condition=~models.Q(tenant_id=""), name="tenant_id_not_blank"),
        ]

    def __str__(self) -> str:
        return self.name or self.tenant_id

    @property
    def is_active(self) -> bool:
        """Tell whether the tenant may act."""
        return self.status == TenantStatus.ACTIVE
