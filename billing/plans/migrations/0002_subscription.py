"""The subscription that gives a tenant its plan."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The tenant's subscription record: null columns and one false, so nothing is rewritten."""

    dependencies = [
        ("plans", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_canceled_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_cancels_at_period_end",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_customer_id",
            field=models.CharField(blank=True, db_collation="C", max_length=500, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_id",
            field=models.CharField(blank=True, db_collation="C", max_length=500, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_last_event_id",
            field=models.CharField(blank=True, db_collation="C", max_length=500, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_last_event_type",
            field=models.CharField(blank=True, db_collation="C", max_length=500, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_metadata",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_period_end_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_period_start_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_plan",
            field=models.CharField(
                blank=True,
                choices=[
                    ("free", "Free"),
                    ("builder", "Builder"),
                    ("growth", "Growth"),
                    ("enterprise", "Enterprise"),
                ],
                max_length=20,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_price_id",
            field=models.CharField(blank=True, db_collation="C", max_length=500, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_provider",
            field=models.CharField(blank=True, db_collation="C", max_length=500, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_source_event_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_status",
            field=models.CharField(blank=True, db_collation="C", max_length=500, null=True),
        ),
        migrations.AddField(
            model_name="billingtenantconfig",
            name="subscription_updated_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name="billingtenantconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("subscription_plan__isnull", True),
                    ("subscription_plan__in", ["free", "builder", "growth", "enterprise"]),
                    _connector="OR",
                ),
                name="billing_config_subscription_plan_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="billingtenantconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("subscription_updated_at__isnull", False),
                    models.Q(
                        ("subscription_canceled_at__isnull", True),
                        ("subscription_cancels_at_period_end", False),
                        ("subscription_customer_id__isnull", True),
                        ("subscription_id__isnull", True),
                        ("subscription_last_event_id__isnull", True),
                        ("subscription_last_event_type__isnull", True),
                        ("subscription_metadata__isnull", True),
                        ("subscription_period_end_at__isnull", True),
                        ("subscription_period_start_at__isnull", True),
                        ("subscription_plan__isnull", True),
                        ("subscription_price_id__isnull", True),
                        ("subscription_provider__isnull", True),
                        ("subscription_source_event_at__isnull", True),
                        ("subscription_status__isnull", True),
                        ("subscription_updated_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="billing_config_subscription_whole_or_none",
            ),
        ),
    ]
