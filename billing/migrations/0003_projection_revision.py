import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    """Count the writes of what events are ordered against, and find an invoice before its tenant is known."""

    dependencies = [
        ("billing", "0002_rules"),
    ]

    operations = [
        migrations.AddField(
            model_name="invoice",
            name="needs_reconciliation",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="invoice",
            name="revision",
            field=models.IntegerField(db_default=1, default=1),
        ),
        migrations.AddField(
            model_name="subscription",
            name="revision",
            field=models.IntegerField(db_default=1, default=1),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(fields=["provider_invoice_id"], name="invoice_by_provider_id"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="invoice",
            trigger=pgtrigger.compiler.Trigger(
                name="invoice_revision",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\nNEW.revision = OLD.revision + 1;\nRETURN NEW;\n",
                    hash="a78ccca2a537e173d75b17d2ade09d8777037237",
                    operation="UPDATE",
                    pgid="pgtrigger_invoice_revision_eb2f6",
                    table="billing_invoices",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="subscription",
            trigger=pgtrigger.compiler.Trigger(
                name="subscription_revision",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\nNEW.revision = OLD.revision + 1;\nRETURN NEW;\n",
                    hash="53dd247cd10615a1d60aae4e3ee6f98b310d680b",
                    operation="UPDATE",
                    pgid="pgtrigger_subscription_revision_9569e",
                    table="billing_subscriptions",
                    when="BEFORE",
                ),
            ),
        ),
    ]
