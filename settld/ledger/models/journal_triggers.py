"""What the database itself demands of a journal entry, whoever writes it.

The sums are looked at when the transaction ends, so an entry and its lines may come in any order. Each
refusal names its rule as the constraint.
"""

from typing import Final

import pgtrigger

# The shared lock stays until the transaction ends: a close waits for us, or we find it done.
PERIOD_OPEN: Final = pgtrigger.Trigger(
    name="period_open",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert,
    declare=[("month_status", "text")],
    func="""
IF NEW.period <> to_char(NEW.at AT TIME ZONE 'UTC', 'YYYY-MM') THEN
  RAISE EXCEPTION 'an entry belongs to the month of its time'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entry_in_its_period';
END IF;
SELECT status INTO month_status FROM month_close
  WHERE tenant_id = NEW.tenant_id AND month = NEW.period AND basis = 'settledAt' FOR SHARE;
IF NOT FOUND THEN
  RAISE EXCEPTION 'the month has no row to lock'
    USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_period_known';
END IF;
IF month_status = 'CLOSED' THEN
  RAISE EXCEPTION 'the month is closed'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_period_open';
END IF;
RETURN NEW;
""",
)

_BALANCED: Final = """
SELECT count(*), count(DISTINCT book) INTO lines, books FROM ledger_posting
  WHERE tenant_id = NEW.tenant_id AND entry_id = NEW.entry_id;
SELECT posting_count, book, at INTO wanted, own_book, own_at FROM ledger_entry
  WHERE tenant_id = NEW.tenant_id AND entry_id = NEW.entry_id;
IF lines <> wanted OR books <> 1 THEN
  RAISE EXCEPTION 'entry % has % postings of % books instead of %', NEW.entry_id, lines, books, wanted
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entry_complete';
END IF;
SELECT currency INTO odd FROM ledger_posting
  WHERE tenant_id = NEW.tenant_id AND entry_id = NEW.entry_id
  GROUP BY currency HAVING sum(amount_cents) <> 0 LIMIT 1;
IF FOUND THEN
  RAISE EXCEPTION 'entry % does not balance in %', NEW.entry_id, odd
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entry_balanced';
END IF;
"""
_NAMES: Final = [
    ("lines", "bigint"),
    ("books", "bigint"),
    ("wanted", "bigint"),
    ("own_book", "text"),
    ("own_at", "timestamptz"),
    ("odd", "text"),
]

ENTRY_BALANCED: Final = pgtrigger.Trigger(
    name="entry_balanced",
    when=pgtrigger.After,
    operation=pgtrigger.Insert,
    timing=pgtrigger.Deferred,
    declare=_NAMES,
    func=_BALANCED + "RETURN NULL;\n",
)

POSTING_BALANCED: Final = pgtrigger.Trigger(
    name="posting_balanced",
    when=pgtrigger.After,
    operation=pgtrigger.Insert,
    timing=pgtrigger.Deferred,
    declare=[*_NAMES, ("shared", "numeric")],
    func=_BALANCED  # noqa: S608  (no text of anybody else enters it)
    + """
IF own_book <> NEW.book OR own_at <> NEW.at
   OR NEW.period <> to_char(NEW.at AT TIME ZONE 'UTC', 'YYYY-MM') THEN
  RAISE EXCEPTION 'a posting has the book and the time of its entry'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_posting_like_its_entry';
END IF;
IF NEW.book = 'general' THEN
  SELECT coalesce(sum(amount_cents), 0) INTO shared FROM ledger_allocation
    WHERE tenant_id = NEW.tenant_id AND entry_id = NEW.entry_id AND posting_no = NEW.posting_no;
  IF shared <> NEW.amount_cents THEN
    RAISE EXCEPTION 'the shares of % p% do not add up to it', NEW.entry_id, NEW.posting_no
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_posting_allocated';
  END IF;
END IF;
RETURN NULL;
""",
)

ALLOCATION_COMPLETE: Final = pgtrigger.Trigger(
    name="allocation_complete",
    when=pgtrigger.After,
    operation=pgtrigger.Insert,
    timing=pgtrigger.Deferred,
    declare=[("shared", "numeric"), ("line", "ledger_posting")],
    func="""
SELECT * INTO line FROM ledger_posting
  WHERE tenant_id = NEW.tenant_id AND entry_id = NEW.entry_id AND posting_no = NEW.posting_no;
SELECT sum(amount_cents) INTO shared FROM ledger_allocation
  WHERE tenant_id = NEW.tenant_id AND entry_id = NEW.entry_id AND posting_no = NEW.posting_no;
IF line.amount_cents IS DISTINCT FROM shared OR line.currency IS DISTINCT FROM NEW.currency
   OR line.account_id IS DISTINCT FROM NEW.account_id OR line.period IS DISTINCT FROM NEW.period THEN
  RAISE EXCEPTION 'the shares of % p% do not add up to it', NEW.entry_id, NEW.posting_no
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_allocation_complete';
END IF;
RETURN NULL;
""",
)
