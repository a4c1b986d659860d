"""Find the payouts that wait for an account. Built beside live traffic, so alone in its file and not atomic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("moneyrails", "0005_unknown_outcomes")]
    operations = [
        AddIndexConcurrently(
            "operation",
            models.Index(
                fields=["tenant_id", "counterparty_ref"],
                condition=models.Q(state="initiated"),
                name="operation_waiting_for",
            ),
        )
    ]
