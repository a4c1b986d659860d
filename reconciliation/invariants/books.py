"""What must hold of the journal, its balances and the closed months."""

from typing import Final

from reconciliation.invariants.kinds import Invariant, Sweep
from reconciliation.states import Severity

_BOOKS: Final = "('escrow', 'general', 'prepaid')"
ENTRIES: Final = Sweep(
    keys="SELECT entry_id AS key FROM ledger_entry WHERE tenant_id = %(tenant_id)s",
    newest=f"""SELECT entry_id AS key FROM ledger_entry WHERE tenant_id = %(tenant_id)s
    AND book IN {_BOOKS} AND period = ANY(%(periods)s) AND at >= %(since)s ORDER BY at DESC""",  # noqa: S608
)
# A day is looked at through its entries, whose index leads by book, month and time.
DAYS: Final = Sweep(
    keys=f"""SELECT to_char(day, 'YYYY-MM-DD') COLLATE "C" AS key FROM generate_series(
      (SELECT min(period) || '-01' FROM ledger_entry
        WHERE tenant_id = %(tenant_id)s AND book IN {_BOOKS})::date,
      %(today)s::date, interval '1 day') AS day""",  # noqa: S608
    newest="SELECT %(today)s::text AS key UNION SELECT %(yesterday)s::text",
    batch=3,
)
ACCOUNTS: Final = Sweep(
    keys="SELECT account_id AS key FROM ledger_account WHERE tenant_id = %(tenant_id)s", batch=1000
)
MONTHS: Final = Sweep(
    keys="""SELECT month AS key FROM month_document
      WHERE tenant_id = %(tenant_id)s AND kind = 'gl_batch' AND superseded_at IS NULL""",
    batch=1,
)

ENTRY_BALANCES: Final = Invariant(
    name="ledger_entry_balances",
    severity=Severity.CRITICAL,
    means="Every journal entry has all its postings, and they add up to zero in each currency.",
    advice="Find in the audit trail what wrote the entry. Correct it with a reversing entry once the cause is"
    " known, and only then let payouts go again.",
    sweep=ENTRIES,
    sql="""SELECT key, currency, difference_cents, problem FROM (
  SELECT subject.key, posting.currency, sum(posting.amount_cents)::bigint AS difference_cents,
    'does not add up to zero' AS problem
  FROM subject JOIN ledger_posting AS posting
    ON posting.tenant_id = %(tenant_id)s AND posting.entry_id = subject.key
  GROUP BY subject.key, posting.currency HAVING sum(posting.amount_cents) <> 0
  UNION ALL
  SELECT subject.key, '', (count(posting.id) - entry.posting_count)::bigint, 'number of postings'
  FROM subject JOIN ledger_entry AS entry
    ON entry.tenant_id = %(tenant_id)s AND entry.entry_id = subject.key
  LEFT JOIN ledger_posting AS posting
    ON posting.tenant_id = entry.tenant_id AND posting.entry_id = entry.entry_id
  GROUP BY subject.key, entry.posting_count HAVING count(posting.id) <> entry.posting_count
) AS found ORDER BY key, currency, problem LIMIT %(limit)s""",
)
SHARES: Final = Invariant(
    name="ledger_posting_is_allocated",
    severity=Severity.CRITICAL,
    means="Every posting of the general book is shared out to parties, and the shares add up to it.",
    advice="Statements and the GL batch are made of the shares: export nothing before the posting's parties"
    " are known again.",
    sweep=ENTRIES,
    sql="""SELECT subject.key, posting.posting_no, posting.currency,
  (coalesce(sum(share.amount_cents), 0) - posting.amount_cents)::bigint AS difference_cents
FROM subject JOIN ledger_posting AS posting
  ON posting.tenant_id = %(tenant_id)s AND posting.entry_id = subject.key AND posting.book = 'general'
LEFT JOIN ledger_allocation AS share ON share.tenant_id = posting.tenant_id
  AND share.entry_id = posting.entry_id AND share.posting_no = posting.posting_no
GROUP BY subject.key, posting.posting_no, posting.currency, posting.amount_cents
HAVING coalesce(sum(share.amount_cents), 0) <> posting.amount_cents
ORDER BY subject.key, posting.posting_no LIMIT %(limit)s""",
)
DAY_BALANCES: Final = Invariant(
    name="ledger_balance_equals_postings",
    severity=Severity.CRITICAL,
    means="What is kept as an account's change of a day is the sum of that day's postings.",
    advice="The postings are the truth. Make the kept balance anew from them, and find out what wrote"
    " past the journal.",
    sweep=DAYS,
    sql="""SELECT posted.key, posted.account_id, posted.currency,
  (coalesce(kept.cents, 0) - posted.cents)::bigint AS difference_cents
FROM (
  SELECT subject.key, posting.account_id, posting.currency, sum(posting.amount_cents) AS cents
  FROM subject JOIN ledger_entry AS entry ON entry.tenant_id = %(tenant_id)s
    AND entry.book IN ('escrow', 'general', 'prepaid') AND entry.period = left(subject.key, 7)
    AND entry.at >= (subject.key || 'T00:00:00Z')::timestamptz
    AND entry.at < (subject.key || 'T00:00:00Z')::timestamptz + interval '1 day'
  JOIN ledger_posting AS posting
    ON posting.tenant_id = entry.tenant_id AND posting.entry_id = entry.entry_id
  GROUP BY subject.key, posting.account_id, posting.currency
) AS posted
LEFT JOIN LATERAL (
  SELECT sum(part.amount_cents) AS cents FROM ledger_balance AS part
  WHERE part.tenant_id = %(tenant_id)s AND part.account_id = posted.account_id
    AND part.currency = posted.currency AND part.bucket = posted.key
) AS kept ON true
WHERE coalesce(kept.cents, 0) <> posted.cents
ORDER BY posted.key, posted.account_id, posted.currency LIMIT %(limit)s""",
)
TOTAL_BALANCES: Final = Invariant(
    name="ledger_total_equals_days",
    severity=Severity.CRITICAL,
    means="An account's kept total is the sum of its kept days.",
    advice="The postings are the truth. Make the kept balance anew from them, and find out what wrote"
    " past the journal.",
    sweep=ACCOUNTS,
    sql="""SELECT subject.key, kept.currency,
  (coalesce(sum(kept.amount_cents) FILTER (WHERE kept.bucket = ''), 0)
    - coalesce(sum(kept.amount_cents) FILTER (WHERE kept.bucket <> ''), 0))::bigint AS difference_cents
FROM subject JOIN ledger_balance AS kept
  ON kept.tenant_id = %(tenant_id)s AND kept.account_id = subject.key
GROUP BY subject.key, kept.currency
HAVING coalesce(sum(kept.amount_cents) FILTER (WHERE kept.bucket = ''), 0)
  <> coalesce(sum(kept.amount_cents) FILTER (WHERE kept.bucket <> ''), 0)
ORDER BY subject.key, kept.currency LIMIT %(limit)s""",
)
CLOSED_MONTH: Final = Invariant(
    name="closed_month_equals_ledger",
    severity=Severity.CRITICAL,
    means="The GL batch of a closed month adds up, account by account, to what the journal holds.",
    advice="Export nothing. Reconcile the month to see each entry, and close it again once the cause is"
    " known.",
    sweep=MONTHS,
    sql="""SELECT key, account_id, currency, difference_cents FROM (
  SELECT coalesce(batched.key, held.key) AS key, coalesce(batched.account_id, held.account_id) AS account_id,
    coalesce(batched.currency, held.currency) AS currency,
    (coalesce(batched.cents, 0) - coalesce(held.cents, 0))::bigint AS difference_cents
  FROM (
    SELECT stored.key, total.key COLLATE "C" AS account_id, part.currency, total.value::numeric AS cents
    FROM (
      SELECT subject.key, artifact.body::jsonb -> 'batch' -> 'totals' AS totals
      FROM subject JOIN month_document AS kept ON kept.tenant_id = %(tenant_id)s
        AND kept.month = subject.key AND kept.kind = 'gl_batch' AND kept.superseded_at IS NULL
      JOIN artifact ON artifact.tenant_id = kept.tenant_id AND artifact.artifact_id = kept.artifact_id
    ) AS stored
    CROSS JOIN LATERAL (
      SELECT 'USD' COLLATE "C" AS currency, stored.totals -> 'totalsByAccountId' AS totals
      UNION ALL SELECT other.key, other.value -> 'totalsByAccountId'
      FROM jsonb_each(coalesce(stored.totals -> 'byCurrency', '{}')) AS other
    ) AS part
    CROSS JOIN LATERAL jsonb_each_text(coalesce(part.totals, '{}')) AS total
  ) AS batched
  FULL JOIN (
    SELECT subject.key, posting.account_id, posting.currency, sum(posting.amount_cents) AS cents
    FROM subject JOIN ledger_entry AS entry
      ON entry.tenant_id = %(tenant_id)s AND entry.book = 'general' AND entry.period = subject.key
    JOIN ledger_posting AS posting
      ON posting.tenant_id = entry.tenant_id AND posting.entry_id = entry.entry_id
    GROUP BY subject.key, posting.account_id, posting.currency
  ) AS held
  ON held.key = batched.key AND held.account_id = batched.account_id AND held.currency = batched.currency
) AS compared WHERE difference_cents <> 0 ORDER BY key, account_id, currency LIMIT %(limit)s""",
)
MONTH_HEAD: Final = Invariant(
    name="month_names_its_last_event",
    severity=Severity.HIGH,
    means="A month's row names the last event of the month's chain.",
    advice="Verify the month's chain; what closed or reopened the month past it has to be found.",
    sql="""SELECT month.month AS key, month.last_event_id FROM month_close AS month
WHERE month.tenant_id = %(tenant_id)s AND month.last_event_id IS NOT NULL AND NOT EXISTS (
  SELECT FROM month_event AS event WHERE event.tenant_id = month.tenant_id
    AND event.event_id = month.last_event_id AND event.chain_hash = month.last_chain_hash)
ORDER BY month.month LIMIT %(limit)s""",
)
ALL: Final = (ENTRY_BALANCES, SHARES, DAY_BALANCES, TOTAL_BALANCES, CLOSED_MONTH, MONTH_HEAD)
