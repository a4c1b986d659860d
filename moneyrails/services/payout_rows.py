"""What a payout writes, as plain functions of the request and its case."""

import datetime as dt
from typing import Any

from moneyrails.models import Operation, PayoutOutcome
from moneyrails.services import gates
from moneyrails.services.chargebacks import Withholding
from moneyrails.services.payout_request import Request
from moneyrails.states import OperationState, OutcomeKind
from settld.closing.queries import PayoutSubject
from settld.core import ids, money
from settld.core.hashing import canonical_hash


def chargeback_context(case: gates.Case, withholding: Withholding) -> dict[str, Any]:
    """Write the `ctx` of an answer: what the debt did to this payout."""
    enabled = case.controls.chargeback_enabled
    return {
        "policyEnabled": enabled,
        "negativeBalanceMode": case.controls.negative_balance_mode if enabled else None,
        "outstandingBeforeCents": money.exact(withholding.outstanding_before_cents),
        "recoveryAppliedCents": withholding.recovery_cents,
        "outstandingAfterCents": money.exact(withholding.outstanding_after_cents),
        "payoutAmountGrossCents": case.gross_cents,
        "payoutAmountNetCents": case.net_cents,
    }


def outcome_of(
    request: Request, subject: PayoutSubject, counterparty_ref: str, *, now: dt.datetime
) -> PayoutOutcome:
    """Make the outcome row, as an offset; the caller makes it an operation's."""
    return PayoutOutcome(
        id=ids.uuid7(),
        tenant_id=request.tenant_id,
        payout_key=subject.payout_key,
        party_id=request.party_id,
        period=request.period,
        kind=OutcomeKind.OFFSET,
        provider_id=request.provider.provider_id,
        requested_counterparty_ref=request.counterparty_ref,
        counterparty_ref=counterparty_ref,
        created_at=now,
    )


def operation_of(
    request: Request,
    subject: PayoutSubject,
    case: gates.Case,
    counterparty_ref: str,
    verdicts: list[gates.Verdict],
) -> Operation:
    """Make the operation row, not saved; metadata and recovery are the caller's to add."""
    asked = {
        "partyId": request.party_id,
        "period": request.period,
        "moneyRailProviderId": request.provider.provider_id,
        "counterpartyRef": request.counterparty_ref or None,
        "statementHash": subject.statement_hash,
    }
    return Operation(
        tenant_id=request.tenant_id,
        provider_id=request.provider.provider_id,
        operation_id=f"mop_{subject.payout_key}",
        direction="payout",
        payout_key=subject.payout_key,
        party_id=request.party_id,
        period=request.period,
        statement_hash=subject.statement_hash,
        amount_cents=case.net_cents,
        currency=subject.currency,
        counterparty_ref=counterparty_ref,
        requested_counterparty_ref=request.counterparty_ref,
        requested_provider_id=request.provider.provider_id,
        provider_mode=request.provider.mode,
        state=OperationState.INITIATED,
        initiated_at=case.now,
        gate_verdicts=verdicts,
        request_hash=canonical_hash(asked),
        created_at=case.now,
        updated_at=case.now,
    )


def metadata_of(
    request: Request, case: gates.Case, payout: dict[str, Any], context: dict[str, Any]
) -> dict[str, Any]:
    """Write the metadata that the API shows (spec 2.1)."""
    return {
        "payoutKey": payout["payoutKey"],
        "payoutArtifactId": payout["artifactId"],
        "payoutArtifactHash": payout["artifactHash"],
        "period": request.period,
        "partyId": request.party_id,
        "stripeConnectAccountId": case.account.account_id if case.account else None,
        "providerMode": request.provider.mode,
        "payoutAmountGrossCents": context["payoutAmountGrossCents"],
        "payoutAmountNetCents": context["payoutAmountNetCents"],
        "chargebackRecoveryAppliedCents": context["recoveryAppliedCents"],
        "chargebackOutstandingBeforeCents": context["outstandingBeforeCents"],
        "chargebackOutstandingAfterCents": context["outstandingAfterCents"],
        "chargebackNegativeBalanceMode": context["negativeBalanceMode"],
    }
