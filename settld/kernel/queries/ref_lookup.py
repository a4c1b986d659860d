"""Looking up what references name, all of a payout's at once."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from settld.kernel import open_cases
from settld.kernel.queries import refs
from settld.kernel.queries.refs import Ref
from settld.kernel.states import RefKind

ALREADY_ALLOCATED: Final = "already_allocated"
ARBITRATION_OPEN: Final = "arbitration_open"
DISPUTE_OPEN: Final = "dispute_open"
CHALLENGE_WINDOW_OPEN: Final = "challenge_window_open"

# One statement for each kind, over all ids of it at once: joined to a list of thousands, the planner would
# take the lookups for few and read the tables once for each.
_RECEIPTS: Final = """
SELECT receipt.receipt_id, receipt.receipt_hash, receipt.released_cents, receipt.currency,
  %(prefix)s || receipt.agent_id, receipt.run_id, settlement.dispute_window_ends_at, settlement.dispute_status
FROM settlement_receipt receipt JOIN agent_run_settlement settlement
  ON settlement.tenant_id = receipt.tenant_id AND settlement.run_id = receipt.run_id
WHERE receipt.tenant_id = %(tenant_id)s AND receipt.receipt_id = ANY(%(ids)s)
  AND receipt.finality_state = 'final'
"""
_ADJUSTMENTS: Final = """
SELECT adjustment.adjustment_id, adjustment.adjustment_hash,
  CASE adjustment.kind WHEN 'verdict_refund' THEN -1 ELSE 1 END * adjustment.amount_cents,
  adjustment.currency,
  %(prefix)s || coalesce(hold.payee_agent_id, settlement.agent_id, adjustment.agent_id), adjustment.run_id,
  CASE WHEN adjustment.kind <> 'holdback_release' THEN settlement.dispute_window_ends_at END,
  CASE WHEN adjustment.kind <> 'holdback_release' THEN settlement.dispute_status END
FROM settlement_adjustment adjustment
LEFT JOIN funding_hold hold
  ON hold.tenant_id = adjustment.tenant_id AND hold.hold_hash = adjustment.hold_hash
LEFT JOIN agent_run_settlement settlement
  ON settlement.tenant_id = adjustment.tenant_id AND settlement.run_id = adjustment.run_id
WHERE adjustment.tenant_id = %(tenant_id)s AND adjustment.adjustment_id = ANY(%(ids)s)
  AND adjustment.kind IN ('holdback_release', 'verdict_release', 'verdict_refund')
"""
_ENTRIES: Final = """
SELECT entry.entry_id, entry.content_hash, (-sum(share.amount_cents))::bigint, share.currency,
  share.party_id, NULL, NULL, NULL
FROM ledger_entry entry JOIN ledger_allocation share
  ON share.tenant_id = entry.tenant_id AND share.entry_id = entry.entry_id
WHERE entry.tenant_id = %(tenant_id)s AND entry.entry_id = ANY(%(ids)s) AND entry.book = 'general'
  AND share.account_id = ANY(%(accounts)s) AND share.party_id = %(party_id)s
  AND share.party_role = 'operator' AND share.currency = %(currency)s
GROUP BY entry.entry_id, entry.content_hash, share.currency, share.party_id
"""
_CARRIED: Final = """
SELECT artifact_id, artifact_hash, (stated->>'payableCarryInCents')::bigint, stated->>'currency',
  stated->>'partyId', NULL, NULL, NULL
FROM (SELECT artifact_id, artifact_hash, body::jsonb->'statement' AS stated FROM artifact
  WHERE tenant_id = %(tenant_id)s AND artifact_id = ANY(%(ids)s) AND artifact_type = 'PartyStatement.v1'
  OFFSET 0) found
"""
_STATEMENTS: Final = {
    RefKind.SETTLEMENT_RECEIPT: _RECEIPTS,
    RefKind.SETTLEMENT_ADJUSTMENT: _ADJUSTMENTS,
    RefKind.LEDGER_ENTRY: _ENTRIES,
    RefKind.CARRY_IN: _CARRIED,
}
_HELD: Final = """
SELECT ref_kind, ref_id, operation_id FROM payout_allocation
WHERE tenant_id = %s AND ref_id = ANY(%s) AND released_at IS NULL
"""
# Twins of the kernel's own entries begin with jnl_, and nobody else may use such an id.
_MANUAL: Final = """
SELECT entry.entry_id, entry.content_hash, (-sum(share.amount_cents))::bigint
FROM ledger_allocation share JOIN ledger_entry entry
  ON entry.tenant_id = share.tenant_id AND entry.entry_id = share.entry_id
WHERE share.tenant_id = %s AND share.period = %s AND share.party_id = %s AND share.party_role = 'operator'
  AND share.currency = %s AND share.account_id = ANY(%s) AND NOT starts_with(entry.entry_id, 'jnl_')
GROUP BY entry.entry_id, entry.content_hash HAVING sum(share.amount_cents) <> 0
ORDER BY entry.entry_id
"""


def manual_entries(*, tenant_id: str, party_id: str, period: str, currency: str) -> list[Ref]:
    """Name what was entered by hand into a party's payables of a period, as references with their amounts."""
    with connection.cursor() as cursor:
        cursor.execute(_MANUAL, [tenant_id, period, party_id, currency, list(refs.PAYABLE_ACCOUNTS)])
        return [Ref(RefKind.LEDGER_ENTRY, *row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Found:
    """What stands behind one reference now; `hash` is None where nothing does.

    `operation_id` is the payout that the object is given to, released ones aside.
    """

    ref: Ref
    hash: str | None = None
    amount_cents: int | None = None
    currency: str | None = None
    party_id: str | None = None
    run_id: str | None = None
    window_ends_at: dt.datetime | None = None
    dispute_status: str | None = None
    operation_id: str | None = None


def look_up(*, tenant_id: str, party_id: str, currency: str, references: Sequence[Ref]) -> list[Found]:
    """Give what stands behind each reference, in their order."""
    by_kind: dict[RefKind, list[str]] = defaultdict(list)
    for ref in references:
        by_kind[ref.kind].append(ref.id)
    names: dict[str, Any] = {
        "tenant_id": tenant_id,
        "party_id": party_id,
        "currency": currency,
        "prefix": refs.PARTY_PREFIX,
        "accounts": list(refs.PAYABLE_ACCOUNTS),
    }
    known: dict[tuple[str, str], tuple[Any, ...]] = {}
    allocated = [refs.allocation_id(ref, party_id=party_id) for ref in references]
    with connection.cursor() as cursor:
        for kind, ids in by_kind.items():
            if kind in _STATEMENTS:
                cursor.execute(_STATEMENTS[kind], names | {"ids": ids})
                known |= {(kind, row[0]): row[1:] for row in cursor.fetchall()}
        cursor.execute(_HELD, [tenant_id, allocated])
        held = {(kind, name): operation_id for kind, name, operation_id in cursor.fetchall()}
    return [
        Found(ref, *(*known.get((ref.kind, ref.id), (None,) * 7), held.get((ref.kind, name))))
        for ref, name in zip(references, allocated, strict=True)
    ]


def blocked_reason(
    *,
    operation_id: str | None,
    has_open_case: bool,
    dispute_status: str | None,
    window_ends_at: dt.datetime | None,
    at: dt.datetime,
) -> str | None:
    """Say what keeps an object from being paid at an instant, the strongest reason first (13.2).

    The window is inclusive for disputes, so it is over only after its last instant.
    """
    if operation_id is not None:
        return ALREADY_ALLOCATED
    if has_open_case:
        return ARBITRATION_OPEN
    if dispute_status == "open":
        return DISPUTE_OPEN
    if window_ends_at is not None and at <= window_ends_at:
        return CHALLENGE_WINDOW_OPEN
    return None


def reasons(*, tenant_id: str, found: Sequence[Found], at: dt.datetime) -> list[str | None]:
    """Say for each what keeps it from being paid, None where nothing does.

    Disputes, cases and windows are those of the run that was settled; a released holdback is paid at once.
    """
    run_ids = {row.run_id for row in found if row.run_id and row.dispute_status is not None}
    cases = open_cases.of_runs(tenant_id=tenant_id, run_ids=run_ids) if run_ids else frozenset()
    return [
        blocked_reason(
            operation_id=row.operation_id,
            has_open_case=row.dispute_status is not None and row.run_id in cases,
            dispute_status=row.dispute_status,
            window_ends_at=row.window_ends_at,
            at=at,
        )
        for row in found
    ]
