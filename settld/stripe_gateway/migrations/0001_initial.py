import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    """The inbox: events, once each, and what every consumer made of them. Deployment-wide tables."""

    initial = True

    dependencies = [("core", "0001_application_role")]

    operations = [
        migrations.CreateModel(
            name="StripeEventConsumption",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("consumer", models.CharField(max_length=60)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("leased", "Leased"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("dead", "Dead"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("applied", "Applied"),
                            ("stale", "Stale"),
                            ("ignored", "Ignored"),
                            ("unmatched", "Unmatched"),
                        ],
                        default="",
                        max_length=10,
                    ),
                ),
                ("detail", models.TextField(blank=True, default="")),
                ("error", models.TextField(blank=True, default="")),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField()),
                ("lease_owner", models.CharField(blank=True, default="", max_length=120)),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                ("lease_version", models.PositiveIntegerField(default=0)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "billing_webhook_event_consumptions",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="StripeEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("provider", models.CharField(default="stripe", max_length=40)),
                ("provider_event_id", models.CharField(db_collation="C", max_length=191)),
                ("event_type", models.CharField(max_length=191)),
                ("provider_api_version", models.CharField(blank=True, default="", max_length=40)),
                ("provider_created_at", models.DateTimeField()),
                ("livemode", models.BooleanField()),
                ("object_id", models.CharField(blank=True, db_collation="C", default="", max_length=191)),
                ("payload", models.TextField()),
                ("payload_sha256", models.CharField(max_length=64)),
                ("received_at", models.DateTimeField()),
                ("delivery_count", models.PositiveIntegerField(default=1)),
                ("last_delivered_at", models.DateTimeField()),
            ],
            options={
                "db_table": "billing_webhook_events",
                "ordering": ("-received_at", "-id"),
                "indexes": [
                    models.Index(fields=["object_id"], name="billing_webhook_events_object"),
                    models.Index(fields=["-received_at", "-id"], name="billing_webhook_events_recent"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("provider", "provider_event_id"), name="billing_webhook_events_once"
                    )
                ],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="stripeevent",
            trigger=pgtrigger.compiler.Trigger(
                name="keep_webhook_events",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="4e55549ef28a55203eb4511472e2b85f84455d41",
                    operation="DELETE",
                    pgid="pgtrigger_keep_webhook_events_1b415",
                    table="billing_webhook_events",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddField(
            model_name="stripeeventconsumption",
            name="event",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="consumptions",
                to="stripe_gateway.stripeevent",
            ),
        ),
        migrations.AddIndex(
            model_name="stripeeventconsumption",
            index=models.Index(
                condition=models.Q(("status__in", ["pending", "failed"])),
                fields=["next_attempt_at", "id"],
                name="webhook_consumption_due",
            ),
        ),
        migrations.AddIndex(
            model_name="stripeeventconsumption",
            index=models.Index(
                condition=models.Q(("status", "leased")),
                fields=["lease_expires_at"],
                name="webhook_consumption_leases",
            ),
        ),
        migrations.AddConstraint(
            model_name="stripeeventconsumption",
            constraint=models.UniqueConstraint(fields=("event", "consumer"), name="webhook_consumption_once"),
        ),
        migrations.AddConstraint(
            model_name="stripeeventconsumption",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "leased", "done", "failed", "dead"])),
                name="webhook_consumption_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="stripeeventconsumption",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("finished_at", None), ("outcome", ""), models.Q(("status", "done"), _negated=True)
                    ),
                    models.Q(
                        ("finished_at__isnull", False),
                        ("outcome__in", ["applied", "stale", "ignored", "unmatched"]),
                        ("status", "done"),
                    ),
                    _connector="OR",
                ),
                name="webhook_consumption_done_has_outcome",
            ),
        ),
        migrations.AddConstraint(
            model_name="stripeeventconsumption",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("lease_expires_at__isnull", False), ("status", "leased")),
                    models.Q(models.Q(("status", "leased"), _negated=True), ("lease_expires_at", None)),
                    _connector="OR",
                ),
                name="webhook_consumption_leased_has_expiry",
            ),
        ),
    ]
