"""A world with money in it: providers, controls, closed statements, operations; made by our own verbs."""

import datetime as dt
from typing import Any

from moneyrails.models import MoneyRailControls, Operation
from moneyrails.rails.base import Transfer, TransferOrder
from moneyrails.services import controls, enqueue, events, submission
from moneyrails.services.facts import Fact
from settld.artifacts import services as artifacts
from settld.closing import documents
from settld.closing.models import PartyStatement
from settld.core.principals import Actor
from settld.ledger.models import MonthClose
from settld.ledger.queries import StreamProof
from settld.ledger.services import events as month_events
from settld.settings_parsing import EVENT_TYPES, MoneyRails, Provider

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
TENANT = "tenant_a"
ACTOR = Actor(principal_id="ops_token:tests", request_id="req_tests")
SECRET = "whsec_rail_tests"
ACCOUNT = "acct_party1"
CONNECTED = f"stripe_connect:{ACCOUNT}"


def provider(provider_id: str, mode: str = "sandbox", **more: Any) -> Provider:
    """A configured provider; `more` as in Provider."""
    status_map = {event_type: event_type for event_type in EVENT_TYPES} | more.pop("status_map", {})
    more.setdefault("requires_signed_ingest", bool(more.get("webhook_secret")))
    return Provider(provider_id=provider_id, mode=mode, status_map=status_map, **more)


def rails(*more: Provider) -> MoneyRails:
    """The deployment that tests run in: a sandbox, a second one, a signed one, Stripe, and a bank by hand."""
    known = (
        provider("stub_default"),
        provider("stub_other", status_map={"paid": "confirmed"}),
        provider("stub_signed", webhook_secret=SECRET),
        provider("stub_closed", allow_payout=False),
        provider("stripe_sim", "production"),
        provider("bank_wire", "production"),
        *more,
    )
    return MoneyRails("sandbox", "stub_default", {entry.provider_id: entry for entry in known})


def set_controls(*, tenant_id: str = TENANT, now: dt.datetime = NOW, **values: Any) -> MoneyRailControls:
    """Set the controls as a client would, `realMoneyEnabled=True` and so on."""
    controls.replace(tenant_id=tenant_id, payload=values, now=now)
    return MoneyRailControls.objects.get(tenant_id=tenant_id)


def close_month(period: str = "2026-01", *, tenant_id: str = TENANT, status: str = "CLOSED") -> MonthClose:
    """A month whose close was asked for, and carried out unless told otherwise."""
    row = MonthClose.objects.filter(tenant_id=tenant_id, month=period).first()
    if row is None:
        row = MonthClose(
            tenant_id=tenant_id, month=period, status=status, requested_at=NOW,
            closed_at=NOW if status == "CLOSED" else None, created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        month_events.append(month=row, event_type="MONTH_CLOSE_REQUESTED", payload={}, actor=ACTOR, at=NOW)
        row.save()
    return row


def statement(
    party_id: str = "party1",
    period: str = "2026-01",
    payout_cents: int = 10_000,
    *,
    tenant_id: str = TENANT,
    party_role: str = "operator",
    currency: str = "USD",
    status: str = "CLOSED",
    payable_after: dt.datetime | None = None,
    generation: int = 1,
    instruction: bool = True,
) -> PartyStatement:
    """A statement as the close leaves it, with its instruction; the month is not touched."""
    body = documents.statement_body(
        tenant_id=tenant_id, party_id=party_id, party_role=party_role, period=period, basis="settledAt",
        currency=currency, payout_cents=payout_cents, payable_after=payable_after,
        references=[{"type": "settlement", "id": f"stl_{party_id}_{period}"}],
    )  # fmt: skip
    artifact = documents.sealed_statement(body)
    artifacts.store_missing(tenant_id=tenant_id, documents=[artifact], now=NOW)
    row = PartyStatement.objects.create(
        tenant_id=tenant_id, party_id=party_id, period=period, party_role=party_role, currency=currency,
        generation=generation, status=status, source="manual", payout_cents=payout_cents,
        payable_after=payable_after, references=body["references"], statement_hash=artifact.artifact_hash,
        artifact_id=artifact.artifact_id, artifact_hash=artifact.artifact_hash,
        closed_at=NOW if status == "CLOSED" else None, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    if instruction and row.payable_cents > 0:
        _instruct(row)
    return row


def _instruct(row: PartyStatement) -> None:
    draft = documents.instruction_draft(
        tenant_id=row.tenant_id, party_id=row.party_id, party_role=row.party_role, period=row.period,
        statement_hash=row.statement_hash, currency=row.currency, amount_cents=row.payable_cents,
        destination_ref=None, generated_at=NOW,
        proof=StreamProof(f"evt_{row.period}", "c" * 64, 1, ("key_tests",)),
    )  # fmt: skip
    artifacts.get_or_create(
        tenant_id=row.tenant_id, artifact_id=draft.artifact_id, artifact_type=draft.artifact_type,
        body=draft.body, now=NOW,
    )  # fmt: skip


def closed(
    party_id: str = "party1", period: str = "2026-01", payout_cents: int = 10_000, **more: Any
) -> PartyStatement:
    """A statement that may be paid: its month is closed."""
    close_month(period, tenant_id=more.get("tenant_id", TENANT))
    return statement(party_id, period, payout_cents, **more)


def supersede(row: PartyStatement, payout_cents: int, **more: Any) -> PartyStatement:
    """Restate a party's period after a reopen: the old statement is history."""
    PartyStatement.objects.filter(pk=row.pk).update(superseded_at=NOW)
    return statement(
        row.party_id, row.period, payout_cents, tenant_id=row.tenant_id, generation=row.generation + 1, **more
    )


def enqueued(
    party_id: str = "party1",
    period: str = "2026-01",
    payout_cents: int = 10_000,
    *,
    provider_id: str = "",
    counterparty_ref: str = "",
    tenant_id: str = TENANT,
    now: dt.datetime = NOW,
) -> Operation:
    """An initiated operation for a statement of its own."""
    closed(party_id, period, payout_cents, tenant_id=tenant_id)
    made = enqueue.enqueue(
        tenant_id=tenant_id, party_id=party_id, period=period, provider_id=provider_id,
        counterparty_ref=counterparty_ref, actor=ACTOR, now=now,
    )  # fmt: skip
    assert made.operation is not None
    return made.operation


def real_payout(party_id: str = "party1", period: str = "2026-01", payout_cents: int = 10_000) -> Operation:
    """An initiated operation over Stripe, real money on."""
    set_controls(realMoneyEnabled=True)
    return enqueued(party_id, period, payout_cents, provider_id="stripe_sim", counterparty_ref=CONNECTED)


def key_of(operation: Operation) -> dict[str, str]:
    """What names an operation to the verbs."""
    return {
        "tenant_id": operation.tenant_id,
        "provider_id": operation.provider_id,
        "operation_id": operation.operation_id,
    }


def submitted(operation: Operation, **more: Any) -> Operation:
    """Submit it."""
    return submission.submit(**key_of(operation), actor=ACTOR, now=NOW, **more).operation


def told(operation: Operation, event_type: str, **more: Any) -> events.Ingested:
    """Have the provider tell something about an operation."""
    now = more.pop("now", NOW)
    fact = Fact(event_type=event_type, at=more.pop("at", now), **more)
    return events.ingest(**key_of(operation), fact=fact, actor=ACTOR, now=now)


def walked(operation: Operation, *event_types: str) -> Operation:
    """Take an operation along some events."""
    for number, event_type in enumerate(event_types):
        operation = told(operation, event_type, event_id=f"evt_{event_type}_{number}").operation
    return operation


class RecordingRail:
    """Stripe as a dictionary: one transfer per key; `failures` are raised before or after the effect."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.made: dict[str, Transfer] = {}
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.searches = 0

    def create_transfer(self, order: TransferOrder) -> Transfer:
        self.keys.append(order.idempotency_key)
        if self.before:
            raise self.before.pop(0)
        transfer = self.made.setdefault(order.idempotency_key, self.transfer_for(order))
        if self.after:
            raise self.after.pop(0)
        return transfer

    def transfer_for(self, order: TransferOrder) -> Transfer:
        return Transfer(
            f"tr_{len(self.made) + 1}_{order.operation_id[-8:]}", order.amount_cents, order.currency.lower(),
            order.destination, order.operation_id, NOW,
        )  # fmt: skip

    def retrieve_transfer(self, transfer_id: str) -> Transfer | None:
        return next((one for one in self.made.values() if one.transfer_id == transfer_id), None)

    def find_transfers(self, order: TransferOrder) -> list[Transfer]:
        self.searches += 1
        return [transfer for transfer in self.made.values() if transfer.operation_id == order.operation_id]
