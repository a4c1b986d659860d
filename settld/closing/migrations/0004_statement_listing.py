"""Serve closing.queries.listing(). Built beside live traffic, so alone in its file and not atomic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Collate


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("closing", "0003_finance_close")]
    operations = [
        AddIndexConcurrently(
            "partystatement",
            models.Index(
                models.F("tenant_id"),
                models.F("period"),
                Collate("party_id", "C"),
                Collate("party_role", "C"),
                Collate("currency", "C"),
                condition=models.Q(superseded_at__isnull=True),
                name="party_statement_listing",
            ),
        )
    ]
