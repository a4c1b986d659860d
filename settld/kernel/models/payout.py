"""What payouts take out of wallets, and on which kernel objects they rest."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import columns
from settld.kernel.models import move_triggers
from settld.kernel.states import RefKind, ReservationState


class PayoutReservation(models.Model):
    """The money of one payout operation, taken out of its payee's wallet.

    `amount_cents` leaves over the rail; `recovery_cents` was withheld against the payee's debt.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    operation_id = columns.name(900)
    agent_id = columns.name(128)
    amount_cents = columns.cents()
    recovery_cents = columns.cents(default=0)
    currency = columns.currency()
    state = columns.word(ReservationState, default=ReservationState.RESERVED)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "payout_reservation"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "operation_id"], name="payout_reservation_once"),
            columns.one_of("state", ReservationState, name="payout_reservation_state"),
            columns.in_range("amount_cents", name="payout_reservation_amount"),
            columns.in_range("recovery_cents", name="payout_reservation_recovery"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "agent_id", "created_at"], name="payout_reservation_of_agent")
        ]
        triggers: ClassVar = [move_triggers.RESERVATION_MOVES]

    def __str__(self) -> str:
        return f"{self.operation_id} {self.state}"


class PayoutAllocation(models.Model):
    """One reason for a payout: a receipt or an adjustment, with its hash and the amount it explains.

    Each is given to at most one payout that has not been released. Amounts are signed: what was withheld,
    and what a party owed already, is negative. They add up to the operation's amount.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    operation_id = columns.name(900)
    ref_kind = columns.word(RefKind)
    ref_id = columns.name(1000)
    ref_hash = columns.name(64)
    amount_cents = columns.cents()
    currency = columns.currency()
    created_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payout_allocation"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "ref_kind", "ref_id"],
                condition=Q(released_at__isnull=True),
                name="payout_allocation_live_once",
            ),
            columns.one_of("ref_kind", RefKind, name="payout_allocation_kind"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "operation_id"], name="payout_allocation_of_op"),
            models.Index(fields=["tenant_id", "ref_id"], name="payout_allocation_of_ref"),
        ]

    def __str__(self) -> str:
        return f"{self.operation_id} {self.ref_kind} {self.ref_id}"
