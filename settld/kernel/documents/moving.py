"""Money that came in, was set aside or was corrected (kernel spec 4, 7, 9.3, 13)."""

from collections.abc import Mapping
from typing import Any, Final

from settld.core.hashing import canonical_hash

FUNDING_RECEIPT_SCHEMA: Final = "WalletFundingReceipt.v1"
HOLD_SCHEMA: Final = "FundingHold.v1"
SETTLEMENT_ADJUSTMENT_SCHEMA: Final = "SettlementAdjustment.v1"
KERNEL_ADJUSTMENT_SCHEMA: Final = "KernelAdjustment.v1"


def funding_receipt(
    *,
    receipt_id: str,
    tenant_id: str,
    wallet_id: str,
    agent_id: str,
    amount_cents: int,
    currency: str,
    source_type: str,
    external_ref: str | None,
    journal_entry_id: str,
    created_at: str,
) -> dict[str, Any]:
    """Make a WalletFundingReceipt.v1 (`rcpt_fund_<uuid>`), hashed as `receiptHash`."""
    receipt = {
        "schemaVersion": FUNDING_RECEIPT_SCHEMA,
        "receiptId": receipt_id,
        "tenantId": tenant_id,
        "walletId": wallet_id,
        "agentId": agent_id,
        "amountCents": amount_cents,
        "currency": currency,
        "sourceType": source_type,
        "externalRef": external_ref,
        "journalEntryId": journal_entry_id,
        "createdAt": created_at,
    }
    return {**receipt, "receiptHash": canonical_hash(receipt)}


def held_amount_cents(*, amount_cents: int, holdback_bps: int) -> int:
    """Take the share that a hold sets aside: whole cents, rounded down."""
    return amount_cents * holdback_bps // 10_000


def funding_hold(
    *,
    tenant_id: str,
    agreement_hash: str,
    receipt_hash: str,
    payer_agent_id: str,
    payee_agent_id: str,
    amount_cents: int,
    currency: str,
    holdback_bps: int,
    challenge_window_ms: int,
    created_at: str,
) -> dict[str, Any]:
    """Make the hashed part of a FundingHold.v1, with `holdHash`; status and revision come beside it."""
    hold = {
        "schemaVersion": HOLD_SCHEMA,
        "tenantId": tenant_id,
        "agreementHash": agreement_hash,
        "receiptHash": receipt_hash,
        "payerAgentId": payer_agent_id,
        "payeeAgentId": payee_agent_id,
        "amountCents": amount_cents,
        "heldAmountCents": held_amount_cents(amount_cents=amount_cents, holdback_bps=holdback_bps),
        "currency": currency,
        "holdbackBps": holdback_bps,
        "challengeWindowMs": challenge_window_ms,
        "createdAt": created_at,
    }
    return {**hold, "holdHash": canonical_hash(hold)}


def settlement_adjustment(
    *,
    adjustment_id: str,
    tenant_id: str,
    agreement_hash: str,
    receipt_hash: str,
    hold_hash: str,
    kind: str,
    amount_cents: int,
    currency: str,
    created_at: str,
    verdict_ref: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a SettlementAdjustment.v1, the one effect of a hold, hashed as `adjustmentHash`.

    `verdict_ref` is {caseId, verdictHash}; it and metadata are left out where there is none, and metadata
    is not hashed.
    """
    adjustment: dict[str, Any] = {
        "schemaVersion": SETTLEMENT_ADJUSTMENT_SCHEMA,
        "adjustmentId": adjustment_id,
        "tenantId": tenant_id,
        "agreementHash": agreement_hash,
        "receiptHash": receipt_hash,
        "holdHash": hold_hash,
        "kind": kind,
        "amountCents": amount_cents,
        "currency": currency,
        "createdAt": created_at,
    }
    if verdict_ref is not None:
        adjustment["verdictRef"] = dict(verdict_ref)
    adjustment["adjustmentHash"] = canonical_hash(adjustment)
    return adjustment if metadata is None else {**adjustment, "metadata": dict(metadata)}


def kernel_adjustment(
    *,
    adjustment_id: str,
    tenant_id: str,
    kind: str,
    amount_cents: int,
    shortfall_cents: int,
    currency: str,
    source_ref: Mapping[str, str | None],
    verdict_ref: Mapping[str, str] | None,
    created_at: str,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a KernelAdjustment.v1, hashed as `adjustmentHash` (9.3, 13).

    `amount_cents` is what moved, `shortfall_cents` what could not. `source_ref` is {kind, id, hash} of what
    is corrected; `verdict_ref` is null for all but verdicts. metadata is left out where there is none, and
    is not hashed.
    """
    adjustment: dict[str, Any] = {
        "schemaVersion": KERNEL_ADJUSTMENT_SCHEMA,
        "adjustmentId": adjustment_id,
        "tenantId": tenant_id,
        "kind": kind,
        "amountCents": amount_cents,
        "shortfallCents": shortfall_cents,
        "currency": currency,
        "sourceRef": {key: source_ref.get(key) for key in ("kind", "id", "hash")},
        "verdictRef": None if verdict_ref is None else dict(verdict_ref),
        "createdAt": created_at,
    }
    adjustment["adjustmentHash"] = canonical_hash(adjustment)
    return adjustment if metadata is None else {**adjustment, "metadata": dict(metadata)}
