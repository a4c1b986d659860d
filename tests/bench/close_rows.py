"""A month of general entries for the close bench: as the journal leaves them, made by SQL."""

import psycopg

MONTH = "2026-01"
CUSTOMERS, OPERATORS = 500, 2000
FUND_EVERY = 10  # one entry in so many puts money in, the others settle

_SEED = f"""
SET session_replication_role = replica;
INSERT INTO tenant (tenant_id, name, status, source, contact_email, billing_email, requires_second_factor,
  retention, quotas, created_at, updated_at)
VALUES (%(tenant)s::text, '', 'active', 'bench', '', '', false, '{{}}', '{{}}', now(), now());
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT i, i %% {FUND_EVERY} = 0 AS funds,
  'jnl_escrow_release_run_' || md5(i::text) || '_evt_' || i AS entry_id,
  timestamptz '2026-01-01 00:00:00+00' + (i %% 2500000) * interval '1 second' AS at,
  'pty_customer:agt_c' || (i * 7919) %% {CUSTOMERS} AS customer,
  'pty_operator:agt_o' || (i * 104729) %% {OPERATORS} AS operator, 100 + i %% 900 AS cents
FROM generate_series(1::bigint, %(size)s) i;
INSERT INTO ledger_entry (tenant_id, entry_id, book, period, at, memo, source_type, source_id, reason,
  posting_count, content_hash, recorded_at)
SELECT %(tenant)s::text, entry_id, 'general', '{MONTH}', at,
  CASE WHEN funds THEN 'job:- FUNDED' ELSE 'job:run_' || i || ' SETTLED' END, 'bench', entry_id, '', 2,
  repeat('0', 64), at FROM made;
INSERT INTO ledger_posting (tenant_id, entry_id, posting_no, account_id, book, currency, amount_cents,
  period, at)
SELECT %(tenant)s::text, entry_id, no, CASE WHEN funds = (no = 1) THEN 'acct_customer_escrow'
    WHEN funds THEN 'acct_cash' ELSE 'acct_operator_payable' END,
  'general', 'USD', CASE no WHEN 0 THEN cents ELSE -cents END, '{MONTH}', at
FROM made, generate_series(0, 1) no;
INSERT INTO ledger_allocation (tenant_id, entry_id, posting_no, account_id, party_id, party_role, currency,
  amount_cents, period)
SELECT %(tenant)s::text, entry_id, no, CASE WHEN funds = (no = 1) THEN 'acct_customer_escrow'
    WHEN funds THEN 'acct_cash' ELSE 'acct_operator_payable' END,
  CASE WHEN funds = (no = 1) THEN customer WHEN funds THEN 'pty_platform' ELSE operator END,
  CASE WHEN funds = (no = 1) THEN 'customer' WHEN funds THEN 'platform' ELSE 'operator' END,
  'USD', CASE no WHEN 0 THEN cents ELSE -cents END, '{MONTH}'
FROM made, generate_series(0, 1) no;
"""


def seed(connection: psycopg.Connection, *, tenant_id: str, size: int) -> None:
    """Fill one tenant's month with so many entries of two postings, each with one share."""
    statements = [part for part in _SEED.split(";\n") if part.strip()]
    for statement in statements:
        parameters = {"tenant": tenant_id, "size": size} if "%(" in statement else None
        text = statement if parameters else statement.replace("%%", "%")
        connection.execute(text, parameters)  # type: ignore[arg-type]
    connection.commit()
