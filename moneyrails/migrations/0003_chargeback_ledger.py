import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

# Rows of an earlier release get their places in the order in which they were written under the lock.
_FILL = """
UPDATE chargeback_entry entry SET seq = placed.seq, outstanding_after_cents = placed.outstanding_after_cents
FROM (
  SELECT id, row_number() OVER in_order AS seq,
    sum(CASE WHEN kind IN ('reversal', 'release') THEN amount_cents ELSE -amount_cents END)
      OVER in_order AS outstanding_after_cents
  FROM chargeback_entry
  WINDOW in_order AS (PARTITION BY tenant_id, party_id, currency, provider_mode ORDER BY id)
) placed WHERE placed.id = entry.id;
UPDATE party_balance balance
SET entry_count = entries.entry_count, last_reversed_at = entries.last_reversed_at
FROM (
  SELECT tenant_id, party_id, currency, provider_mode, count(*) AS entry_count,
    max(at) FILTER (WHERE kind = 'reversal') AS last_reversed_at
  FROM chargeback_entry GROUP BY 1, 2, 3, 4
) entries
WHERE (entries.tenant_id, entries.party_id, entries.currency, entries.provider_mode)
  = (balance.tenant_id, balance.party_id, balance.currency, balance.provider_mode);
"""


class Migration(migrations.Migration):
    """Let the database keep the debts: places and running sums of entries, and what it refuses."""

    dependencies = [("moneyrails", "0002_controls_four_eyes")]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="chargebackentry",
            name="append_only",
        ),
        migrations.RemoveIndex(
            model_name="chargebackentry",
            name="entry_of_party",
        ),
        migrations.AddField(
            model_name="chargebackentry",
            name="outstanding_after_cents",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="chargebackentry",
            name="seq",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="partybalance",
            name="entry_count",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="partybalance",
            name="last_reversed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="partybalance",
            index=models.Index(
                models.F("tenant_id"),
                models.OrderBy(models.F("outstanding_cents"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("last_reversed_at__isnull", False)),
                name="balance_by_debt",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="chargebackentry",
            trigger=pgtrigger.compiler.Trigger(
                name="chargeback_entry_rows",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="058445191c2a46d8dadb4c3636f1f4ef9b2ce828",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_chargeback_entry_rows_8bfce",
                    table="chargeback_entry",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="chargebackentry",
            trigger=pgtrigger.compiler.Trigger(
                name="chargeback_entry_whole",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;",
                    hash="9fe639b140e0ab6d7e9c5448979033806dd492f0",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_chargeback_entry_whole_ae5a4",
                    table="chargeback_entry",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="chargebackentry",
            trigger=pgtrigger.compiler.Trigger(
                name="entry_posts",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    declare="DECLARE change bigint; whole bigint; repaid numeric;",
                    func="\nchange := CASE WHEN NEW.kind IN ('reversal', 'release') THEN NEW.amount_cents ELSE -NEW.amount_cents END;\nUPDATE party_balance SET\n    outstanding_cents = outstanding_cents + change,\n    entry_count = entry_count + 1,\n    last_reversed_at = CASE WHEN NEW.kind = 'reversal' THEN greatest(last_reversed_at, NEW.at)\n      ELSE last_reversed_at END,\n    updated_at = NEW.recorded_at\n  WHERE tenant_id = NEW.tenant_id AND party_id = NEW.party_id AND currency = NEW.currency\n    AND provider_mode = NEW.provider_mode\n  RETURNING outstanding_cents, entry_count INTO NEW.outstanding_after_cents, NEW.seq;\nIF NOT FOUND THEN\n  RAISE EXCEPTION 'the party has no balance row to post to'\n    USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'entry_has_balance';\nEND IF;\n\nIF NEW.kind = 'reversal' THEN\n  PERFORM 1 FROM money_rail_operation\n    WHERE id = NEW.operation_id AND tenant_id = NEW.tenant_id AND party_id = NEW.party_id\n      AND currency = NEW.currency AND provider_mode = NEW.provider_mode\n      AND amount_cents = NEW.amount_cents AND state = 'reversed';\n  IF NOT FOUND THEN\n    RAISE EXCEPTION 'a reversal owes the whole amount of a reversed operation of its party'\n      USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_reversal_is_whole';\n  END IF;\n  RETURN NEW;\nEND IF;\n\nSELECT amount_cents INTO whole FROM chargeback_entry\n  WHERE id = NEW.reversal_id AND kind = 'reversal' AND tenant_id = NEW.tenant_id\n    AND party_id = NEW.party_id AND currency = NEW.currency AND provider_mode = NEW.provider_mode;\nIF NOT FOUND THEN\n  RAISE EXCEPTION 'an entry repays a reversal of its own account'\n    USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_repays_own_reversal';\nEND IF;\nIF NEW.kind = 'release' THEN\n  PERFORM 1 FROM chargeback_entry\n    WHERE tenant_id = NEW.tenant_id AND payout_key = NEW.payout_key AND reversal_id = NEW.reversal_id\n      AND kind = 'recovery' AND amount_cents = NEW.amount_cents;\n  IF NOT FOUND THEN\n    RAISE EXCEPTION 'a release undoes a whole recovery'\n      USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_release_is_whole';\n  END IF;\n  RETURN NEW;\nEND IF;\nSELECT coalesce(sum(CASE kind WHEN 'release' THEN -amount_cents ELSE amount_cents END), 0)\n  INTO repaid FROM chargeback_entry WHERE reversal_id = NEW.reversal_id;\nIF repaid + NEW.amount_cents > whole THEN\n  RAISE EXCEPTION 'a reversal is repaid at most once'\n    USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_repays_at_most_its_reversal';\nEND IF;\nRETURN NEW;\n",
                    hash="3f6a93bffe5cc0538890489c819c8d42a5baf2f9",
                    operation="INSERT",
                    pgid="pgtrigger_entry_posts_b4f4b",
                    table="chargeback_entry",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="partybalance",
            trigger=pgtrigger.compiler.Trigger(
                name="sums_follow_entries",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN ((OLD.outstanding_cents, OLD.entry_count, OLD.last_reversed_at) IS DISTINCT FROM (NEW.outstanding_cents, NEW.entry_count, NEW.last_reversed_at))",
                    func="\nIF pg_trigger_depth() < 2 THEN\n  RAISE EXCEPTION 'a party balance changes with its entries only'\n    USING ERRCODE = 'check_violation', CONSTRAINT = 'balance_follows_entries';\nEND IF;\nRETURN NEW;\n",
                    hash="0baf474e422436edef416b85b340eaaca44cbe45",
                    operation="UPDATE",
                    pgid="pgtrigger_sums_follow_entries_36af3",
                    table="party_balance",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="partybalance",
            trigger=pgtrigger.compiler.Trigger(
                name="sums_begin_at_zero",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (NEW.outstanding_cents <> 0 OR NEW.entry_count <> 0 OR NEW.last_reversed_at IS NOT NULL)",
                    func="\nIF pg_trigger_depth() < 2 THEN\n  RAISE EXCEPTION 'a party balance changes with its entries only'\n    USING ERRCODE = 'check_violation', CONSTRAINT = 'balance_follows_entries';\nEND IF;\nRETURN NEW;\n",
                    hash="7b29c4cdc1e2392e0d4dc8cdb967bebef1922ae4",
                    operation="INSERT",
                    pgid="pgtrigger_sums_begin_at_zero_53e6a",
                    table="party_balance",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="chargebackentry",
            constraint=models.UniqueConstraint(
                fields=("tenant_id", "party_id", "currency", "provider_mode", "seq"),
                name="entry_once_per_place",
            ),
        ),
        migrations.AddConstraint(
            model_name="chargebackentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("outstanding_after_cents__gte", 0)), name="entry_leaves_no_negative_debt"
            ),
        ),
    ]
