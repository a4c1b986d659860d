from django.db import migrations, models


class Migration(migrations.Migration):
    """Whose event it is, and until when its payload stays: for the timeline, the explorer and retention."""

    dependencies = [
        ("stripe_gateway", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="stripeevent",
            name="payload_retention_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stripeeventconsumption",
            name="billable_entity_id",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stripeeventconsumption",
            name="error_code",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="stripeeventconsumption",
            name="last_failed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stripeeventconsumption",
            name="operation_key",
            field=models.CharField(blank=True, db_collation="C", default="", max_length=64),
        ),
        migrations.AddField(
            model_name="stripeeventconsumption",
            name="processing_started_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stripeeventconsumption",
            name="tenant_id",
            field=models.CharField(blank=True, db_collation="C", default="", max_length=200),
        ),
        migrations.AddIndex(
            model_name="stripeevent",
            index=models.Index(
                condition=models.Q(("payload_retention_until__isnull", False)),
                fields=["payload_retention_until"],
                name="billing_webhook_events_payload",
            ),
        ),
        migrations.AddIndex(
            model_name="stripeeventconsumption",
            index=models.Index(
                condition=models.Q(("billable_entity_id__isnull", False)),
                fields=["billable_entity_id", "updated_at"],
                name="webhook_consumption_entity",
            ),
        ),
        migrations.AddIndex(
            model_name="stripeeventconsumption",
            index=models.Index(
                condition=models.Q(("operation_key", ""), _negated=True),
                fields=["operation_key", "updated_at"],
                name="webhook_consumption_operation",
            ),
        ),
    ]
