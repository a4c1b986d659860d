"""Money into wallets, each with its receipt; and taking it back when its coming in is reversed."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from django.db import connection

from settld.audit import services as audit
from settld.core import failpoints, ids, transactions
from settld.core.errors import Conflict
from settld.core.principals import Actor
from settld.kernel import documents, wire
from settld.kernel.models import Adjustment, FundingReceipt, Wallet
from settld.kernel.queries import agents
from settld.kernel.queries import funding as queries
from settld.kernel.services import adjustments, books, wallets
from settld.kernel.states import AdjustmentKind, FundingSource, RefKind

_INSERT: Final = """
INSERT INTO funding_receipt (id, tenant_id, receipt_id, wallet_id, agent_id, amount_cents, currency,
  source_type, external_ref, journal_entry_id, receipt_hash, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, source_type, external_ref) WHERE external_ref IS NOT NULL DO NOTHING
"""


class ExternalRefAlreadyCredited(Conflict):
    """What came in under this reference is in a wallet already."""

    code = "EXTERNAL_REF_ALREADY_CREDITED"
    message = "external reference is already credited"


class FundingReversalExceedsReceipt(Conflict):
    """More would be reversed than came in."""

    code = "FUNDING_REVERSAL_EXCEEDS_RECEIPT"
    message = "funding reversal exceeds its receipt"


class FundingReversalConflict(Conflict):
    """The provider's event was applied before, with another amount."""

    code = "FUNDING_REVERSAL_CONFLICT"
    message = "funding reversal exists with another amount"


@dataclass(frozen=True, slots=True)
class Credited:
    """The wallet afterwards, and the proof of what came in."""

    wallet: Wallet
    receipt: FundingReceipt


def credit(
    *,
    tenant_id: str,
    agent_id: str,
    amount_cents: int,
    currency: str,
    source_type: FundingSource,
    external_ref: str | None,
    actor: Actor,
    now: dt.datetime,
) -> Credited:
    """Add money that came in to an agent's wallet, which is made if there is none (kernel spec 4).

    Raises AgentNotFound, WalletCurrencyMismatch, ExternalRefAlreadyCredited, WalletTotalTooLarge and what
    the journal refuses.
    """
    with transactions.joined():
        agents.get(tenant_id=tenant_id, agent_id=agent_id)
        wallet = wallets.lock(tenant_id=tenant_id, agent_ids=[agent_id], currency=currency, now=now)[agent_id]
        receipt_id = f"rcpt_fund_{uuid.uuid4()}"
        entry_id = books.fund(wallet=wallet, amount_cents=amount_cents, receipt_id=receipt_id, now=now)
        receipt = FundingReceipt(
            tenant_id=tenant_id,
            receipt_id=receipt_id,
            wallet_id=wallet.wallet_id,
            agent_id=agent_id,
            amount_cents=amount_cents,
            currency=currency,
            source_type=source_type,
            external_ref=external_ref,
            journal_entry_id=entry_id,
            created_at=now,
        )
        receipt.receipt_hash = documents.document_hash(
            wire.funding_receipt_json(receipt), but=["receiptHash"]
        )
        _insert(receipt)
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="AGENT_WALLET_CREDIT",
            target_type="wallet",
            target_id=wallet.wallet_id,
            details={
                "receiptId": receipt_id,
                "amountCents": amount_cents,
                "currency": currency,
                "sourceType": str(source_type),
                "externalRef": external_ref,
            },
            at=now,
        )
        failpoints.hit("kernel.fund.before_commit")
    return Credited(wallet, receipt)


def _insert(receipt: FundingReceipt) -> None:
    """Add a receipt; a rival's uncommitted one with the same reference is waited for."""
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                ids.uuid7(), receipt.tenant_id, receipt.receipt_id, receipt.wallet_id, receipt.agent_id,
                receipt.amount_cents, receipt.currency, str(receipt.source_type), receipt.external_ref,
                receipt.journal_entry_id, receipt.receipt_hash, receipt.created_at,
            ],
        )  # fmt: skip
        if cursor.rowcount != 1:
            raise ExternalRefAlreadyCredited(
                details={"sourceType": str(receipt.source_type), "externalRef": receipt.external_ref}
            )


def reverse(
    *,
    tenant_id: str,
    receipt_id: str,
    provider_event_id: str,
    actor: Actor,
    now: dt.datetime,
    amount_cents: int | None = None,
) -> Adjustment:
    """Take back what a provider took back of money that had come in (kernel spec 13.5).

    Takes what is available, at most the amount (by default all of the receipt); the rest is the
    adjustment's shortfall, which the agent owes. The wallet never goes below zero. The same event again
    gives the stored adjustment, `sadj_fund_{receiptId}_{providerEventId}`. Raises FundingReceiptNotFound,
    FundingReversalExceedsReceipt, FundingReversalConflict.
    """
    with transactions.joined():
        receipt = queries.get(tenant_id=tenant_id, receipt_id=receipt_id)
        agent_id = receipt.agent_id
        wanted_cents = receipt.amount_cents if amount_cents is None else amount_cents
        wallet = wallets.lock(tenant_id=tenant_id, agent_ids=[agent_id], currency=receipt.currency, now=now)[
            agent_id
        ]
        adjustment_id = f"sadj_fund_{receipt_id}_{provider_event_id}"
        known = adjustments.find(tenant_id=tenant_id, adjustment_id=adjustment_id)
        if known is not None:
            if known.amount_cents + known.shortfall_cents != wanted_cents:
                raise FundingReversalConflict(details={"adjustmentId": adjustment_id})
            return known
        left_cents = receipt.amount_cents - queries.reversed_cents(receipt)
        if not 1 <= wanted_cents <= left_cents:
            raise FundingReversalExceedsReceipt(
                details={"receiptId": receipt_id, "leftCents": left_cents, "amountCents": wanted_cents}
            )
        adjustment = _take_back(receipt, wallet, wanted_cents, adjustment_id, now)
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="FUNDING_REVERSAL",
            target_type="settlement_adjustment",
            target_id=adjustment_id,
            details={
                "receiptId": receipt_id,
                "amountCents": adjustment.amount_cents,
                "shortfallCents": adjustment.shortfall_cents,
            },
            at=now,
        )
        failpoints.hit("kernel.reverse_funding.before_commit")
    return adjustment


def _take_back(
    receipt: FundingReceipt, wallet: Wallet, wanted_cents: int, adjustment_id: str, now: dt.datetime
) -> Adjustment:
    moved_cents = min(wallet.available_cents, wanted_cents)
    document = documents.kernel_adjustment(
        adjustment_id=adjustment_id,
        tenant_id=receipt.tenant_id,
        kind=AdjustmentKind.FUNDING_REVERSAL.value,
        amount_cents=moved_cents,
        shortfall_cents=wanted_cents - moved_cents,
        currency=receipt.currency,
        source_ref={
            "kind": RefKind.FUNDING_RECEIPT.value,
            "id": receipt.receipt_id,
            "hash": receipt.receipt_hash,
        },
        verdict_ref=None,
        created_at=wire.iso(now),
    )
    adjustment = adjustments.record(document=document, agent_id=receipt.agent_id)
    if moved_cents:
        books.reverse_funding(wallet=wallet, amount_cents=moved_cents, adjustment_id=adjustment_id, now=now)
    return adjustment
