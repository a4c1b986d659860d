"""Events, runs, settlements and their documents, made without a database."""

import datetime as dt

from settld.core import clock
from settld.kernel import chain, documents, folding
from settld.kernel.agreements import RunAgreement
from settld.policies import evaluation, normalization

NOW = dt.datetime(2026, 3, 10, 12, 0, 0, 123000, tzinfo=dt.UTC)
TENANT, PAYEE, PAYER, RUN = "tenant_a", "agt_payee", "agt_payer", "run_1"
AMOUNT = 1001


def at(seconds=0):
    return clock.iso(NOW + dt.timedelta(seconds=seconds))


def stream(*steps, run_id=RUN, agent_id=PAYEE):
    """Seal RUN_CREATED and then one event for each (type, payload), a second apart."""
    opening = folding.created_payload(run_id=run_id, agent_id=agent_id, task_type=None, input_ref=None)
    payloads = [("RUN_CREATED", opening)]
    payloads += [
        (kind, folding.payload_of(event_type=kind, run_id=run_id, given=given)) for kind, given in steps
    ]
    events, head = [], None
    for number, (kind, payload) in enumerate(payloads):
        event = chain.sealed(
            event_id=f"evt_{run_id}_{number}", at=at(number), run_id=run_id, event_type=kind,
            actor=chain.agent_actor(agent_id), payload=payload, prev_chain_hash=head,
        )  # fmt: skip
        events.append(event)
        head = event["chainHash"]
    return events


def folded(*steps, **which):
    return folding.fold_all(stream(*steps, **which), tenant_id=TENANT)


COMPLETED = ("RUN_COMPLETED", {})
FAILED = ("RUN_FAILED", {"code": "TIMEOUT"})


def decision(run, *, status="auto_resolved", mode="automatic", reason=None, verification="green",
             policy=None, method=None, agreement_id=None, number=1, seconds=60):  # fmt: skip
    return documents.decision_record(
        decision_id=f"dec_setl_{number}", tenant_id=TENANT, run_id=run["runId"],
        settlement_id=f"setl_{run['runId']}", agreement_id=agreement_id, decision_status=status,
        decision_mode=mode, decision_reason=reason, verification_status=verification,
        policy_hash=policy and normalization.policy_hash(policy),
        verification_method_hash=method and normalization.method_hash(method),
        verifier_ref=evaluation.verifier_ref(method or normalization.default_method()),
        run_status=run["status"], run_last_event_id=run["lastEventId"],
        run_last_chain_hash=run["lastChainHash"], resolution_event_id=run["lastEventId"],
        decided_at=at(seconds),
    )  # fmt: skip


def receipt(run, record, *, status="released", released=AMOUNT, is_final=True, number=1, seconds=60):
    return documents.settlement_receipt(
        receipt_id=f"rcpt_setl_{number}", tenant_id=TENANT, run_id=run["runId"],
        settlement_id=f"setl_{run['runId']}", decision=record, status=status, amount_cents=AMOUNT,
        released_amount_cents=released if is_final else 0,
        refunded_amount_cents=AMOUNT - released if is_final else 0,
        release_rate_pct=100 * released // AMOUNT if is_final else None, currency="USD",
        run_status=run["status"], resolution_event_id=run["lastEventId"] if is_final else None,
        is_final=is_final, settled_at=at(seconds) if is_final else None, created_at=at(seconds),
    )  # fmt: skip


def settlement(run, *, status="released", decision_status="auto_resolved", policy_decision=None):
    """The members of an AgentRunSettlement.v1 that replays and bindings read."""
    return {
        "runId": run["runId"], "settlementId": f"setl_{run['runId']}", "amountCents": AMOUNT,
        "status": status,
        "decisionStatus": decision_status, "decisionTrace": {"policyDecision": policy_decision},
    }  # fmt: skip


def agreement(*, policy=None, method=None):
    policy, method = normalization.policy_of(policy), normalization.method_of(method)
    return RunAgreement(
        agreement_id="agr_rfq_1_bid_1", rfq_id="rfq_1", policy=policy, verification_method=method,
        policy_hash=normalization.policy_hash(policy),
        verification_method_hash=normalization.method_hash(method), policy_ref=None, policy_binding=None,
        policy_binding_verification={"present": False, "valid": None, "reason": None},
        acceptance_signature_verification={"present": False, "valid": None, "reason": None},
        agreement={"agreementId": "agr_rfq_1_bid_1"}, offer={"offerId": "ofr_1"}, offer_acceptance=None,
    )  # fmt: skip
