import django.db.models.fields.json
import django.db.models.functions.comparison
import django.db.models.functions.text
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import settld.core.ids
from settld.core.rls import Fence


class Migration(migrations.Migration):
    """What people decide about cases, repeated on the case for the queue that is read by it."""

    dependencies = [
        ("reconciliation", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Triage",
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
                ("mismatch_code", models.CharField(blank=True, max_length=100)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("acknowledged", "Acknowledged"),
                            ("in_progress", "In Progress"),
                            ("resolved", "Resolved"),
                            ("dismissed", "Dismissed"),
                        ],
                        default="open",
                        max_length=12,
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("low", "Low"),
                            ("medium", "Medium"),
                            ("high", "High"),
                            ("critical", "Critical"),
                        ],
                        max_length=8,
                    ),
                ),
                ("owner_principal_id", models.CharField(blank=True, max_length=200)),
                ("notes", models.TextField(blank=True)),
                ("source_report_hash", models.CharField(blank=True, max_length=64)),
                ("mismatch_hash", models.CharField(blank=True, max_length=64)),
                ("metadata", models.JSONField(blank=True, null=True)),
                ("revision", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("resolved_by_principal_id", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "verbose_name": "triage",
                "verbose_name_plural": "triage",
                "db_table": "reconciliation_triage",
            },
        ),
        migrations.CreateModel(
            name="TriageAction",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(max_length=200)),
                ("triage_key", models.CharField(max_length=64)),
                ("revision", models.PositiveIntegerField()),
                ("action", models.CharField(max_length=100)),
                ("at", models.DateTimeField()),
                ("actor_principal_id", models.CharField(max_length=200)),
                ("prev_status", models.CharField(blank=True, max_length=12)),
                (
                    "next_status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("acknowledged", "Acknowledged"),
                            ("in_progress", "In Progress"),
                            ("resolved", "Resolved"),
                            ("dismissed", "Dismissed"),
                        ],
                        max_length=12,
                    ),
                ),
                ("severity", models.CharField(blank=True, max_length=8)),
                ("owner_principal_id", models.CharField(blank=True, max_length=200)),
                ("notes", models.TextField(blank=True)),
            ],
            options={
                "verbose_name": "triage action",
                "db_table": "reconciliation_triage_action",
            },
        ),
        migrations.RemoveIndex(
            model_name="mismatch",
            name="mismatch_open",
        ),
        migrations.AddField(
            model_name="mismatch",
            name="triage_severity",
            field=models.CharField(
                blank=True,
                choices=[("low", "Low"), ("medium", "Medium"), ("high", "High"), ("critical", "Critical")],
                db_default="",
                default="",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="mismatch",
            name="subject_hash",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.text.MD5(
                    django.db.models.functions.comparison.Coalesce(
                        django.db.models.fields.json.KeyTextTransform("operationId", "details"),
                        models.F("mismatch_key"),
                    )
                ),
                output_field=models.CharField(max_length=32),
            ),
        ),
        migrations.AddField(
            model_name="mismatch",
            name="triage_mismatch_hash",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddField(
            model_name="mismatch",
            name="triage_owner",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="mismatch",
            name="triage_revision",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="mismatch",
            name="triage_status",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("acknowledged", "Acknowledged"),
                    ("in_progress", "In Progress"),
                    ("resolved", "Resolved"),
                    ("dismissed", "Dismissed"),
                ],
                db_default="open",
                default="open",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="mismatch",
            name="severity_rank",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(
                        models.Q(
                            ("triage_severity", "critical"),
                            models.Q(("severity", "critical"), ("triage_severity", "")),
                            _connector="OR",
                        ),
                        then=models.Value(0),
                    ),
                    models.When(
                        models.Q(
                            ("triage_severity", "high"),
                            models.Q(("severity", "high"), ("triage_severity", "")),
                            _connector="OR",
                        ),
                        then=models.Value(1),
                    ),
                    models.When(
                        models.Q(
                            ("triage_severity", "medium"),
                            models.Q(("severity", "medium"), ("triage_severity", "")),
                            _connector="OR",
                        ),
                        then=models.Value(2),
                    ),
                    models.When(
                        models.Q(
                            ("triage_severity", "low"),
                            models.Q(("severity", "low"), ("triage_severity", "")),
                            _connector="OR",
                        ),
                        then=models.Value(3),
                    ),
                    default=models.Value(4),
                ),
                output_field=models.SmallIntegerField(),
            ),
        ),
        migrations.AddIndex(
            model_name="mismatch",
            index=models.Index(
                models.F("tenant_id"),
                models.OrderBy(models.F("first_seen_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(
                    ("cleared_at__isnull", True),
                    models.Q(
                        ("resolved_at__isnull", True),
                        models.Q(
                            ("resolved_at__isnull", False),
                            models.Q(("triage_mismatch_hash", ""), _negated=True),
                            models.Q(("triage_mismatch_hash", models.F("mismatch_hash")), _negated=True),
                        ),
                        _connector="OR",
                    ),
                ),
                name="mismatch_still_open",
            ),
        ),
        migrations.AddIndex(
            model_name="mismatch",
            index=models.Index(
                models.F("tenant_id"),
                models.F("severity_rank"),
                models.F("first_seen_at"),
                models.F("id"),
                condition=models.Q(
                    ("cleared_at__isnull", True),
                    models.Q(
                        ("resolved_at__isnull", True),
                        models.Q(
                            ("resolved_at__isnull", False),
                            models.Q(("triage_mismatch_hash", ""), _negated=True),
                            models.Q(("triage_mismatch_hash", models.F("mismatch_hash")), _negated=True),
                        ),
                        _connector="OR",
                    ),
                ),
                name="mismatch_open_urgent",
            ),
        ),
        migrations.AddIndex(
            model_name="mismatch",
            index=models.Index(
                models.F("tenant_id"),
                models.F("triage_owner"),
                models.F("severity_rank"),
                models.F("first_seen_at"),
                models.F("id"),
                condition=models.Q(
                    ("cleared_at__isnull", True),
                    models.Q(
                        ("resolved_at__isnull", True),
                        models.Q(
                            ("resolved_at__isnull", False),
                            models.Q(("triage_mismatch_hash", ""), _negated=True),
                            models.Q(("triage_mismatch_hash", models.F("mismatch_hash")), _negated=True),
                        ),
                        _connector="OR",
                    ),
                ),
                name="mismatch_open_of_owner",
            ),
        ),
        migrations.AddIndex(
            model_name="mismatch",
            index=models.Index(
                models.F("tenant_id"),
                models.F("mismatch_type"),
                models.F("severity_rank"),
                models.F("first_seen_at"),
                models.F("id"),
                condition=models.Q(
                    ("cleared_at__isnull", True),
                    models.Q(
                        ("resolved_at__isnull", True),
                        models.Q(
                            ("resolved_at__isnull", False),
                            models.Q(("triage_mismatch_hash", ""), _negated=True),
                            models.Q(("triage_mismatch_hash", models.F("mismatch_hash")), _negated=True),
                        ),
                        _connector="OR",
                    ),
                ),
                name="mismatch_open_of_type",
            ),
        ),
        migrations.AddIndex(
            model_name="mismatch",
            index=models.Index(
                models.F("tenant_id"),
                models.F("severity_rank"),
                models.F("first_seen_at"),
                models.F("id"),
                name="mismatch_urgent",
            ),
        ),
        migrations.AddIndex(
            model_name="mismatch",
            index=models.Index(models.F("tenant_id"), models.F("subject_hash"), name="mismatch_of_subject"),
        ),
        migrations.AddConstraint(
            model_name="mismatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("triage_status__in", ["open", "acknowledged", "in_progress", "resolved", "dismissed"])
                ),
                name="mismatch_triage_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="mismatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("resolved_at__isnull", False), ("triage_status__in", ["resolved", "dismissed"])
                    ),
                    models.Q(
                        models.Q(("triage_status__in", ["resolved", "dismissed"]), _negated=True),
                        ("resolved_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="mismatch_resolved_exactly_when_decided",
            ),
        ),
        migrations.AddIndex(
            model_name="triage",
            index=models.Index(
                models.F("tenant_id"),
                models.OrderBy(models.F("updated_at"), descending=True),
                models.F("triage_key"),
                name="triage_newest",
            ),
        ),
        migrations.AddIndex(
            model_name="triage",
            index=models.Index(
                models.F("tenant_id"),
                models.F("period"),
                models.OrderBy(models.F("updated_at"), descending=True),
                models.F("triage_key"),
                name="triage_of_period",
            ),
        ),
        migrations.AddConstraint(
            model_name="triage",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "triage_key"), name="triage_once_per_case"
            ),
        ),
        migrations.AddConstraint(
            model_name="triage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("source_type__in", ["money_rails_reconcile", "finance_reconcile", "stripe_inbox"])
                ),
                name="triage_source_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="triage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["open", "acknowledged", "in_progress", "resolved", "dismissed"])
                ),
                name="triage_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="triage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("severity", ""), ("severity__in", ["low", "medium", "high", "critical"]), _connector="OR"
                ),
                name="triage_severity_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="triage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("resolved_at__isnull", False),
                        ("status__in", ("resolved", "dismissed")),
                        models.Q(("resolved_by_principal_id", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("status__in", ("resolved", "dismissed")), _negated=True),
                        ("resolved_at__isnull", True),
                        ("resolved_by_principal_id", ""),
                    ),
                    _connector="OR",
                ),
                name="triage_resolved_exactly_when_decided",
            ),
        ),
        migrations.AddConstraint(
            model_name="triage",
            constraint=models.CheckConstraint(
                condition=models.Q(("revision__gte", 1)), name="triage_revision_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="triageaction",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "triage_key", "revision"), name="triage_action_once_per_revision"
            ),
        ),
        migrations.AddConstraint(
            model_name="triageaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("next_status__in", ["open", "acknowledged", "in_progress", "resolved", "dismissed"])
                ),
                name="triage_action_status_known",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="triageaction",
            trigger=pgtrigger.compiler.Trigger(
                name="reconciliation_triage_action_rows",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="769d4ec239494cbb064e0e3585279197bafc5eb5",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_reconciliation_triage_action_rows_d8264",
                    table="reconciliation_triage_action",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="triageaction",
            trigger=pgtrigger.compiler.Trigger(
                name="reconciliation_triage_action_whole",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;",
                    hash="7729047e0ea7250fc742c5b75cc814d95c8c9bbe",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_reconciliation_triage_action_whole_0015f",
                    table="reconciliation_triage_action",
                    when="BEFORE",
                ),
            ),
        ),
        Fence("Triage", keeps_rows=True),
        Fence("TriageAction", append_only=True),
    ]
