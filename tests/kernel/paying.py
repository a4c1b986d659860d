"""Receipts to be paid, derived statements over them, and the sums that must hold."""

import datetime as dt

from settld.artifacts import services as artifacts
from settld.artifacts.services import Draft
from settld.closing.models import PartyStatement
from settld.core import tenancy
from settld.kernel import accounts
from settld.kernel.models import PayoutAllocation, PayoutReservation, SettlementReceipt, Wallet
from settld.kernel.queries import payout_checks
from settld.kernel.queries.refs import Ref
from settld.kernel.services import payables
from settld.kernel.states import RefKind
from settld.ledger import queries as ledger
from settld.ledger.models import MonthClose
from tests.kernel.work import NOW, PAYEE, TENANT
from tests.support import factories

PARTY = f"pty_operator:{PAYEE}"
OPERATION = "mop_one"


def receipt_of(run_id="run_1") -> SettlementReceipt:
    return SettlementReceipt.objects.get(tenant_id=TENANT, run_id=run_id, finality_state="final")


def ref_to(run_id="run_1") -> Ref:
    row = receipt_of(run_id)
    return Ref(RefKind.SETTLEMENT_RECEIPT, row.receipt_id, row.receipt_hash, row.released_cents)


def reserve(*references, operation_id=OPERATION, recovery_cents=0, amount_cents=None, now=NOW, **more):
    gross = sum(ref.amount_cents or 0 for ref in references)
    given = {
        "tenant_id": TENANT, "operation_id": operation_id, "party_id": PARTY, "currency": "USD",
        "references": list(references), "recovery_cents": recovery_cents, "source_hash": "a" * 64, "now": now,
        "amount_cents": gross - recovery_cents if amount_cents is None else amount_cents,
    } | more  # fmt: skip
    return payables.reserve(**given)


def named(operation_id=OPERATION, now=NOW):
    return {"tenant_id": TENANT, "operation_id": operation_id, "now": now}


def available(agent_id=PAYEE) -> int:
    return Wallet.objects.get(tenant_id=TENANT, agent_id=agent_id).available_cents


def balance(account_id) -> int:
    return ledger.balance(tenant_id=TENANT, account_id=account_id, currency="USD")


def clearing() -> int:
    return balance(accounts.payout_clearing(TENANT))


def cash() -> int:
    return balance("acct_cash")


def given(operation_id=OPERATION) -> list[tuple[str, int, bool]]:
    """What an operation rests on: (ref id, cents, is released)."""
    rows = PayoutAllocation.objects.filter(tenant_id=TENANT, operation_id=operation_id).order_by("id")
    return [(row.ref_id, row.amount_cents, row.released_at is not None) for row in rows]


def state(operation_id=OPERATION) -> str:
    return PayoutReservation.objects.get(tenant_id=TENANT, operation_id=operation_id).state


def require_whole() -> None:
    """Every rule of payouts holds, and each wallet says what the journal says."""
    for check in payout_checks.CHECKS:
        assert payout_checks.run(check, tenant_id=TENANT) == [], check.code
    for wallet in Wallet.objects.filter(tenant_id=TENANT):
        account = accounts.available(tenant_id=TENANT, wallet_id=wallet.wallet_id)
        assert balance(account) == wallet.available_cents, wallet.wallet_id


def derived(
    *references: Ref,
    period: str = "2026-02",
    carry_in_cents: int = 0,
    manual_cents: int = 0,
    agent_id: str = PAYEE,
    payable_after: dt.datetime | None = None,
    generation: int = 1,
) -> PartyStatement:
    """A statement as a close derives it, of a closed month, that pays what its references add up to."""
    month = factories.close_month(period)
    MonthClose.objects.filter(pk=month.pk).update(status="CLOSED", closed_at=NOW)
    party_id = f"pty_operator:{agent_id}"
    period_cents = sum(ref.amount_cents or 0 for ref in references) + manual_cents
    listed = [
        {"type": "receipt" if ref.kind == RefKind.SETTLEMENT_RECEIPT else "adjustment", "id": ref.id,
         "hash": ref.hash, "amountCents": ref.amount_cents}
        for ref in references
    ]  # fmt: skip
    name = f"pstmt_{TENANT}_{party_id}_{period}_evt_{generation}"
    body = {
        "schemaVersion": "PartyStatement.v1", "artifactType": "PartyStatement.v1", "artifactId": name,
        "tenantId": TENANT, "partyId": party_id, "period": period,
        "statement": {"partyId": party_id, "currency": "USD", "payableCarryInCents": carry_in_cents,
                      "references": listed, "generation": generation},
    }  # fmt: skip
    sealed = artifacts.seal(Draft(artifact_id=name, artifact_type="PartyStatement.v1", body=body))
    artifacts.store_missing(tenant_id=TENANT, documents=[sealed], now=NOW)
    return PartyStatement.objects.create(
        tenant_id=TENANT, party_id=party_id, period=period, party_role="operator", currency="USD",
        generation=month.generation, status="CLOSED", source="derived",
        payout_cents=period_cents + carry_in_cents, period_payout_cents=period_cents,
        payable_carry_in_cents=carry_in_cents, allocation_count=len(listed), payable_after=payable_after,
        references=listed, statement_hash=sealed.artifact_hash, artifact_id=name,
        artifact_hash=sealed.artifact_hash, closed_at=NOW, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def ms(instant: dt.datetime, milliseconds: int) -> dt.datetime:
    return instant + dt.timedelta(milliseconds=milliseconds)


def scope():
    return tenancy.tenant_scope(TENANT)
