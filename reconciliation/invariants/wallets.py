"""What must hold of wallets, settlements and their receipts."""

from typing import Final

from reconciliation.invariants.kinds import Invariant, Sweep
from reconciliation.states import Severity

WALLETS: Final = Sweep(keys="SELECT wallet_id AS key FROM wallet WHERE tenant_id = %(tenant_id)s")
SETTLEMENTS: Final = Sweep(
    keys="SELECT settlement_id AS key FROM agent_run_settlement WHERE tenant_id = %(tenant_id)s",
    newest="""SELECT settlement_id AS key FROM agent_run_settlement WHERE tenant_id = %(tenant_id)s
    AND status IN ('released', 'refunded') AND resolved_at >= %(since)s ORDER BY resolved_at DESC""",
)
_BOOKED: Final = """LEFT JOIN LATERAL (
  SELECT sum(amount_cents) AS cents FROM ledger_balance
  WHERE tenant_id = own.tenant_id AND account_id = part.account_id AND currency = own.currency AND bucket = ''
) AS booked ON true"""
_ACCOUNTS: Final = """FROM subject JOIN wallet AS own
  ON own.tenant_id = %(tenant_id)s AND own.wallet_id = subject.key
CROSS JOIN LATERAL (VALUES
  ('wallet:' || own.tenant_id || ':' || own.wallet_id || ':available', own.available_cents),
  ('wallet:' || own.tenant_id || ':' || own.wallet_id || ':escrow_locked', own.escrow_locked_cents)
) AS part (account_id, cents)"""

WALLET_LEDGER: Final = Invariant(
    name="wallet_equals_ledger",
    severity=Severity.CRITICAL,
    means="What a wallet says it has, available and locked, is what its two ledger accounts hold.",
    advice="The ledger is the truth. Find what changed the wallet past it before any more money leaves.",
    sweep=WALLETS,
    sql=f"""SELECT subject.key, part.account_id, own.currency,
  (part.cents - coalesce(booked.cents, 0))::bigint AS difference_cents
{_ACCOUNTS}
{_BOOKED}
WHERE part.cents <> coalesce(booked.cents, 0)
ORDER BY subject.key, part.account_id LIMIT %(limit)s""",
)
WALLET_NEGATIVE: Final = Invariant(
    name="wallet_is_not_negative",
    severity=Severity.CRITICAL,
    means="No wallet and no wallet's account is below zero.",
    advice="Somebody was paid with money that was not there: find the entry that took too much.",
    sweep=WALLETS,
    sql=f"""SELECT subject.key, part.account_id, own.currency,
  least(part.cents, coalesce(booked.cents, 0))::bigint AS lowest_cents
{_ACCOUNTS}
{_BOOKED}
WHERE least(part.cents, coalesce(booked.cents, 0)) < 0
ORDER BY subject.key, part.account_id LIMIT %(limit)s""",
)
# The money that stands locked is little beside all that ever was: both sums come from what is locked now.
ESCROW: Final = Invariant(
    name="escrow_equals_what_is_locked",
    severity=Severity.CRITICAL,
    means="A wallet's locked money is the sum of its locked settlements and its held holds.",
    advice="Compare the payer's settlements and holds with the entries of its escrow account; one of them"
    " moved without the other.",
    sweep=WALLETS,
    sql="""SELECT own.wallet_id AS key, own.currency,
  (own.escrow_locked_cents - coalesce(wanted.cents, 0))::bigint AS difference_cents
FROM subject JOIN wallet AS own ON own.tenant_id = %(tenant_id)s AND own.wallet_id = subject.key
LEFT JOIN (
  SELECT agent_id, currency, sum(cents) AS cents FROM (
    SELECT payer_agent_id AS agent_id, currency, amount_cents AS cents FROM agent_run_settlement
    WHERE tenant_id = %(tenant_id)s AND status = 'locked'
    UNION ALL
    SELECT payer_agent_id, currency, held_cents FROM funding_hold
    WHERE tenant_id = %(tenant_id)s AND status = 'held'
  ) AS locked GROUP BY agent_id, currency
) AS wanted ON wanted.agent_id = own.agent_id AND wanted.currency = own.currency
WHERE own.escrow_locked_cents <> coalesce(wanted.cents, 0)
ORDER BY own.wallet_id LIMIT %(limit)s""",
)
FINAL_RECEIPT: Final = Invariant(
    name="resolved_settlement_has_final_receipt",
    severity=Severity.HIGH,
    means="Every resolved settlement has one final receipt, and no locked one has any.",
    advice="The receipt is what a payout rests on: without it the payee cannot be paid. Find the decision"
    " that was written without its pair.",
    sweep=SETTLEMENTS,
    sql="""SELECT subject.key, own.status, receipts.number AS final_receipts
FROM subject JOIN agent_run_settlement AS own
  ON own.tenant_id = %(tenant_id)s AND own.settlement_id = subject.key
CROSS JOIN LATERAL (
  SELECT count(*) AS number FROM settlement_receipt AS receipt
  WHERE receipt.tenant_id = own.tenant_id AND receipt.settlement_id = own.settlement_id
    AND receipt.finality_state = 'final'
) AS receipts
WHERE receipts.number <> CASE own.status WHEN 'locked' THEN 0 ELSE 1 END
ORDER BY subject.key LIMIT %(limit)s""",
)
SETTLED_AMOUNTS: Final = Invariant(
    name="settlement_is_shared_out",
    severity=Severity.CRITICAL,
    means="What a resolved settlement released and refunded is its amount, and its final receipt says the"
    " same.",
    advice="Compare the settlement with its receipt and its journal entries; pay nothing that rests on it.",
    sweep=SETTLEMENTS,
    sql="""SELECT subject.key, own.currency,
  (own.released_cents + own.refunded_cents - own.amount_cents)::bigint AS difference_cents,
  (receipt.released_cents - own.released_cents)::bigint AS receipt_released_difference_cents,
  (receipt.refunded_cents - own.refunded_cents)::bigint AS receipt_refunded_difference_cents
FROM subject JOIN agent_run_settlement AS own
  ON own.tenant_id = %(tenant_id)s AND own.settlement_id = subject.key AND own.status <> 'locked'
LEFT JOIN settlement_receipt AS receipt ON receipt.tenant_id = own.tenant_id
  AND receipt.settlement_id = own.settlement_id AND receipt.finality_state = 'final'
WHERE own.released_cents + own.refunded_cents <> own.amount_cents
  OR receipt.released_cents <> own.released_cents OR receipt.refunded_cents <> own.refunded_cents
ORDER BY subject.key LIMIT %(limit)s""",
)
ALL: Final = (WALLET_LEDGER, WALLET_NEGATIVE, ESCROW, FINAL_RECEIPT, SETTLED_AMOUNTS)
