from django.db import migrations, models


class Migration(migrations.Migration):
    """Serve the list of what waits for a person: the few events that were given up, among all there were."""

    dependencies = [
        ("stripe_gateway", "0003_consumption_order"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="stripeeventconsumption",
            index=models.Index(
                condition=models.Q(("status", "dead")), fields=["id"], name="webhook_consumption_dead"
            ),
        ),
    ]
