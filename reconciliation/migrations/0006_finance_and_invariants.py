import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import settld.core.ids
from settld.core.rls import Fence


class Migration(migrations.Migration):
    """Reports and cases of the finance reconciliation, and what the invariant monitor found and stopped."""

    dependencies = [
        ("reconciliation", "0005_queue_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="InvariantCheck",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("name", models.CharField(db_collation="C", max_length=64)),
                (
                    "status",
                    models.CharField(
                        choices=[("pass", "Pass"), ("fail", "Fail"), ("error", "Error")],
                        db_collation="C",
                        max_length=40,
                    ),
                ),
                ("row_count", models.PositiveIntegerField(default=0)),
                ("triage_key", models.CharField(blank=True, db_collation="C", max_length=64, null=True)),
                ("broken_since", models.DateTimeField(blank=True, null=True)),
                ("checked_at", models.DateTimeField()),
                ("swept_at", models.DateTimeField(blank=True, null=True)),
                ("sweep_after", models.CharField(blank=True, db_collation="C", max_length=1200, null=True)),
                ("runtime_ms", models.PositiveIntegerField(default=0)),
                ("code", models.CharField(blank=True, db_collation="C", max_length=100, null=True)),
            ],
            options={
                "verbose_name": "invariant check",
                "db_table": "invariant_check",
            },
        ),
        migrations.CreateModel(
            name="InvariantStop",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("name", models.CharField(db_collation="C", max_length=64)),
                ("content_hash", models.CharField(db_collation="C", max_length=64)),
                ("triage_key", models.CharField(db_collation="C", max_length=64)),
                ("is_own_stop", models.BooleanField()),
                ("stopped_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "invariant stop",
                "db_table": "invariant_stop",
            },
        ),
        migrations.RemoveConstraint(
            model_name="mismatch",
            name="mismatch_source_type",
        ),
        migrations.RemoveConstraint(
            model_name="reconcilereport",
            name="reconcile_report_side",
        ),
        migrations.RemoveConstraint(
            model_name="triage",
            name="triage_source_type",
        ),
        migrations.AlterField(
            model_name="mismatch",
            name="source_type",
            field=models.CharField(
                choices=[
                    ("money_rails_reconcile", "Money Rails"),
                    ("finance_reconcile", "Finance"),
                    ("stripe_inbox", "Stripe Inbox"),
                    ("provider_statement", "Provider Statement"),
                    ("invariant", "Invariant"),
                ],
                max_length=32,
            ),
        ),
        migrations.AlterField(
            model_name="reconcilereport",
            name="side",
            field=models.CharField(
                choices=[("books", "Books"), ("provider", "Provider"), ("finance", "Finance")],
                db_default="books",
                default="books",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="triage",
            name="source_type",
            field=models.CharField(
                choices=[
                    ("money_rails_reconcile", "Money Rails"),
                    ("finance_reconcile", "Finance"),
                    ("stripe_inbox", "Stripe Inbox"),
                    ("provider_statement", "Provider Statement"),
                    ("invariant", "Invariant"),
                ],
                max_length=32,
            ),
        ),
        migrations.AddConstraint(
            model_name="mismatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "source_type__in",
                        [
                            "money_rails_reconcile",
                            "finance_reconcile",
                            "stripe_inbox",
                            "provider_statement",
                            "invariant",
                        ],
                    )
                ),
                name="mismatch_source_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconcilereport",
            constraint=models.CheckConstraint(
                condition=models.Q(("side__in", ["books", "provider", "finance"])),
                name="reconcile_report_side",
            ),
        ),
        migrations.AddConstraint(
            model_name="triage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "source_type__in",
                        [
                            "money_rails_reconcile",
                            "finance_reconcile",
                            "stripe_inbox",
                            "provider_statement",
                            "invariant",
                        ],
                    )
                ),
                name="triage_source_type",
            ),
        ),
        migrations.AddIndex(
            model_name="invariantcheck",
            index=models.Index(
                condition=models.Q(("status", "fail")), fields=["tenant_id", "name"], name="invariant_broken"
            ),
        ),
        migrations.AddConstraint(
            model_name="invariantcheck",
            constraint=models.UniqueConstraint(fields=("tenant_id", "name"), name="invariant_check_once"),
        ),
        migrations.AddConstraint(
            model_name="invariantcheck",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pass", "fail", "error"]), ("status__isnull", False)),
                name="invariant_check_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="invariantcheck",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("broken_since__isnull", False), ("status", "fail"), ("triage_key__isnull", False)
                    ),
                    models.Q(
                        ("broken_since__isnull", True),
                        ("row_count", 0),
                        ("status", "pass"),
                        ("triage_key__isnull", True),
                    ),
                    models.Q(("code__isnull", False), ("status", "error")),
                    _connector="OR",
                ),
                name="invariant_check_says_what_it_found",
            ),
        ),
        migrations.AddConstraint(
            model_name="invariantstop",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "name", "content_hash"), name="invariant_stop_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="invariantstop",
            constraint=models.CheckConstraint(
                condition=models.Q(("content_hash__regex", "^[0-9a-f]{64}$")), name="invariant_stop_hash"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="invariantstop",
            trigger=pgtrigger.compiler.Trigger(
                name="invariant_stop_rows",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="ac80f74c5d7c82c439d34a6d9a722eaed0275d65",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_invariant_stop_rows_8057c",
                    table="invariant_stop",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="invariantstop",
            trigger=pgtrigger.compiler.Trigger(
                name="invariant_stop_whole",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;",
                    hash="b5f61e43da3298d9f1f50faecdd54ba7e4690950",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_invariant_stop_whole_2c56a",
                    table="invariant_stop",
                    when="BEFORE",
                ),
            ),
        ),
        Fence("InvariantCheck", keeps_rows=True),
        Fence("InvariantStop", append_only=True),
    ]
