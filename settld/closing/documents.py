"""The documents that closing writes, as plain functions of their inputs.

`PartyStatement.v1` is the statement body itself with its hash added, so that `statementHash`,
`artifactHash` and the hash of the body are one number, as both the section on statements and the
ruling on them ask.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from settld.artifacts.services import Draft, Sealed, seal
from settld.core import clock
from settld.ledger.queries import StreamProof

PARTY_STATEMENT = "PartyStatement.v1"
PAYOUT_INSTRUCTION = "PayoutInstruction.v1"
MONTHLY_STATEMENT = "MonthlyStatement.v1"
ARTIFACT_TYPES = (PARTY_STATEMENT, PAYOUT_INSTRUCTION, MONTHLY_STATEMENT)
PAID_ROLES = ("operator", "subcontractor")


def payable_cents(*, party_role: str, payout_cents: int) -> int:
    """Tell what a statement lets us pay out: never a negative amount, and only to roles that are paid."""
    return payout_cents if payout_cents > 0 and party_role in PAID_ROLES else 0


def payout_key(*, tenant_id: str, party_id: str, period: str, statement_hash: str) -> str:
    """Name the one payout that a statement can lead to (spec/money-rails.md 1)."""
    return f"{tenant_id}:party:{party_id}:period:{period}:statement:{statement_hash}"


def instruction_id(*, tenant_id: str, party_id: str, period: str, statement_hash: str) -> str:
    """Name the one instruction of a payout key."""
    return f"payout_{tenant_id}_{party_id}_{period}_{statement_hash}"


def statement_body(
    *,
    tenant_id: str,
    party_id: str,
    party_role: str,
    period: str,
    basis: str,
    currency: str,
    payout_cents: int,
    payable_after: dt.datetime | None,
    references: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Write the `PartyStatementBody.v1` of a statement made by hand."""
    return {
        "type": "PartyStatementBody.v1",
        "v": 1,
        "currency": currency,
        "tenantId": tenant_id,
        "partyId": party_id,
        "partyRole": party_role,
        "period": period,
        "basis": basis,
        "payoutCents": payout_cents,
        "payableAfter": clock.iso(payable_after),
        "references": list(references),
    }


def sealed_statement(body: dict[str, Any]) -> Sealed:
    """Make the `PartyStatement.v1` of a body; its id follows from its content."""
    sealed = seal(Draft(artifact_id="", artifact_type=PARTY_STATEMENT, body=body))
    name = f"pstmt_{body['tenantId']}_{body['partyId']}_{body['period']}_{sealed.artifact_hash}"
    return replace(sealed, artifact_id=name)


def instruction_draft(
    *,
    tenant_id: str,
    party_id: str,
    party_role: str,
    period: str,
    statement_hash: str,
    currency: str,
    amount_cents: int,
    destination_ref: str | None,
    generated_at: dt.datetime,
    proof: StreamProof,
) -> Draft:
    """Make the `PayoutInstruction.v1` for a statement. At the close the destination is not known yet."""
    name = instruction_id(
        tenant_id=tenant_id, party_id=party_id, period=period, statement_hash=statement_hash
    )
    key = payout_key(tenant_id=tenant_id, party_id=party_id, period=period, statement_hash=statement_hash)
    body = {
        "schemaVersion": PAYOUT_INSTRUCTION,
        "artifactType": PAYOUT_INSTRUCTION,
        "artifactId": name,
        "generatedAt": clock.iso(generated_at),
        "tenantId": tenant_id,
        "partyId": party_id,
        "partyRole": party_role,
        "period": period,
        "statementHash": statement_hash,
        "payoutKey": key,
        "payout": {"currency": currency, "amountCents": amount_cents, "destinationRef": destination_ref},
        "eventProof": proof.as_json(),
        "sourceEventId": proof.source_event_id,
        "atChainHash": proof.at_chain_hash,
    }
    return Draft(artifact_id=name, artifact_type=PAYOUT_INSTRUCTION, body=body)


def monthly_statement_draft(
    *,
    tenant_id: str,
    month: str,
    basis: str,
    generation: int,
    generated_at: dt.datetime,
    totals: Sequence[dict[str, Any]],
    statements_digest: str,
    settled: Sequence[dict[str, Any]],
    entry_count: int,
    proof: StreamProof,
) -> Draft:
    """Make the `MonthlyStatement.v1` of a close: what was settled, and what the month owes."""
    name = f"stmt_{tenant_id}_{month}_{proof.source_event_id}"
    body = {
        "schemaVersion": MONTHLY_STATEMENT,
        "artifactType": MONTHLY_STATEMENT,
        "artifactId": name,
        "generatedAt": clock.iso(generated_at),
        "tenantId": tenant_id,
        "period": month,
        "basis": basis,
        "generation": generation,
        "statementCount": sum(row["statementCount"] for row in totals),
        "totals": list(totals),
        "statementsDigest": statements_digest,
        "settledUnits": sum(row["settlementCount"] for row in settled),
        "settled": list(settled),
        "entryCount": entry_count,
        "eventProof": proof.as_json(),
        "sourceEventId": proof.source_event_id,
        "atChainHash": proof.at_chain_hash,
    }
    return Draft(artifact_id=name, artifact_type=MONTHLY_STATEMENT, body=body)
