"""What must be true of the books at any moment, as SQL that gives the rows for which it is not.

Each query takes the tenant as its only parameter (`tenant_id`), or, in the form for all tenants, none; it is
for a
transaction that reads as of one moment (`transactions.snapshot`). An empty answer is a pass.
"""

from typing import Final

_BALANCES: Final = """
SELECT tenant_id, account_id, currency, bucket, sum(stored) AS stored_cents,
  sum(posted) AS posted_cents
FROM (
  SELECT tenant_id, account_id, currency, bucket, amount_cents AS stored, 0 AS posted
  FROM ledger_balance {where}
  UNION ALL
  SELECT tenant_id, account_id, currency, '', 0, sum(amount_cents)
  FROM ledger_posting {where} GROUP BY tenant_id, account_id, currency
  UNION ALL
  SELECT tenant_id, account_id, currency, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 0, sum(amount_cents)
  FROM ledger_posting {where} GROUP BY 1, 2, 3, 4) AS side
GROUP BY tenant_id, account_id, currency, bucket
HAVING sum(stored) <> sum(posted)
ORDER BY tenant_id, account_id, currency, bucket
"""
_UNBALANCED: Final = """
SELECT tenant_id, entry_id, currency, sum(amount_cents) AS sum_cents
FROM ledger_posting {where}
GROUP BY tenant_id, entry_id, currency HAVING sum(amount_cents) <> 0
ORDER BY tenant_id, entry_id, currency
"""
_SHARES: Final = """
SELECT posting.tenant_id, posting.entry_id, posting.posting_no, posting.amount_cents,
  coalesce(sum(share.amount_cents), 0) AS shared_cents
FROM (SELECT * FROM ledger_posting {where}) AS posting
LEFT JOIN ledger_allocation AS share USING (tenant_id, entry_id, posting_no)
WHERE posting.book = 'general'
GROUP BY posting.tenant_id, posting.entry_id, posting.posting_no, posting.amount_cents
HAVING coalesce(sum(share.amount_cents), 0) <> posting.amount_cents
ORDER BY posting.tenant_id, posting.entry_id, posting.posting_no
"""
_OF_TENANT: Final = "WHERE tenant_id = %(tenant_id)s"

# Rows: tenant_id, account_id, currency, bucket ('' is the total), stored_cents, posted_cents.
BALANCES_DIFFER: Final = _BALANCES.format(where=_OF_TENANT)
BALANCES_DIFFER_ANYWHERE: Final = _BALANCES.format(where="")
# Rows: tenant_id, entry_id, currency, sum_cents.
ENTRIES_UNBALANCED: Final = _UNBALANCED.format(where=_OF_TENANT)
ENTRIES_UNBALANCED_ANYWHERE: Final = _UNBALANCED.format(where="")
# Rows: tenant_id, entry_id, posting_no, amount_cents, shared_cents.
SHARES_DIFFER: Final = _SHARES.format(where=_OF_TENANT)
SHARES_DIFFER_ANYWHERE: Final = _SHARES.format(where="")
