"""Opening a run, with the money that it is worth locked (kernel spec 5, 6.4)."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from settld.core import failpoints, ids, rows, transactions
from settld.core.errors import Conflict, Invalid, NotFound
from settld.kernel import chain, folding, identifiers, wire
from settld.kernel.models import Agent, Run, RunEvent, Settlement
from settld.kernel.queries.agents import AgentNotFound
from settld.kernel.services import books, decisions, row_writing, settling, wallets
from settld.kernel.services.agents import require_active
from settld.kernel.services.wallet_columns import InsufficientWalletBalance
from settld.kernel.states import DecisionMode, DecisionStatus, RunEventType, SettlementStatus
from settld.kernel.verification import verification_of

MOST_WINDOW_DAYS: Final = 365
MOST_TASK_TYPE: Final = 200
MOST_INPUT_REF: Final = 2000


class RunAlreadyExists(Conflict):
    """The id names another run; a fresh idempotency key does not make it free."""

    code = "RUN_ALREADY_EXISTS"
    message = "run already exists"


class SettlementSelfPayment(Conflict):
    """Payer and payee are one agent."""

    code = "SETTLEMENT_SELF_PAYMENT"
    message = "an agent cannot pay itself"


class PayerNotFound(NotFound):
    """No such agent to pay."""

    message = "payer agent identity not found"


class InvalidSettlementPayload(Invalid):
    """The terms of the settlement are malformed; details.message says where."""

    message = "invalid run settlement payload"


class EscrowNotLocked(Conflict):
    """The payer's wallet does not have the money; details.code repeats the wallet's code."""

    message = "unable to lock settlement escrow"


@dataclass(frozen=True, slots=True)
class SettlementTerms:
    """What a run is worth, who pays it, and how long it may be disputed.

    A run under an agreement names it, and may have its window in hours instead.
    """

    payer_agent_id: str
    amount_cents: int
    currency: str = identifiers.DEFAULT_CURRENCY
    dispute_window_days: int = 0
    agreement_id: str | None = None
    dispute_window_hours: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A new run (AgentRun.v1), its first event as sealed, and its settlement if it has one."""

    run: dict[str, Any]
    event: dict[str, Any]
    settlement: Settlement | None


def terms_of(given: Any) -> SettlementTerms | None:
    """Read `settlement` of a request; None where there is none. Raises InvalidSettlementPayload."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise InvalidSettlementPayload(details={"message": "settlement must be an object"})
    window = given.get("disputeWindowDays")
    window = 0 if window is None else window
    if isinstance(window, bool) or not isinstance(window, int) or not 0 <= window <= MOST_WINDOW_DAYS:
        raise InvalidSettlementPayload(
            details={"message": f"disputeWindowDays must be an integer from 0 to {MOST_WINDOW_DAYS}"}
        )
    try:
        return SettlementTerms(
            payer_agent_id=identifiers.agent_id_of(given.get("payerAgentId"), key="payerAgentId"),
            amount_cents=identifiers.cents_of(given.get("amountCents")),
            currency=identifiers.currency_of(given.get("currency")),
            dispute_window_days=window,
        )
    except Invalid as fault:
        raise InvalidSettlementPayload(details={"message": fault.message}) from fault


def open_run(
    *,
    tenant_id: str,
    agent_id: str,
    run_id: str | None = None,
    task_type: str | None = None,
    input_ref: str | None = None,
    terms: SettlementTerms | None = None,
    phase: str = decisions.RUN_CREATED,
    now: dt.datetime,
) -> Opened:
    """Open a run for the agent that does the work and, with terms, lock the payer's money for it.

    All of it commits together or not at all: run, first event, lock with its journal entry, settlement and
    the pair of documents of the phase. Raises AgentNotFound, PayerNotFound (404), RunAlreadyExists,
    SettlementSelfPayment, AgentNotActive, WalletCurrencyMismatch, EscrowNotLocked and the refusals of the
    payer's wallet policy (409).
    """
    with transactions.joined():
        payer = _require_parties(tenant_id=tenant_id, agent_id=agent_id, terms=terms)
        run, event = _insert_run(
            tenant_id=tenant_id, run_id=run_id or f"run_{ids.uuid7().hex}", agent_id=agent_id,
            task_type=task_type, input_ref=input_ref, now=now,
        )  # fmt: skip
        settlement = None
        if terms is not None and payer is not None:
            settlement = _lock_money(run, terms=terms, payer=payer, phase=phase, now=now)
        failpoints.hit("kernel.open_run.before_commit")
    return Opened(run=run, event=event, settlement=settlement)


def _require_parties(*, tenant_id: str, agent_id: str, terms: SettlementTerms | None) -> Agent | None:
    """Require payee and payer; gives the payer where there is one."""
    wanted = [agent_id] if terms is None else [agent_id, terms.payer_agent_id]
    found = {
        agent.agent_id: agent
        for agent in rows.every(Agent, "tenant_id = %s AND agent_id = ANY(%s)", [tenant_id, wanted])
    }
    if agent_id not in found:
        raise AgentNotFound()
    if terms is None:
        return None
    if terms.payer_agent_id not in found:
        raise PayerNotFound()
    if terms.payer_agent_id == agent_id:
        raise SettlementSelfPayment()
    payer = found[terms.payer_agent_id]
    require_active(payer)
    return payer


def _insert_run(
    *,
    tenant_id: str,
    run_id: str,
    agent_id: str,
    task_type: str | None,
    input_ref: str | None,
    now: dt.datetime,
) -> tuple[dict[str, Any], dict[str, Any]]:
    event = chain.sealed(
        event_id=f"evt_{ids.uuid7().hex}",
        at=wire.iso(now),
        run_id=run_id,
        event_type=RunEventType.RUN_CREATED.value,
        actor=chain.agent_actor(agent_id),
        payload=folding.created_payload(
            run_id=run_id, agent_id=agent_id, task_type=task_type, input_ref=input_ref
        ),
        prev_chain_hash=None,
    )
    run = folding.fold(None, event, tenant_id=tenant_id)
    row = Run(**wire.run_columns(run))
    first = RunEvent(**wire.event_columns(event, tenant_id=tenant_id, seq=0))
    if not row_writing.insert_run(row, first):
        raise RunAlreadyExists(details={"runId": run_id})
    return run, event


def _lock_money(
    run: Mapping[str, Any], *, terms: SettlementTerms, payer: Agent, phase: str, now: dt.datetime
) -> Settlement:
    # The payee's as well: in another currency it could never be paid, and the money would stay locked.
    locked = wallets.lock(
        tenant_id=payer.tenant_id,
        agent_ids=[payer.agent_id, run["agentId"]],
        currency=terms.currency,
        now=now,
    )
    settlement = _settlement(run, terms=terms, now=now)
    grounds = _grounds(settlement, run)
    settlement.decision_policy_hash = grounds.policy_hash
    try:
        books.lock_escrow(
            payer=locked[payer.agent_id],
            policy=payer.wallet_policy,
            amount_cents=terms.amount_cents,
            subject=run["runId"],
            source_type="agent_run_settlement",
            source_id=settlement.settlement_id,
            now=now,
        )
    except InsufficientWalletBalance as shortage:
        raise EscrowNotLocked(code=shortage.code, details={"code": shortage.code}) from shortage
    decisions.write_first(settlement, run=run, phase=phase, grounds=grounds, now=now)
    return settlement


def _settlement(run: Mapping[str, Any], *, terms: SettlementTerms, now: dt.datetime) -> Settlement:
    return Settlement(
        tenant_id=run["tenantId"],
        settlement_id=identifiers.settlement_id(run["runId"]),
        run_id=run["runId"],
        agreement_id=terms.agreement_id,
        agent_id=run["agentId"],
        payer_agent_id=terms.payer_agent_id,
        amount_cents=terms.amount_cents,
        currency=terms.currency,
        status=SettlementStatus.LOCKED,
        locked_at=now,
        dispute_window_days=terms.dispute_window_days,
        dispute_window_hours=terms.dispute_window_hours,
        decision_status=DecisionStatus.PENDING,
        decision_mode=DecisionMode.AUTOMATIC,
        created_at=now,
        updated_at=now,
    )


def _grounds(settlement: Settlement, run: Mapping[str, Any]) -> decisions.Grounds:
    """Name what will be decided by; before any work there is no execution and no decision yet."""
    agreement = settling.agreement_of(settlement)
    grounds = settling.grounds_of(agreement, verification=verification_of(run))
    return dataclasses.replace(grounds, verifier_execution=None)
