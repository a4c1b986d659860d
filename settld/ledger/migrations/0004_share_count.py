from django.db import migrations, models

from settld.ledger.models.journal_triggers import ALLOCATED_WHOLLY, FUNCTIONS

# The function as it was, for going back.
_BEFORE = FUNCTIONS[FUNCTIONS.index("CREATE FUNCTION ledger_require_allocated") :].replace(
    "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"
)


class Migration(migrations.Migration):
    """Let an entry say how many shares belong to it, so that none can be added later."""

    dependencies = [("ledger", "0003_balance_totals")]
    operations = [
        migrations.AddField("journalentry", "share_count", models.SmallIntegerField(default=0, db_default=0)),
        migrations.RunSQL(ALLOCATED_WHOLLY, _BEFORE),
    ]
