"""Rows of agents, runs and settlements, written straight to their tables for the tests of the readers."""

import datetime as dt

from settld.core import clock, tenancy
from settld.kernel import folding, wire
from settld.kernel.models import Agent, DecisionRecord, Run, RunEvent, Settlement, SettlementReceipt
from tests.kernel.made import AMOUNT, NOW, PAYEE, PAYER, RUN, TENANT, decision, receipt, stream


def agent(agent_id=PAYEE, **more):
    given = {
        "tenant_id": TENANT, "agent_id": agent_id, "display_name": agent_id, "owner_type": "service",
        "owner_id": f"tenant:{TENANT}", "key_id": "key_1", "public_key_pem": "pem", "created_at": NOW,
        "updated_at": NOW,
    } | more  # fmt: skip
    with tenancy.tenant_scope(given["tenant_id"]):
        return Agent.objects.create(**given)


def run(*steps, run_id=RUN, agent_id=PAYEE, tenant_id=TENANT, later=0):
    """A run with its events; gives the folded AgentRun.v1. `later` moves its creation, in seconds."""
    events = stream(*steps, run_id=run_id, agent_id=agent_id)
    folded = folding.fold_all(events, tenant_id=tenant_id)
    columns = wire.run_columns(folded)
    columns["created_at"] += dt.timedelta(seconds=later)
    with tenancy.tenant_scope(tenant_id):
        Run.objects.create(**columns)
        for seq, event in enumerate(events):
            RunEvent.objects.create(**wire.event_columns(event, tenant_id=tenant_id, seq=seq))
    return folded


def settlement(run, *, record=None, proof=None, **more):
    """A settlement of a run, released in full, with the pair of documents that binds it."""
    record = record or decision(run)
    proof = proof or receipt(run, record)
    given = {
        "settlement_id": f"setl_{run['runId']}", "run_id": run["runId"], "agent_id": run["agentId"],
        "payer_agent_id": PAYER, "amount_cents": AMOUNT, "status": "released", "released_cents": AMOUNT,
        "release_rate_pct": 100, "decision_status": "auto_resolved", "locked_at": NOW, "resolved_at": NOW,
        "run_status": run["status"], "resolution_event_id": run["lastEventId"],
        "decision_id": record["decisionId"], "receipt_id": proof["receiptId"], "created_at": NOW,
        "updated_at": NOW,
    } | more  # fmt: skip
    owned = {"tenant_id": run["tenantId"], "run_id": run["runId"], "settlement_id": record["settlementId"]}
    with tenancy.tenant_scope(run["tenantId"]):
        DecisionRecord.objects.create(
            **owned, decision_id=record["decisionId"], phase="run.terminal.auto_resolved",
            decision_status=record["decisionStatus"], decision_hash=record["decisionHash"], body=record,
            decided_at=clock.parse_iso(record["decidedAt"]),
        )  # fmt: skip
        SettlementReceipt.objects.create(
            **owned, receipt_id=proof["receiptId"], decision_id=record["decisionId"],
            agent_id=run["agentId"], status=proof["status"], amount_cents=AMOUNT,
            finality_state=proof["finalityState"], settled_at=NOW, created_at=NOW,
            receipt_hash=proof["receiptHash"], body=proof,
        )  # fmt: skip
        return Settlement.objects.create(tenant_id=run["tenantId"], **given)
