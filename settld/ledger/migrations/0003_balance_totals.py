from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Serve queries.balances(). Built beside live traffic, so alone in its file and not atomic."""

    atomic = False
    dependencies = [("ledger", "0002_journal")]
    operations = [
        AddIndexConcurrently(
            "balance",
            models.Index(
                condition=models.Q(("bucket", "")),
                fields=["tenant_id", "account_id", "currency"],
                name="ledger_balance_totals",
            ),
        ),
    ]
