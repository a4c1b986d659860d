"""Setting money aside for a tool call, and letting it go (kernel spec 7)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from settld.audit import services as audit
from settld.core import failpoints, transactions
from settld.core.errors import Conflict, Invalid
from settld.core.principals import Actor
from settld.kernel import documents, identifiers, wire
from settld.kernel.models import Adjustment, Agent, FundingHold
from settld.kernel.queries import agents
from settld.kernel.services import adjustments, books, row_writing, wallets
from settld.kernel.services.agents import require_active
from settld.kernel.states import AdjustmentKind, HoldStatus

CLOCK_TOLERANCE: Final = dt.timedelta(minutes=5)


class HoldAlreadyExists(Conflict):
    """The agreement has its hold; a second one would strand money."""

    code = "HOLD_ALREADY_EXISTS"
    message = "funding hold already exists"


class HoldNotActive(Conflict):
    """The hold was released or refunded before."""

    code = "HOLD_NOT_ACTIVE"
    message = "funding hold is not active"


class SelfPayment(Conflict):
    """Payer and payee are one agent."""

    code = "SETTLEMENT_SELF_PAYMENT"
    message = "payer and payee must differ"


class HoldRejected(Conflict):
    """The money could not be locked; the code is the wallet's reason, details.code repeats it."""

    code = "INSUFFICIENT_WALLET_BALANCE"
    message = "escrow hold rejected"


@dataclass(frozen=True, slots=True)
class HoldTerms:
    """What a hold is about; `created_at` is the caller's, None for now."""

    agreement_hash: str
    receipt_hash: str
    payer_agent_id: str
    payee_agent_id: str
    amount_cents: int
    currency: str
    holdback_bps: int
    challenge_window_ms: int
    created_at: dt.datetime | None = None


def lock(*, tenant_id: str, terms: HoldTerms, actor: Actor, now: dt.datetime) -> FundingHold:
    """Set aside the held share of an amount, and nothing else of it; one hold per agreement.

    Both agents get their wallets here, so that the release cannot fail for want of one or for its
    currency. Raises Invalid for a `created_at` more than five minutes from `now`, AgentNotFound,
    SelfPayment, AgentNotActive, HoldAlreadyExists, WalletCurrencyMismatch, HoldRejected.
    """
    created_at = terms.created_at or now
    if abs(created_at - now) > CLOCK_TOLERANCE:
        raise Invalid("createdAt must be within 5 minutes of now")
    with transactions.joined():
        payer = agents.get(tenant_id=tenant_id, agent_id=terms.payer_agent_id)
        agents.get(tenant_id=tenant_id, agent_id=terms.payee_agent_id)
        if terms.payer_agent_id == terms.payee_agent_id:
            raise SelfPayment(details={"agentId": terms.payer_agent_id})
        require_active(payer)
        hold = _hold(tenant_id=tenant_id, terms=terms, created_at=created_at, now=now)
        if not row_writing.insert_once(hold, target="tenant_id, agreement_hash"):
            raise HoldAlreadyExists(details={"agreementHash": terms.agreement_hash})
        _lock_money(hold, payer=payer, now=now)
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="TOOL_CALL_HOLD_LOCK",
            target_type="funding_hold",
            target_id=hold.hold_hash,
            details={
                "agreementHash": hold.agreement_hash,
                "receiptHash": hold.receipt_hash,
                "heldAmountCents": hold.held_cents,
                "currency": hold.currency,
            },
            at=now,
        )
        failpoints.hit("kernel.lock_hold.before_commit")
    return hold


def _hold(*, tenant_id: str, terms: HoldTerms, created_at: dt.datetime, now: dt.datetime) -> FundingHold:
    document = documents.funding_hold(
        tenant_id=tenant_id,
        agreement_hash=terms.agreement_hash,
        receipt_hash=terms.receipt_hash,
        payer_agent_id=terms.payer_agent_id,
        payee_agent_id=terms.payee_agent_id,
        amount_cents=terms.amount_cents,
        currency=terms.currency,
        holdback_bps=terms.holdback_bps,
        challenge_window_ms=terms.challenge_window_ms,
        created_at=wire.iso(created_at),
    )
    return FundingHold(
        tenant_id=tenant_id,
        hold_hash=document["holdHash"],
        agreement_hash=terms.agreement_hash,
        receipt_hash=terms.receipt_hash,
        payer_agent_id=terms.payer_agent_id,
        payee_agent_id=terms.payee_agent_id,
        amount_cents=terms.amount_cents,
        held_cents=document["heldAmountCents"],
        currency=terms.currency,
        holdback_bps=terms.holdback_bps,
        challenge_window_ms=terms.challenge_window_ms,
        window_ends_at=created_at + dt.timedelta(milliseconds=terms.challenge_window_ms),
        status=HoldStatus.HELD,
        created_at=created_at,
        updated_at=now,
    )


def _lock_money(hold: FundingHold, *, payer: Agent, now: dt.datetime) -> None:
    try:
        locked = wallets.lock(
            tenant_id=hold.tenant_id,
            agent_ids=[hold.payer_agent_id, hold.payee_agent_id],
            currency=hold.currency,
            now=now,
        )
        if hold.held_cents:
            books.lock_escrow(
                payer=locked[hold.payer_agent_id],
                policy=payer.wallet_policy,
                amount_cents=hold.held_cents,
                subject=f"tc_{hold.agreement_hash}",
                source_type="funding_hold",
                source_id=hold.hold_hash,
                now=now,
            )
    except (
        books.InsufficientWalletBalance,
        books.WalletPolicyBlocked,
        wallets.WalletCurrencyMismatch,
    ) as refusal:
        details = {"message": refusal.message, **refusal.details, "code": refusal.code}
        raise HoldRejected(code=refusal.code, details=details) from refusal


def settle(
    hold: FundingHold,
    *,
    kind: AdjustmentKind,
    now: dt.datetime,
    created_at: dt.datetime | None = None,
    verdict_ref: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Adjustment:
    """Move what a hold has set aside, all of it, once; the caller has locked the hold's row.

    `holdback_release` pays the payee, `holdback_refund` gives it back to the payer. The adjustment's id
    follows from the agreement, so a verdict and the automatic release can never both take effect.
    `metadata` goes to the hold, with the adjustment's id. Raises HoldNotActive, and what the books refuse.
    """
    if hold.status != HoldStatus.HELD:
        raise HoldNotActive(details={"holdHash": hold.hold_hash, "status": hold.status})
    is_release = kind == AdjustmentKind.HOLDBACK_RELEASE
    document = documents.settlement_adjustment(
        adjustment_id=identifiers.holdback_adjustment_id(hold.agreement_hash),
        tenant_id=hold.tenant_id,
        agreement_hash=hold.agreement_hash,
        receipt_hash=hold.receipt_hash,
        hold_hash=hold.hold_hash,
        kind=kind.value,
        amount_cents=hold.held_cents,
        currency=hold.currency,
        created_at=wire.iso(created_at or now),
        verdict_ref=verdict_ref,
    )
    adjustment = adjustments.record(
        document=document, agent_id=hold.payee_agent_id if is_release else hold.payer_agent_id
    )
    _resolve(hold, adjustment_id=adjustment.adjustment_id, is_release=is_release, metadata=metadata, now=now)
    if hold.held_cents:
        _move(hold, adjustment_id=adjustment.adjustment_id, is_release=is_release, now=now)
    return adjustment


def _resolve(
    hold: FundingHold,
    *,
    adjustment_id: str,
    is_release: bool,
    metadata: Mapping[str, Any] | None,
    now: dt.datetime,
) -> None:
    hold.status = HoldStatus.RELEASED if is_release else HoldStatus.REFUNDED
    hold.resolved_at = hold.updated_at = now
    hold.metadata = {**(metadata or {}), "adjustmentId": adjustment_id}
    hold.revision += 1
    held = FundingHold.objects.filter(tenant_id=hold.tenant_id, pk=hold.pk, status=HoldStatus.HELD)
    changed = held.update(
        status=hold.status,
        resolved_at=now,
        updated_at=now,
        metadata=hold.metadata,
        revision=hold.revision,
    )
    if changed != 1:
        raise HoldNotActive(details={"holdHash": hold.hold_hash})


def _move(hold: FundingHold, *, adjustment_id: str, is_release: bool, now: dt.datetime) -> None:
    locked = wallets.lock(
        tenant_id=hold.tenant_id,
        agent_ids=[hold.payer_agent_id, hold.payee_agent_id],
        currency=hold.currency,
        now=now,
    )
    books.settle(
        payer=locked[hold.payer_agent_id],
        payee=locked[hold.payee_agent_id],
        released_cents=hold.held_cents if is_release else 0,
        refunded_cents=0 if is_release else hold.held_cents,
        subject=adjustment_id,
        run_id=None,
        source_type="funding_hold",
        source_id=hold.hold_hash,
        now=now,
    )
