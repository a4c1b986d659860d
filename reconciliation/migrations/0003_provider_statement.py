import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import settld.core.ids
from settld.core.rls import Fence


class Migration(migrations.Migration):
    """The provider's statement and how far it was read, reports about it, and the alert of a day."""

    dependencies = [
        ("reconciliation", "0002_triage"),
    ]

    operations = [
        migrations.CreateModel(
            name="MismatchAlert",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(max_length=200)),
                ("day_key", models.CharField(max_length=10)),
                ("count", models.PositiveIntegerField()),
                ("threshold", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "mismatch alert",
                "db_table": "mismatch_alert",
            },
        ),
        migrations.CreateModel(
            name="ProviderPeriod",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("provider_id", models.CharField(db_collation="C", max_length=200)),
                ("period", models.CharField(db_collation="C", max_length=7)),
                ("revision", models.PositiveIntegerField(default=0)),
                ("compared_revision", models.PositiveIntegerField(default=0)),
                ("changed_at", models.DateTimeField()),
                ("compared_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "provider statement period",
                "db_table": "provider_statement_period",
            },
        ),
        migrations.CreateModel(
            name="ProviderTransfer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.CharField(db_collation="C", max_length=200)),
                ("provider_id", models.CharField(db_collation="C", max_length=200)),
                ("transfer_id", models.CharField(db_collation="C", max_length=255)),
                ("period", models.CharField(db_collation="C", max_length=7)),
                ("payout_key", models.CharField(blank=True, db_collation="C", default="", max_length=900)),
                ("operation_ref", models.CharField(blank=True, db_collation="C", default="", max_length=900)),
                ("amount_cents", models.BigIntegerField()),
                ("amount_reversed_cents", models.BigIntegerField(default=0)),
                ("currency", models.CharField(db_collation="C", max_length=10)),
                ("destination", models.CharField(db_collation="C", max_length=255)),
                (
                    "transfer_group",
                    models.CharField(blank=True, db_collation="C", default="", max_length=900),
                ),
                ("provider_created_at", models.DateTimeField()),
                ("reversed_at", models.DateTimeField(null=True)),
                (
                    "attributed_by",
                    models.CharField(
                        choices=[("metadata", "Metadata"), ("account", "Account"), ("default", "Default")],
                        db_collation="C",
                        max_length=20,
                    ),
                ),
                ("content_hash", models.CharField(db_collation="C", max_length=64)),
                ("first_seen_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                ("withdrawn_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "provider transfer",
                "db_table": "provider_transfer",
            },
        ),
        migrations.CreateModel(
            name="StatementCursor",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=settld.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("source", models.CharField(db_collation="C", max_length=20)),
                ("kind", models.CharField(db_collation="C", max_length=20)),
                ("opened_at", models.DateTimeField(null=True)),
                ("since", models.DateTimeField(null=True)),
                (
                    "starting_after",
                    models.CharField(blank=True, db_collation="C", default="", max_length=255),
                ),
                ("newest_created_at", models.DateTimeField(null=True)),
                ("pages", models.PositiveIntegerField(default=0)),
                ("lines", models.PositiveIntegerField(default=0)),
                ("unreadable", models.PositiveIntegerField(default=0)),
                ("covered_from", models.DateTimeField(null=True)),
                ("covered_to", models.DateTimeField(null=True)),
                ("covered_at", models.DateTimeField(null=True)),
                ("error_code", models.CharField(blank=True, db_collation="C", default="", max_length=60)),
                ("error", models.CharField(blank=True, db_collation="C", default="", max_length=500)),
                ("error_at", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "provider statement cursor",
                "db_table": "provider_statement_cursor",
            },
        ),
        migrations.RemoveConstraint(
            model_name="mismatch",
            name="mismatch_source_type",
        ),
        migrations.RemoveConstraint(
            model_name="triage",
            name="triage_source_type",
        ),
        migrations.RemoveIndex(
            model_name="reconcilereport",
            name="reconcile_report_subject",
        ),
        migrations.AddField(
            model_name="reconcilereport",
            name="mismatch_count",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="reconcilereport",
            name="side",
            field=models.CharField(
                choices=[("books", "Books"), ("provider", "Provider")],
                db_default="books",
                default="books",
                max_length=8,
            ),
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
                ],
                max_length=32,
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
                ],
                max_length=32,
            ),
        ),
        migrations.AddIndex(
            model_name="reconcilereport",
            index=models.Index(
                models.F("tenant_id"),
                models.F("period"),
                models.F("provider_id"),
                models.F("side"),
                models.OrderBy(models.F("last_run_at"), descending=True),
                name="reconcile_report_of_subject",
            ),
        ),
        migrations.AddConstraint(
            model_name="mismatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "source_type__in",
                        ["money_rails_reconcile", "finance_reconcile", "stripe_inbox", "provider_statement"],
                    )
                ),
                name="mismatch_source_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconcilereport",
            constraint=models.CheckConstraint(
                condition=models.Q(("side__in", ["books", "provider"])), name="reconcile_report_side"
            ),
        ),
        migrations.AddConstraint(
            model_name="triage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "source_type__in",
                        ["money_rails_reconcile", "finance_reconcile", "stripe_inbox", "provider_statement"],
                    )
                ),
                name="triage_source_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="mismatchalert",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "day_key"), name="mismatch_alert_once_per_day"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="mismatchalert",
            trigger=pgtrigger.compiler.Trigger(
                name="mismatch_alert_rows",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="4cb5d7fd411efcaf3e86cd89d503ea6c37efece1",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_mismatch_alert_rows_ae33a",
                    table="mismatch_alert",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="mismatchalert",
            trigger=pgtrigger.compiler.Trigger(
                name="mismatch_alert_whole",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;",
                    hash="8a7d90387f5caf77294e811fd1ab278e8b037649",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_mismatch_alert_whole_47575",
                    table="mismatch_alert",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="providerperiod",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "provider_id", "period"), name="provider_statement_period_once"
            ),
        ),
        migrations.AddIndex(
            model_name="providertransfer",
            index=models.Index(
                condition=models.Q(("withdrawn_at__isnull", True)),
                fields=["tenant_id", "provider_id", "period", "payout_key"],
                name="provider_transfer_of_period",
            ),
        ),
        migrations.AddConstraint(
            model_name="providertransfer",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "transfer_id"), name="provider_transfer_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="providertransfer",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_cents__gte", 0), ("amount_reversed_cents__gte", 0)),
                name="provider_transfer_amounts_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="providertransfer",
            constraint=models.CheckConstraint(
                condition=models.Q(("attributed_by__in", ["metadata", "account", "default"])),
                name="provider_transfer_attribution_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="statementcursor",
            constraint=models.UniqueConstraint(
                fields=("source", "kind"), name="provider_statement_cursor_once"
            ),
        ),
        Fence("MismatchAlert", append_only=True),
        Fence("ProviderPeriod", keeps_rows=True),
        Fence("ProviderTransfer", keeps_rows=True),
        # Reports from before say their number of rows in their summary.
        migrations.RunSQL(
            "UPDATE reconcile_report SET mismatch_count ="
            " COALESCE((summary ->> 'criticalMismatchCount')::integer, 0)",
            migrations.RunSQL.noop,
        ),
    ]
