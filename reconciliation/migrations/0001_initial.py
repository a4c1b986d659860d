from django.db import migrations, models

import settld.core.ids
from settld.core.rls import Fence


class Migration(migrations.Migration):
    """Reports of comparisons and the cases that they leave, each behind its tenant's fence."""

    initial = True

    dependencies = [("core", "0001_application_role")]

    operations = [
        migrations.CreateModel(
            name="Mismatch",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(max_length=200)),
                ("triage_key", models.CharField(max_length=64)),
                (
                    "source_type",
                    models.CharField(
                        choices=[
                            ("money_rails_reconcile", "Money Rails"),
                            ("finance_reconcile", "Finance"),
                            ("stripe_inbox", "Stripe Inbox"),
                        ],
                        max_length=32,
                    ),
                ),
                ("period", models.CharField(blank=True, max_length=7)),
                ("provider_id", models.CharField(blank=True, max_length=200)),
                ("mismatch_type", models.CharField(max_length=64)),
                ("mismatch_key", models.TextField()),
                ("mismatch_code", models.CharField(max_length=100)),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("low", "Low"),
                            ("medium", "Medium"),
                            ("high", "High"),
                            ("critical", "Critical"),
                        ],
                        max_length=8,
                    ),
                ),
                ("details", models.JSONField()),
                ("mismatch_hash", models.CharField(max_length=64)),
                ("last_report_hash", models.CharField(blank=True, max_length=64)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("cleared_at", models.DateTimeField(blank=True, null=True)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "mismatches",
                "db_table": "mismatch",
                "indexes": [
                    models.Index(
                        models.F("tenant_id"),
                        models.OrderBy(models.F("first_seen_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        condition=models.Q(("cleared_at__isnull", True), ("resolved_at__isnull", True)),
                        name="mismatch_open",
                    ),
                    models.Index(
                        models.F("tenant_id"),
                        models.F("source_type"),
                        models.F("period"),
                        models.F("provider_id"),
                        condition=models.Q(("cleared_at__isnull", True)),
                        name="mismatch_uncleared",
                    ),
                    models.Index(
                        models.F("tenant_id"),
                        models.OrderBy(models.F("first_seen_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="mismatch_by_age",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "triage_key"), name="mismatch_triage_key"),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "source_type__in",
                                ["money_rails_reconcile", "finance_reconcile", "stripe_inbox"],
                            )
                        ),
                        name="mismatch_source_type",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("severity__in", ["low", "medium", "high", "critical"])),
                        name="mismatch_severity",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReconcileReport",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(max_length=200)),
                ("artifact_id", models.TextField()),
                ("artifact_hash", models.CharField(max_length=64)),
                ("period", models.CharField(max_length=7)),
                ("provider_id", models.CharField(max_length=200)),
                ("status", models.CharField(choices=[("pass", "Pass"), ("fail", "Fail")], max_length=8)),
                ("report_hash", models.CharField(max_length=64)),
                ("summary", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("last_run_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "reconcile report",
                "db_table": "reconcile_report",
                "indexes": [
                    models.Index(
                        models.F("tenant_id"),
                        models.OrderBy(models.F("last_run_at"), descending=True),
                        models.F("id"),
                        name="reconcile_report_latest",
                    ),
                    models.Index(
                        models.F("tenant_id"),
                        models.F("period"),
                        models.F("provider_id"),
                        name="reconcile_report_subject",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "artifact_id"), name="reconcile_report_artifact"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pass", "fail"])), name="reconcile_report_status"
                    ),
                ],
            },
        ),
        Fence("Mismatch"),
        Fence("ReconcileReport"),
    ]
