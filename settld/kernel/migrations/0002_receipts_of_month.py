from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Serve payables.references_of(): the receipts settled in a month. Built beside live traffic, so alone in its file and not atomic."""

    atomic = False
    dependencies = [("kernel", "0001_initial")]
    operations = [
        AddIndexConcurrently(
            "settlementreceipt",
            models.Index(
                fields=["tenant_id", "settled_at"],
                name="settlement_receipt_of_month",
                condition=Q(finality_state="final", released_cents__gt=0),
            ),
        )
    ]
