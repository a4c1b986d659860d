from django.db import migrations, models


class Migration(migrations.Migration):
    """Numbers of a run that pages plot."""

    dependencies = [
        ("maintenance", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="maintenancerun",
            name="figures",
            field=models.JSONField(db_default={}, default=dict),
        ),
    ]
