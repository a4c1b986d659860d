from django.db import migrations, models


class Migration(migrations.Migration):
    """Serve the gauge of what a consumer failed to apply and since when: few events among all there were."""

    dependencies = [
        ("stripe_gateway", "0004_dead_consumptions"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="stripeeventconsumption",
            index=models.Index(
                condition=models.Q(("status__in", ["failed", "dead"])),
                fields=["consumer", "created_at"],
                name="webhook_consumption_failed",
            ),
        ),
    ]
