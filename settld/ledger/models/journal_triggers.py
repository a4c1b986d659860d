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

# The sums are made by functions with the rights of the tables' owner: when a transaction ends, the tenant's
# scope may have been left already, and a check that sees no rows would judge nothing.
ENTRY_BALANCED: Final = pgtrigger.Trigger(
    name="entry_balanced",
    when=pgtrigger.After,
    operation=pgtrigger.Insert,
    timing=pgtrigger.Deferred,
    func="""
PERFORM ledger_require_balanced(NEW.tenant_id, NEW.entry_id);
RETURN NULL;
""",
)

POSTING_BALANCED: Final = pgtrigger.Trigger(
    name="posting_balanced",
    when=pgtrigger.After,
    operation=pgtrigger.Insert,
    timing=pgtrigger.Deferred,
    func="""
PERFORM ledger_require_balanced(NEW.tenant_id, NEW.entry_id);
PERFORM ledger_require_allocated(NEW.tenant_id, NEW.entry_id, NEW.posting_no);
RETURN NULL;
""",
)

ALLOCATION_COMPLETE: Final = pgtrigger.Trigger(
    name="allocation_complete",
    when=pgtrigger.After,
    operation=pgtrigger.Insert,
    timing=pgtrigger.Deferred,
    func="""
PERFORM ledger_require_allocated(NEW.tenant_id, NEW.entry_id, NEW.posting_no);
RETURN NULL;
""",
)

FUNCTIONS: Final = """
CREATE FUNCTION ledger_require_balanced(of_tenant text, of_entry text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  wanted ledger_entry; lines bigint; odd_lines bigint; odd text;
BEGIN
  SELECT * INTO wanted FROM ledger_entry WHERE tenant_id = of_tenant AND entry_id = of_entry;
  SELECT count(*), count(*) FILTER (WHERE book <> wanted.book OR at <> wanted.at OR period <> wanted.period)
    INTO lines, odd_lines FROM ledger_posting WHERE tenant_id = of_tenant AND entry_id = of_entry;
  IF lines IS DISTINCT FROM wanted.posting_count::bigint THEN
    RAISE EXCEPTION 'entry % has % postings instead of %', of_entry, lines, wanted.posting_count
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entry_complete';
  END IF;
  IF odd_lines > 0 THEN
    RAISE EXCEPTION 'a posting has the book and the time of its entry'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_posting_like_its_entry';
  END IF;
  SELECT currency INTO odd FROM ledger_posting WHERE tenant_id = of_tenant AND entry_id = of_entry
    GROUP BY currency HAVING sum(amount_cents) <> 0 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'entry % does not balance in %', of_entry, odd
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entry_balanced';
  END IF;
END $$;
CREATE FUNCTION ledger_require_allocated(of_tenant text, of_entry text, of_posting smallint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  line ledger_posting; shares bigint; shared numeric; odd bigint;
BEGIN
  SELECT * INTO line FROM ledger_posting
    WHERE tenant_id = of_tenant AND entry_id = of_entry AND posting_no = of_posting;
  SELECT count(*), coalesce(sum(amount_cents), 0), count(*) FILTER (WHERE currency <> line.currency
      OR account_id <> line.account_id OR period <> line.period)
    INTO shares, shared, odd FROM ledger_allocation
    WHERE tenant_id = of_tenant AND entry_id = of_entry AND posting_no = of_posting;
  IF line.book <> 'general' AND shares = 0 THEN
    RETURN;
  END IF;
  IF odd > 0 OR shared IS DISTINCT FROM line.amount_cents::numeric THEN
    RAISE EXCEPTION 'the shares of % p% do not add up to it', of_entry, of_posting
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_posting_allocated';
  END IF;
END $$;
"""
# Shares that add up to nothing would leave every sum as it was, so their number is looked at, too.
ALLOCATED_WHOLLY: Final = """
CREATE OR REPLACE FUNCTION ledger_require_allocated(of_tenant text, of_entry text, of_posting smallint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  line ledger_posting; wanted smallint; of_whole bigint; shares bigint; shared numeric; odd bigint;
BEGIN
  SELECT * INTO line FROM ledger_posting
    WHERE tenant_id = of_tenant AND entry_id = of_entry AND posting_no = of_posting;
  SELECT share_count INTO wanted FROM ledger_entry WHERE tenant_id = of_tenant AND entry_id = of_entry;
  SELECT count(*), count(*) FILTER (WHERE own), coalesce(sum(amount_cents) FILTER (WHERE own), 0),
      count(*) FILTER (WHERE own AND (currency <> line.currency OR account_id <> line.account_id
        OR period <> line.period))
    INTO of_whole, shares, shared, odd
    FROM (SELECT *, posting_no = of_posting AS own FROM ledger_allocation
      WHERE tenant_id = of_tenant AND entry_id = of_entry) AS share;
  IF of_whole IS DISTINCT FROM wanted::bigint THEN
    RAISE EXCEPTION 'entry % has % shares instead of %', of_entry, of_whole, wanted
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_shares_complete';
  END IF;
  IF line.book <> 'general' AND shares = 0 THEN
    RETURN;
  END IF;
  IF odd > 0 OR shared IS DISTINCT FROM line.amount_cents::numeric THEN
    RAISE EXCEPTION 'the shares of % p% do not add up to it', of_entry, of_posting
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_posting_allocated';
  END IF;
END $$;
"""
NO_FUNCTIONS: Final = """
DROP FUNCTION ledger_require_balanced(text, text);
DROP FUNCTION ledger_require_allocated(text, text, smallint);
"""
