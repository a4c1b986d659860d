"""Agents, wallets, runs, settlements, holds, adjustments, disputes and payout reservations."""

from settld.kernel.models.agent import Agent
from settld.kernel.models.dispute import Dispute, DisputeEvidence
from settld.kernel.models.holding import Adjustment, FundingHold
from settld.kernel.models.payout import PayoutAllocation, PayoutReservation
from settld.kernel.models.run import Run, RunEvent
from settld.kernel.models.settlement import DecisionRecord, Settlement, SettlementReceipt
from settld.kernel.models.wallet import FundingReceipt, Wallet

__all__ = [
    "Adjustment",
    "Agent",
    "DecisionRecord",
    "Dispute",
    "DisputeEvidence",
    "FundingHold",
    "FundingReceipt",
    "PayoutAllocation",
    "PayoutReservation",
    "Run",
    "RunEvent",
    "Settlement",
    "SettlementReceipt",
    "Wallet",
]
