"""What the database itself does and refuses as debts change; it holds for whoever writes, and however.

The balance row is touched first, so two writers of one account stand in line before either looks at what
a reversal has open: each statement of a trigger sees what was committed while it waited.
"""

from typing import Final

SUMS_CHANGE: Final = (
    "((OLD.outstanding_cents, OLD.entry_count, OLD.last_reversed_at)"
    " IS DISTINCT FROM (NEW.outstanding_cents, NEW.entry_count, NEW.last_reversed_at))"
)
SUMS_GIVEN: Final = "NEW.outstanding_cents <> 0 OR NEW.entry_count <> 0 OR NEW.last_reversed_at IS NOT NULL"
# Depth 1 is a statement of somebody's own; an entry's trigger writes from depth 2.
ONLY_BY_ENTRIES: Final = """
IF pg_trigger_depth() < 2 THEN
  RAISE EXCEPTION 'a party balance changes with its entries only'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'balance_follows_entries';
END IF;
RETURN NEW;
"""
POST_ENTRY: Final = """
change := CASE WHEN NEW.kind IN ('reversal', 'release') THEN NEW.amount_cents ELSE -NEW.amount_cents END;
UPDATE party_balance SET
    outstanding_cents = outstanding_cents + change,
    entry_count = entry_count + 1,
    last_reversed_at = CASE WHEN NEW.kind = 'reversal' THEN greatest(last_reversed_at, NEW.at)
      ELSE last_reversed_at END,
    updated_at = NEW.recorded_at
  WHERE tenant_id = NEW.tenant_id AND party_id = NEW.party_id AND currency = NEW.currency
    AND provider_mode = NEW.provider_mode
  RETURNING outstanding_cents, entry_count INTO NEW.outstanding_after_cents, NEW.seq;
IF NOT FOUND THEN
  RAISE EXCEPTION 'the party has no balance row to post to'
    USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'entry_has_balance';
END IF;

IF NEW.kind = 'reversal' THEN
  PERFORM 1 FROM money_rail_operation
    WHERE id = NEW.operation_id AND tenant_id = NEW.tenant_id AND party_id = NEW.party_id
      AND currency = NEW.currency AND provider_mode = NEW.provider_mode
      AND amount_cents = NEW.amount_cents AND state = 'reversed';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'a reversal owes the whole amount of a reversed operation of its party'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_reversal_is_whole';
  END IF;
  RETURN NEW;
END IF;

SELECT amount_cents INTO whole FROM chargeback_entry
  WHERE id = NEW.reversal_id AND kind = 'reversal' AND tenant_id = NEW.tenant_id
    AND party_id = NEW.party_id AND currency = NEW.currency AND provider_mode = NEW.provider_mode;
IF NOT FOUND THEN
  RAISE EXCEPTION 'an entry repays a reversal of its own account'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_repays_own_reversal';
END IF;
IF NEW.kind = 'release' THEN
  PERFORM 1 FROM chargeback_entry
    WHERE tenant_id = NEW.tenant_id AND payout_key = NEW.payout_key AND reversal_id = NEW.reversal_id
      AND kind = 'recovery' AND amount_cents = NEW.amount_cents;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'a release undoes a whole recovery'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_release_is_whole';
  END IF;
  RETURN NEW;
END IF;
SELECT coalesce(sum(CASE kind WHEN 'release' THEN -amount_cents ELSE amount_cents END), 0)
  INTO repaid FROM chargeback_entry WHERE reversal_id = NEW.reversal_id;
IF repaid + NEW.amount_cents > whole THEN
  RAISE EXCEPTION 'a reversal is repaid at most once'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_repays_at_most_its_reversal';
END IF;
RETURN NEW;
"""
