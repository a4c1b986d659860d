"""Tenant plans."""

from django.db import migrations, models

import settld.core.ids
from settld.core.rls import Fence


class Migration(migrations.Migration):
    initial = True

    dependencies = [("core", "0001_application_role")]

    operations = [
        migrations.CreateModel(
            name="BillingTenantConfig",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(max_length=200)),
                (
                    "base_plan",
                    models.CharField(
                        choices=[
                            ("free", "Free"),
                            ("builder", "Builder"),
                            ("growth", "Growth"),
                            ("enterprise", "Enterprise"),
                        ],
                        default="free",
                        max_length=20,
                    ),
                ),
                ("hard_limit_enforced", models.BooleanField(default=True)),
                ("plan_overrides", models.JSONField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "tenant plan",
                "db_table": "billing_tenant_config",
                "constraints": [
                    models.UniqueConstraint(models.F("tenant_id"), name="billing_config_once_per_tenant"),
                    models.CheckConstraint(
                        condition=models.Q(("base_plan__in", ["free", "builder", "growth", "enterprise"])),
                        name="billing_config_plan_known",
                    ),
                ],
            },
        ),
        Fence("BillingTenantConfig"),
    ]
