from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Serve payables.references_of(): the payable adjustments of a month. Built beside live traffic, so alone in its file and not atomic."""

    atomic = False
    dependencies = [("kernel", "0002_receipts_of_month")]
    operations = [
        AddIndexConcurrently(
            "adjustment",
            models.Index(
                fields=["tenant_id", "created_at"],
                name="adjustment_of_month",
                condition=Q(kind__in=["holdback_release", "verdict_release", "verdict_refund"]),
            ),
        )
    ]
