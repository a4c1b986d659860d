"""Find the months of transfers noted lately. Built beside live traffic, so alone in its file and not atomic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("moneyrails", "0006_operation_destination_index")]
    operations = [
        AddIndexConcurrently(
            "movement",
            models.Index(
                fields=["tenant_id", "recorded_at"],
                condition=models.Q(kind="transfer", provider_mode="production"),
                name="movement_sent_lately",
            ),
        )
    ]
