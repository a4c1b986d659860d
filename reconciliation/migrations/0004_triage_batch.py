import django.db.models.deletion
from django.db import migrations, models

import settld.core.ids
from settld.core.rls import Fence


class Migration(migrations.Migration):
    """Decide about many cases at once: the frozen set, what is wanted, and each row's result."""

    dependencies = [
        ("reconciliation", "0003_provider_statement"),
    ]

    operations = [
        migrations.CreateModel(
            name="TriageBatch",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[("selection", "Selection"), ("matching", "Matching"), ("file", "File")],
                        max_length=12,
                    ),
                ),
                ("act", models.CharField(max_length=20)),
                (
                    "status",
                    models.CharField(
                        choices=[("previewed", "Previewed"), ("running", "Running"), ("done", "Done")],
                        default="previewed",
                        max_length=12,
                    ),
                ),
                ("change", models.JSONField(blank=True, null=True)),
                ("filters", models.JSONField(blank=True, null=True)),
                ("file_name", models.CharField(blank=True, max_length=200)),
                ("file_hash", models.CharField(blank=True, max_length=64)),
                ("row_count", models.PositiveIntegerField()),
                ("is_cut", models.BooleanField(default=False)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("applied_by", models.CharField(blank=True, max_length=200)),
                ("applied_request_id", models.CharField(blank=True, max_length=200)),
                ("applied_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "triage batch",
                "verbose_name_plural": "triage batches",
                "db_table": "reconciliation_triage_batch",
                "indexes": [
                    models.Index(fields=["tenant_id", "-created_at"], name="triage_batch_newest"),
                    models.Index(
                        condition=models.Q(("status", "previewed")),
                        fields=["tenant_id", "created_at"],
                        name="triage_batch_previews",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["selection", "matching", "file"])),
                        name="triage_batch_kind",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["previewed", "running", "done"])),
                        name="triage_batch_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("applied_at__isnull", True), ("applied_by", ""), ("status", "previewed")
                            ),
                            models.Q(
                                models.Q(("status", "previewed"), _negated=True),
                                ("applied_at__isnull", False),
                                models.Q(("applied_by", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="triage_batch_applied_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at__isnull", False), ("status", "done")),
                            models.Q(
                                models.Q(("status", "done"), _negated=True), ("finished_at__isnull", True)
                            ),
                            _connector="OR",
                        ),
                        name="triage_batch_finished_when_done",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TriageBatchRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.CharField(max_length=200)),
                ("position", models.PositiveIntegerField()),
                ("triage_key", models.CharField(blank=True, max_length=64)),
                ("seen_revision", models.PositiveIntegerField(db_default=0, default=0)),
                ("seen_hash", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("seen_status", models.CharField(blank=True, db_default="", default="", max_length=12)),
                ("before", models.JSONField(blank=True, null=True)),
                ("change", models.JSONField(blank=True, null=True)),
                (
                    "result",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "Waiting"),
                            ("done", "Done"),
                            ("unchanged", "Unchanged"),
                            ("refused", "Refused"),
                            ("invalid", "Invalid"),
                        ],
                        db_default="",
                        default="",
                        max_length=10,
                    ),
                ),
                ("why", models.TextField(blank=True, db_default="", default="")),
                ("revision", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rows",
                        to="reconciliation.triagebatch",
                    ),
                ),
            ],
            options={
                "verbose_name": "triage batch row",
                "db_table": "reconciliation_triage_batch_row",
                "indexes": [
                    models.Index(
                        condition=models.Q(("result", "")),
                        fields=["tenant_id", "batch", "position"],
                        name="triage_batch_row_waiting",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "batch", "position"), name="triage_batch_row_position"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("result", "invalid"), _negated=True),
                        fields=("tenant_id", "batch", "triage_key"),
                        name="triage_batch_row_once_per_case",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("result__in", ["", "done", "unchanged", "refused", "invalid"])),
                        name="triage_batch_row_result",
                    ),
                ],
            },
        ),
        Fence("TriageBatch"),
        Fence("TriageBatchRow"),
    ]
