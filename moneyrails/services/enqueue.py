"""Enqueue one payout: every gate in order, then one statement that makes it (spec 2.1)."""

import datetime as dt
from dataclasses import replace
from typing import Any

from moneyrails.models import Operation, PayoutOutcome
from moneyrails.queries import chargebacks as debts
from moneyrails.queries import connect, payout_facts
from moneyrails.queries.payout_facts import PayoutFacts, Question
from moneyrails.rails import providers
from moneyrails.rails.providers import Provider
from moneyrails.services import chargebacks, exposure, gates, kernel_payouts, payout_writes
from moneyrails.services.chargebacks import Withholding
from moneyrails.services.payout_request import Enqueued, PeriodConflict, Request, replayed
from moneyrails.services.payout_rows import chargeback_context, metadata_of, operation_of, outcome_of
from moneyrails.states import OutcomeKind
from settld.audit import services as audit
from settld.closing import queries as closing
from settld.closing.queries import PayoutSubject
from settld.closing.services import instructions
from settld.core import clock, failpoints, transactions
from settld.core.errors import Conflict
from settld.core.principals import Actor

PAYOUT_CURRENCY = "USD"
MAX_TRIES_FOR_ROOM = 5


class MonthCloseNotFound(Conflict):
    """Nobody has asked to close the month."""

    code = "MONTH_CLOSE_NOT_FOUND"
    message = "month close not found"


class MonthNotClosed(Conflict):
    """The month's books can still change."""

    code = "MONTH_NOT_CLOSED"
    message = "month is not closed"


class StatementNotClosed(Conflict):
    """The statement can still change."""

    code = "PARTY_STATEMENT_NOT_CLOSED"
    message = "party statement is not closed"


class DirectionNotAllowed(Conflict):
    """The provider takes no payouts."""

    code = "MONEY_RAIL_DIRECTION_NOT_ALLOWED"
    message = "money rail provider does not allow payouts"


class CurrencyUnsupported(Conflict):
    """The rails pay one currency."""

    code = "PAYOUT_CURRENCY_UNSUPPORTED"
    message = "payout currency is not supported"


def enqueue(
    *,
    tenant_id: str,
    party_id: str,
    period: str,
    provider_id: str,
    counterparty_ref: str,
    actor: Actor,
    now: dt.datetime,
) -> Enqueued:
    """Make the operation that pays a party's closed statement, once.

    Runs in the caller's transaction or in its own. A refusal leaves no row, once the caller's
    transaction is left by it. A repeat answers with the recorded outcome and writes nothing.
    """
    with transactions.joined():
        known = providers.all_providers().get(provider_id or providers.default_id())
        question = Question(
            tenant_id, party_id, period, known.mode if known else "sandbox", clock.day_key(now)
        )
        facts, subject = payout_facts.read_beside(
            question,
            lambda: closing.statement_for_payout(tenant_id=tenant_id, party_id=party_id, period=period),
            now=now,
        )
        verdicts = _require_closed(subject)
        if subject.payable_cents == 0:
            return Enqueued()
        request = Request(tenant_id, party_id, period, providers.chosen(provider_id), counterparty_ref)
        _require_payable(request.provider, subject)
        verdicts.append(gates.passed(4, "amount_due", cents=subject.payable_cents))
        verdicts.append(gates.passed(5, "provider", providerId=request.provider.provider_id))
        failpoints.hit("enqueue.before_write")
        done = _enqueue(request, subject, facts, verdicts, question=question, actor=actor, now=now)
        failpoints.hit("enqueue.before_commit")
        return done


def _require_closed(subject: PayoutSubject) -> list[gates.Verdict]:
    """Steps 2 and 3."""
    if subject.month_status is None:
        raise MonthCloseNotFound()
    if subject.month_status != "CLOSED":
        raise MonthNotClosed()
    if subject.status != "CLOSED":
        raise StatementNotClosed()
    return [gates.passed(2, "statement"), gates.passed(3, "month_closed")]


def _require_payable(provider: Provider, subject: PayoutSubject) -> None:
    """Step 5."""
    if not provider.allow_payout:
        raise DirectionNotAllowed(details={"providerId": provider.provider_id, "direction": "payout"})
    if subject.currency != PAYOUT_CURRENCY:
        raise CurrencyUnsupported(details={"providerId": provider.provider_id, "currency": subject.currency})


def _enqueue(
    request: Request,
    subject: PayoutSubject,
    facts: PayoutFacts,
    verdicts: list[gates.Verdict],
    *,
    question: Question,
    actor: Actor,
    now: dt.datetime,
) -> Enqueued:
    """Steps 6 to 18, under the shared lock of the controls."""
    if subject.payout_key in facts.outcomes:
        return replayed(request, subject.payout_key)
    _require_no_rival(request, subject, facts)
    verdicts += [gates.passed(6, "first_request"), gates.passed(7, "no_rival")]
    case = gates.Case(
        provider=request.provider,
        controls=facts.controls,
        now=now,
        party_id=request.party_id,
        gross_cents=subject.payable_cents,
        net_cents=subject.payable_cents,
        exposure_cents=facts.exposure_cents,
        payable_after=subject.payable_after,
        sent_counterparty_ref=request.counterparty_ref,
    )
    verdicts += gates.require(case, gates.BEFORE_DEBT)

    account = debts.Account(request.tenant_id, request.party_id, subject.currency, request.provider.mode)
    withholding = Withholding()
    if facts.controls.chargeback_enabled:
        owed = chargebacks.lock_balance(account, now=now)
        facts = payout_facts.read(question, now=now)  # what moved while we waited for the balance
        if subject.payout_key in facts.outcomes:
            return replayed(request, subject.payout_key)
        _require_no_rival(request, subject, facts)
        case = replace(case, outstanding_cents=owed, exposure_cents=facts.exposure_cents)
    verdicts += gates.require(case, gates.DEBT)
    if case.outstanding_cents:
        withholding = chargebacks.withhold(
            account, outstanding_cents=case.outstanding_cents, gross_cents=case.gross_cents
        )
        case = replace(case, net_cents=case.gross_cents - withholding.recovery_cents)
    context = chargeback_context(case, withholding)
    if case.net_cents == 0:
        return _consume_by_debt(request, subject, account, withholding, context, actor=actor, now=now)

    verdicts += gates.require(case, gates.LIMITS)
    if case.needs_account:
        found = connect.account_for_party(tenant_id=request.tenant_id, party_id=request.party_id, now=now)
        case = replace(case, account=found)
    verdicts += gates.require(case, gates.DESTINATION)
    return _write(request, subject, case, account, withholding, context, verdicts, actor=actor)


def _require_no_rival(request: Request, subject: PayoutSubject, facts: PayoutFacts) -> None:
    """Step 7."""
    rival = facts.rival_of(subject.payout_key)
    if rival or facts.has_offset_beside(subject.payout_key):
        raise PeriodConflict(request, rival)


def _consume_by_debt(
    request: Request,
    subject: PayoutSubject,
    account: debts.Account,
    withholding: Withholding,
    context: dict[str, Any],
    *,
    actor: Actor,
    now: dt.datetime,
) -> Enqueued:
    """Put the whole earnings into the debt: the recovery and the outcome stay, no money moves."""
    outcome = outcome_of(request, subject, request.counterparty_ref or f"party:{request.party_id}", now=now)
    outcome.response = {"payout": None, "chargeback": context}
    if not kernel_payouts.reserve(
        subject, amount_cents=0, recovery_cents=withholding.recovery_cents, now=now
    ):
        return replayed(request, subject.payout_key)
    if not payout_writes.write_offset(outcome):
        # Somebody else's outcome: of this key (at a provider of the other mode, whose debts have another
        # lock), or of another statement of this period.
        if payout_facts.outcome(tenant_id=request.tenant_id, payout_key=subject.payout_key) is not None:
            return replayed(request, subject.payout_key)
        raise PeriodConflict(request, None)
    chargebacks.record_recovery(
        account, withholding, payout_key=subject.payout_key, operation=None, actor=actor, now=now
    )
    audit.append(
        tenant_id=request.tenant_id,
        actor=actor,
        action="PAYOUT_OFFSET_CONSUMED",
        target_type="payout",
        target_id=subject.payout_key,
        details={
            "providerId": request.provider.provider_id,
            "partyId": request.party_id,
            "period": request.period,
            "amountCents": 0,
            "recoveryAppliedCents": withholding.recovery_cents,
            "outstandingAfterCents": context["outstandingAfterCents"],
        },
        at=now,
    )
    return Enqueued(chargeback=context, is_offset=True)


def _write(
    request: Request,
    subject: PayoutSubject,
    case: gates.Case,
    account: debts.Account,
    withholding: Withholding,
    context: dict[str, Any],
    verdicts: list[gates.Verdict],
    *,
    actor: Actor,
) -> Enqueued:
    """Step 17: the kernel's reservation, instruction, operation, recovery, audit."""
    # Before the outcome and the counter: the counter is the hottest row, so it is locked last.
    if not kernel_payouts.reserve(
        subject, amount_cents=case.net_cents, recovery_cents=withholding.recovery_cents, now=case.now
    ):
        return replayed(request, subject.payout_key)
    verdicts = [*verdicts, *kernel_payouts.verdict(subject)]
    counterparty_ref = _resolved_counterparty(request, case)
    artifact_id, artifact_hash = instructions.ensure(
        subject=subject, amount_cents=case.net_cents, destination_ref=counterparty_ref, now=case.now
    )
    payout = {"payoutKey": subject.payout_key, "artifactId": artifact_id, "artifactHash": artifact_hash}
    operation = operation_of(request, subject, case, counterparty_ref, verdicts)
    operation.recovery_applied_cents = withholding.recovery_cents
    operation.metadata = metadata_of(request, case, payout, context)
    outcome = outcome_of(request, subject, counterparty_ref, now=case.now)
    outcome.kind, outcome.operation = OutcomeKind.OPERATION, operation
    outcome.response = {"payout": payout, "chargeback": context}
    if not _write_within_limit(request, case, outcome, operation):
        return replayed(request, subject.payout_key)
    if withholding.recovery_cents:
        chargebacks.record_recovery(
            account,
            withholding,
            payout_key=subject.payout_key,
            operation=operation,
            actor=actor,
            now=case.now,
        )
    audit.append(
        tenant_id=request.tenant_id,
        actor=actor,
        action="PAYOUT_ENQUEUED",
        target_type="money_rail_operation",
        target_id=operation.operation_id,
        details={
            "providerId": operation.provider_id,
            "operationId": operation.operation_id,
            "partyId": operation.party_id,
            "period": operation.period,
            "amountCents": operation.amount_cents,
            "recoveryAppliedCents": withholding.recovery_cents,
        },
        at=case.now,
    )
    return Enqueued(operation=operation, payout=payout, chargeback=context)


def _write_within_limit(
    request: Request, case: gates.Case, outcome: PayoutOutcome, operation: Operation
) -> bool:
    """Write the payout; False when another request with the same key was first."""
    is_ours = False
    for _ in range(MAX_TRIES_FOR_ROOM):
        written = payout_writes.write_operation(
            outcome,
            operation,
            day_key=case.day_key,
            limit_cents=case.controls.daily_payout_limit_cents,
            is_outcome_ours=is_ours,
        )
        if not written.is_ours:
            return False
        if written.is_made:
            return True
        if written.has_room:
            rival = Operation.objects.filter(
                tenant_id=request.tenant_id, party_id=request.party_id, period=request.period
            ).exclude(state__in=["failed", "cancelled"])
            raise PeriodConflict(request, rival.values_list("operation_id", flat=True).first())
        is_ours = True
        held = exposure.current(
            tenant_id=request.tenant_id, provider_mode=request.provider.mode, day_key=case.day_key
        )
        gates.require(replace(case, exposure_cents=held), gates.LIMITS)  # raises unless room came back
    raise gates.DailyLimitExceeded(details={"providerId": request.provider.provider_id})


def _resolved_counterparty(request: Request, case: gates.Case) -> str:
    if case.account is not None:
        return case.account.counterparty_ref
    return request.counterparty_ref or f"party:{request.party_id}"
