"""Kernel routes."""

from django.urls import path

from settld.kernel.api.adjustments import SettlementAdjustment
from settld.kernel.api.agents import AgentDetail, Agents, RegisterAgent
from settld.kernel.api.disputes import (
    CloseDispute,
    EscalateDispute,
    OpenDispute,
    RunDisputes,
    SubmitDisputeEvidence,
)
from settld.kernel.api.holds import HoldDetail, Holds, LockHold, ToolCallHoldbackRun
from settld.kernel.api.payables import KernelPayables, KernelReference
from settld.kernel.api.resolving import ResolveSettlement
from settld.kernel.api.run_list import AllRuns
from settld.kernel.api.run_writes import AgentRunEvents, AgentRuns
from settld.kernel.api.runs import AgentRunDetail, RunVerification
from settld.kernel.api.settlements import PolicyReplay, ReplayEvaluate, RunAgreementView, RunSettlement
from settld.kernel.api.wallets import AgentWallet, CreditWallet

urlpatterns = [
    path("agents", Agents.as_view()),
    path("agents/register", RegisterAgent.as_view()),
    path("agents/<str:agent_id>", AgentDetail.as_view()),
    path("agents/<str:agent_id>/wallet", AgentWallet.as_view()),
    path("agents/<str:agent_id>/wallet/credit", CreditWallet.as_view()),
    path("ops/tool-calls/holds", Holds.as_view()),
    path("ops/tool-calls/holds/lock", LockHold.as_view()),
    path("ops/tool-calls/holds/<str:hold_hash>", HoldDetail.as_view()),
    path("ops/settlement-adjustments/<str:adjustment_id>", SettlementAdjustment.as_view()),
    path("ops/maintenance/tool-call-holdback/run", ToolCallHoldbackRun.as_view()),
    path("agents/<str:agent_id>/runs", AgentRuns.as_view()),
    path("agents/<str:agent_id>/runs/<str:run_id>", AgentRunDetail.as_view()),
    path("agents/<str:agent_id>/runs/<str:run_id>/events", AgentRunEvents.as_view()),
    path("runs", AllRuns.as_view()),
    path("runs/<str:run_id>/verification", RunVerification.as_view()),
    path("runs/<str:run_id>/settlement", RunSettlement.as_view()),
    path("runs/<str:run_id>/settlement/resolve", ResolveSettlement.as_view()),
    path("runs/<str:run_id>/disputes", RunDisputes.as_view()),
    path("runs/<str:run_id>/dispute/open", OpenDispute.as_view()),
    path("runs/<str:run_id>/dispute/evidence", SubmitDisputeEvidence.as_view()),
    path("runs/<str:run_id>/dispute/escalate", EscalateDispute.as_view()),
    path("runs/<str:run_id>/dispute/close", CloseDispute.as_view()),
    path("runs/<str:run_id>/settlement/policy-replay", PolicyReplay.as_view()),
    path("runs/<str:run_id>/settlement/replay-evaluate", ReplayEvaluate.as_view()),
    path("runs/<str:run_id>/agreement", RunAgreementView.as_view()),
    path("ops/kernel/payables", KernelPayables.as_view()),
    path("ops/kernel/refs/<str:kind>/<str:ref_id>", KernelReference.as_view()),
]
