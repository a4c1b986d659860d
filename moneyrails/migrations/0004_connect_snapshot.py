"""Keep when a Connect account was last seen, and serve the sync's queue, the inbox and the console's list."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("moneyrails", "0003_chargeback_ledger")]
    operations = [
        migrations.AddField("connectaccount", "kyb_seen_at", models.DateTimeField(null=True)),
        migrations.AddField("connectaccount", "provider_facts", models.JSONField(default=dict)),
        migrations.AddIndex(
            "connectaccount",
            models.Index(
                models.F("tenant_id"),
                models.OrderBy(models.F("kyb_last_sync_at"), nulls_first=True),
                models.F("id"),
                name="connect_stalest",
            ),
        ),
        migrations.AddIndex("connectaccount", models.Index(fields=["account_id"], name="connect_by_account")),
        migrations.AddIndex(
            "connectaccount",
            models.Index(fields=["tenant_id", "kyb_status", "account_id"], name="connect_by_kyb"),
        ),
        migrations.AddIndex(
            "connectaccount",
            models.Index(fields=["tenant_id", "status", "account_id"], name="connect_by_status"),
        ),
        migrations.AddIndex(
            "connectaccount",
            models.Index(
                fields=["tenant_id", "account_id"],
                name="connect_with_due",
                condition=~models.Q(kyb_currently_due=[]),
            ),
        ),
    ]
