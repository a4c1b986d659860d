"""The kernel in the admin, for looking."""

from typing import Protocol

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from settld.core import clock, money, tenancy
from settld.core.admin import ReadOnlyAdmin, actor_of
from settld.core.errors import Refusal
from settld.kernel.models import (
    Adjustment,
    Agent,
    DecisionRecord,
    Dispute,
    DisputeEvidence,
    FundingHold,
    FundingReceipt,
    PayoutAllocation,
    PayoutReservation,
    Run,
    RunEvent,
    Settlement,
    SettlementReceipt,
    Wallet,
)
from settld.kernel.services import agents
from settld.kernel.states import AgentStatus


class _Priced(Protocol):
    amount_cents: int
    currency: str


class PricedAdmin(ReadOnlyAdmin):
    """A row that has an amount."""

    @admin.display(ordering="amount_cents")
    def amount(self, row: _Priced) -> str:
        """Show the amount."""
        return money.show(row.amount_cents, row.currency)


@admin.register(Agent)
class AgentAdmin(ReadOnlyAdmin):
    """Who works and who pays."""

    list_display = ("agent_id", "tenant_id", "display_name", "status", "owner_type", "created_at")
    list_filter = ("status", "owner_type")
    search_fields = ("=agent_id", "=owner_id", "=key_id")
    actions = ("suspend_selected", "reinstate_selected", "revoke_selected")

    @admin.action(description="Suspend", permissions=["act"])
    def suspend_selected(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        """Let the selected agents take on nothing new."""
        self._move(request, queryset, AgentStatus.SUSPENDED)

    @admin.action(description="Reinstate", permissions=["act"])
    def reinstate_selected(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        """Let the selected agents take on work again."""
        self._move(request, queryset, AgentStatus.ACTIVE)

    @admin.action(description="Revoke for good", permissions=["act"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        """Take the selected agents out of use for good."""
        self._move(request, queryset, AgentStatus.REVOKED)

    def _move(self, request: HttpRequest, queryset: QuerySet[Agent], status: AgentStatus) -> None:
        for agent in queryset:
            try:
                with tenancy.tenant_scope(agent.tenant_id):
                    agents.change_status(
                        tenant_id=agent.tenant_id,
                        agent_id=agent.agent_id,
                        status=status,
                        actor=actor_of(request),
                        now=clock.now(),
                    )
            except Refusal as refusal:
                self.message_user(request, f"{agent}: {refusal.message} ({refusal.code})", messages.ERROR)
            else:
                self.message_user(request, f"{agent}: {status.value}", messages.SUCCESS)


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    """What an agent has."""

    list_display = ("wallet_id", "tenant_id", "available", "locked", "revision", "updated_at")
    search_fields = ("=wallet_id", "=agent_id")

    @admin.display(ordering="available_cents")
    def available(self, wallet: Wallet) -> str:
        """Show what may be spent."""
        return money.show(wallet.available_cents, wallet.currency)

    @admin.display(ordering="escrow_locked_cents")
    def locked(self, wallet: Wallet) -> str:
        """Show what is set aside."""
        return money.show(wallet.escrow_locked_cents, wallet.currency)


@admin.register(FundingReceipt)
class FundingReceiptAdmin(PricedAdmin):
    """Money that came in; append-only."""

    list_display = ("receipt_id", "tenant_id", "agent_id", "amount", "source_type", "created_at")
    list_filter = ("source_type",)
    search_fields = ("=receipt_id", "=agent_id", "=external_ref")


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Pieces of work."""

    list_display = ("run_id", "tenant_id", "agent_id", "status", "revision", "created_at")
    list_filter = ("status",)
    search_fields = ("=run_id", "=agent_id")


@admin.register(RunEvent)
class RunEventAdmin(ReadOnlyAdmin):
    """What happened to runs; append-only."""

    list_display = ("run_id", "seq", "tenant_id", "type", "at", "chain_hash")
    list_filter = ("type",)
    search_fields = ("=run_id", "=event_id")


@admin.register(Settlement)
class SettlementAdmin(PricedAdmin):
    """What runs are worth, and to whom."""

    list_display = (
        "settlement_id", "tenant_id", "payer_agent_id", "agent_id", "amount", "status", "decision_status",
        "dispute_status",
    )  # fmt: skip
    list_filter = ("status", "decision_status", "dispute_status")
    search_fields = ("=settlement_id", "=run_id", "=agent_id", "=payer_agent_id")


@admin.register(DecisionRecord)
class DecisionRecordAdmin(ReadOnlyAdmin):
    """What decided settlements; append-only."""

    list_display = ("decision_id", "tenant_id", "settlement_id", "phase", "decision_status", "decided_at")
    list_filter = ("decision_status", "phase")
    search_fields = ("=decision_id", "=settlement_id", "=decision_hash")


@admin.register(SettlementReceipt)
class SettlementReceiptAdmin(PricedAdmin):
    """Proof of where settlements stand; append-only."""

    list_display = ("receipt_id", "tenant_id", "settlement_id", "amount", "status", "finality_state")
    list_filter = ("finality_state", "status")
    search_fields = ("=receipt_id", "=settlement_id", "=receipt_hash")


@admin.register(FundingHold)
class FundingHoldAdmin(PricedAdmin):
    """Money set aside for tool calls."""

    list_display = ("hold_hash", "tenant_id", "payer_agent_id", "payee_agent_id", "amount", "status")
    list_filter = ("status",)
    search_fields = ("=hold_hash", "=agreement_hash", "=payer_agent_id", "=payee_agent_id")


@admin.register(Adjustment)
class AdjustmentAdmin(PricedAdmin):
    """Corrections of settled money; append-only."""

    list_display = ("adjustment_id", "tenant_id", "kind", "agent_id", "amount", "created_at")
    list_filter = ("kind",)
    search_fields = ("=adjustment_id", "=agent_id", "=run_id", "=operation_id")


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    """Claims against settlements."""

    list_display = ("dispute_id", "tenant_id", "run_id", "status", "opened_at", "closed_at")
    list_filter = ("status",)
    search_fields = ("=dispute_id", "=run_id")


@admin.register(DisputeEvidence)
class DisputeEvidenceAdmin(ReadOnlyAdmin):
    """Evidence in disputes; append-only."""

    list_display = ("dispute_id", "tenant_id", "evidence_ref", "submitted_by_agent_id", "submitted_at")
    search_fields = ("=dispute_id", "=evidence_ref")


@admin.register(PayoutReservation)
class PayoutReservationAdmin(PricedAdmin):
    """Money of payouts, taken out of wallets."""

    list_display = ("operation_id", "tenant_id", "agent_id", "amount", "state", "created_at")
    list_filter = ("state",)
    search_fields = ("=operation_id", "=agent_id")


@admin.register(PayoutAllocation)
class PayoutAllocationAdmin(ReadOnlyAdmin):
    """What payouts rest on."""

    list_display = ("operation_id", "tenant_id", "ref_kind", "ref_id", "amount_cents", "released_at")
    list_filter = ("ref_kind",)
    search_fields = ("=operation_id", "=ref_id")
