"""A month's books, made row by row, so that each test can spoil exactly one of them."""

import dataclasses
import datetime as dt
import uuid
from typing import Any

from moneyrails.models import DispatchAttempt, Movement, Operation, PayoutOutcome
from reconciliation.services import rail_report
from settld.artifacts.services import Draft, seal, store_missing
from settld.closing.models import PartyStatement
from settld.core.hashing import sha256_hex

NOW = dt.datetime(2026, 3, 5, 12, 0, tzinfo=dt.UTC)
TENANT = "tenant_books"
PERIOD = "2026-02"
PROVIDER = "stub_default"
STAMPS = {
    "initiated": (),
    "submitted": ("submitted_at",),
    "confirmed": ("submitted_at", "confirmed_at"),
    "failed": ("submitted_at", "failed_at"),
    "cancelled": ("cancelled_at",),
    "reversed": ("submitted_at", "confirmed_at", "reversed_at"),
}


@dataclasses.dataclass
class Books:
    """One tenant's statements, instructions and operations."""

    tenant_id: str = TENANT

    def statement(self, party: str, *, cents: int = 10_000, period: str = PERIOD, **more: Any) -> str:
        """State what a party is owed; gives the payout key."""
        digest = sha256_hex(f"{party}{period}{cents}")
        fields = {
            "status": "CLOSED", "closed_at": NOW, "party_role": "operator", "currency": "USD",
            "generation": 1, "source": "manual", "payout_cents": cents, "statement_hash": digest,
            "artifact_id": f"pstmt_{digest}", "artifact_hash": digest, "created_at": NOW, "updated_at": NOW,
        }  # fmt: skip
        PartyStatement.objects.create(
            tenant_id=self.tenant_id, party_id=party, period=period, **fields | more
        )
        return f"{self.tenant_id}:party:{party}:period:{period}:statement:{digest}"

    def instruct(
        self, payout_key: str, *, cents: int = 10_000, currency: str = "USD", name: str | None = None
    ) -> str:
        """Store a payout instruction; gives its artifact id."""
        _, _, party, _, period, _, _ = payout_key.split(":")
        artifact_id = name or f"payout_{payout_key}".replace(":", "_")
        body = {
            "schemaVersion": "PayoutInstruction.v1",
            "artifactId": artifact_id,
            "tenantId": self.tenant_id,
            "partyId": party,
            "period": period,
            "payoutKey": payout_key,
            "payout": {"currency": currency, "amountCents": cents},
        }
        draft = Draft(artifact_id=artifact_id, artifact_type="PayoutInstruction.v1", body=body)
        store_missing(tenant_id=self.tenant_id, documents=[seal(draft)], now=NOW)
        return artifact_id

    def operate(
        self,
        payout_key: str,
        *,
        cents: int = 10_000,
        state: str = "confirmed",
        provider: str = PROVIDER,
        **more: Any,
    ) -> Operation:
        """Make an operation in a state, with the movement that such a state implies."""
        _, _, party, _, period, _, digest = payout_key.split(":")
        mode = "production" if provider.startswith("stripe") else "sandbox"
        fields = {
            "operation_id": f"mop_{payout_key}", "direction": "payout", "currency": "USD",
            "counterparty_ref": f"party:{party}", "provider_mode": mode, "initiated_at": NOW,
            "request_hash": "", "created_at": NOW, "updated_at": NOW,
        } | dict.fromkeys(STAMPS[state], NOW)  # fmt: skip
        operation = Operation.objects.create(
            tenant_id=self.tenant_id, provider_id=provider, payout_key=payout_key, party_id=party,
            period=period, statement_hash=digest, amount_cents=cents, state=state, **fields | more,
        )  # fmt: skip
        if operation.submitted_at is not None:
            self.move(operation, reference_id=payout_key)
        return operation

    def move(self, operation: Operation, *, reference_id: str) -> None:
        """Record that an operation's money left."""
        Movement.objects.create(
            tenant_id=self.tenant_id, operation=operation, kind="transfer", at=NOW, recorded_at=NOW,
            provider_id=operation.provider_id, provider_mode=operation.provider_mode,
            provider_ref=f"tr_{operation.party_id}", amount_cents=operation.amount_cents,
            currency=operation.currency, reference_type="party_statement", reference_id=reference_id,
        )  # fmt: skip

    def pay(self, party: str, *, cents: int = 10_000, period: str = PERIOD, **more: Any) -> Operation:
        """Do a payout from statement to confirmation, unless told otherwise."""
        key = self.statement(party, cents=cents, period=period)
        self.instruct(key, cents=cents)
        return self.operate(key, **{"cents": cents} | more)

    def dispatch(self, operation: Operation, *, since: dt.datetime, **more: Any) -> None:
        """Leave an attempt to send an operation, begun at an instant."""
        fields = {
            "status": "in_doubt", "attempt": 1, "lease_token": uuid.uuid4(), "first_sent_at": since,
            "idempotency_key": f"st_tr_{operation.pk}", "created_at": since, "updated_at": since,
        }  # fmt: skip
        DispatchAttempt.objects.create(tenant_id=self.tenant_id, operation=operation, **fields | more)

    def offset(self, payout_key: str) -> None:
        """Use up a payout's earnings for an old debt."""
        _, _, party, _, period, _, _ = payout_key.split(":")
        PayoutOutcome.objects.create(
            tenant_id=self.tenant_id, payout_key=payout_key, party_id=party, period=period, kind="offset",
            provider_id=PROVIDER, counterparty_ref=f"party:{party}", response={}, created_at=NOW,
        )  # fmt: skip

    def reconcile(
        self,
        *,
        period: str = PERIOD,
        provider: str | None = None,
        persist: bool = False,
        now: dt.datetime = NOW,
    ) -> rail_report.RailReport:
        """Compare."""
        return rail_report.reconcile(
            tenant_id=self.tenant_id, period=period, provider_id=provider, persist=persist, now=now
        )


def found(report: rail_report.RailReport) -> dict[str, list[dict[str, Any]]]:
    """The groups that hold rows."""
    return {group: rows for group, rows in report.core["mismatches"].items() if rows}
