"""The documents of a close that rest on the ledger, as plain functions of their inputs.

Every one names the event that asked for the close: `sourceEventId`, `atChainHash`, `eventProof`, and carries
the time of the request, so that a run that starts again writes the same bytes.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from settld.artifacts.services import Sealed
from settld.closing import composing
from settld.closing.composing import Written
from settld.closing.documents import PARTY_STATEMENT
from settld.closing.pay import Pay
from settld.closing.queries.period_lines import Listing, Owner, Sums
from settld.core import clock, money
from settld.ledger.models import MonthClose
from settld.ledger.queries import StreamProof

GL_BATCH: Final = "GLBatch.v1"
GL_BATCH_PART: Final = "GLBatchPart.v1"
JOURNAL_CSV: Final = "JournalCsv.v1"
HELD_ROLLFORWARD: Final = "HeldExposureRollforward.v1"
FINANCE_PACK: Final = "FinancePackBundle.v1"
NET_CLOSE: Final = "EscrowNetClose.v1"
ARTIFACT_TYPES: Final = (GL_BATCH, GL_BATCH_PART, JOURNAL_CSV, HELD_ROLLFORWARD, FINANCE_PACK, NET_CLOSE)
HOME_CURRENCY: Final = "USD"


def envelope(
    artifact_type: str, artifact_id: str, *, month: MonthClose, proof: StreamProof, generated_at: dt.datetime
) -> dict[str, Any]:
    """Write the members that every document of a close has."""
    return {
        "schemaVersion": artifact_type,
        "artifactType": artifact_type,
        "artifactId": artifact_id,
        "generatedAt": clock.iso(generated_at),
        "tenantId": month.tenant_id,
        "period": month.month,
        "basis": month.basis,
        "eventProof": proof.as_json(),
        "sourceEventId": proof.source_event_id,
        "atChainHash": proof.at_chain_hash,
    }


def party_statement(
    *,
    month: MonthClose,
    listing: Listing,
    sums: Sums,
    pay: Pay,
    references: Written,
    payable_after: dt.datetime | None,
    names_role: bool,
    proof: StreamProof,
    generated_at: dt.datetime,
) -> Sealed:
    """Write the `PartyStatement.v1` of one party, role and currency."""
    party_id, party_role, currency = listing.owner
    name = f"pstmt_{month.tenant_id}_{party_id}_{month.month}_{proof.source_event_id}"
    name += f"_{party_role}" if names_role else ""
    name += f"_{currency}" if currency != HOME_CURRENCY else ""
    fees = -sums.by_account.get("acct_platform_revenue", 0)
    credits_ = -sums.by_account.get("acct_customer_credits_payable", 0)
    statement = {
        "type": "PartyStatementBody.v1",
        "v": 1,
        "currency": currency,
        "tenantId": month.tenant_id,
        "partyId": party_id,
        "partyRole": party_role,
        "period": month.month,
        "basis": month.basis,
        "allocationDigest": listing.digest,
        "allocationCount": sums.line_count,
        "includedEntryIds": listing.entry_ids,
        "totalsByAccountId": sums.by_account,
        "balanceDeltaCents": sum(sums.by_account.values()),
        "feesCents": fees,
        "payoutCents": pay.payout_cents,
        "creditsCents": credits_,
        "netCents": fees + pay.period_cents + credits_,
        "periodPayoutCents": pay.period_cents,
        "payableCarryInCents": pay.carry_in_cents,
        "payableCarryOutCents": pay.carry_out_cents,
        "payableAfter": clock.iso(payable_after),
        "references": references,
    }
    body = envelope(PARTY_STATEMENT, name, month=month, proof=proof, generated_at=generated_at)
    body |= {"partyId": party_id, "partyRole": party_role, "currency": currency}
    body["statement"] = Written(composing.dumps(statement))
    return composing.seal(artifact_id=name, artifact_type=PARTY_STATEMENT, body=body)


def gl_batch_id(month: MonthClose, proof: StreamProof) -> str:
    """Name the GL batch of a close."""
    return f"gl_{month.tenant_id}_{month.month}_{proof.source_event_id}"


def gl_batch(
    *,
    month: MonthClose,
    sums: Mapping[Owner, Sums],
    lines: Written,
    parts: Sequence[Mapping[str, Any]] | None,
    monthly_statement_hash: str,
    proof: StreamProof,
    generated_at: dt.datetime,
) -> Sealed:
    """Write the `GLBatch.v1` of a close; `parts` names the documents that hold a very large one's lines."""
    name = gl_batch_id(month, proof)
    batch: dict[str, Any] = {
        "type": "GLBatchBody.v1",
        "tenantId": month.tenant_id,
        "period": month.month,
        "basis": month.basis,
        "generatedAt": clock.iso(generated_at),
        "monthClose": {
            "month": month.month,
            "basis": month.basis,
            "monthCloseEventId": proof.source_event_id,
            "monthlyStatementArtifactHash": monthly_statement_hash,
        },
        "totals": gl_totals(sums),
        "lines": Written(b"[" + lines + b"]"),
    }
    if parts is not None:
        batch["lineCount"] = sum(part["lineCount"] for part in parts)
        batch["parts"] = list(parts)
    body = envelope(GL_BATCH, name, month=month, proof=proof, generated_at=generated_at)
    body["batch"] = Written(composing.dumps(batch))
    return composing.seal(artifact_id=name, artifact_type=GL_BATCH, body=body)


def gl_batch_part(
    *, month: MonthClose, number: int, lines: Written, proof: StreamProof, generated_at: dt.datetime
) -> Sealed:
    """Write one part of a GL batch that is too long for one document; parts count from 1."""
    name = f"{gl_batch_id(month, proof)}_part_{number:05d}"
    body = envelope(GL_BATCH_PART, name, month=month, proof=proof, generated_at=generated_at)
    body |= {"glBatchArtifactId": gl_batch_id(month, proof), "part": number}
    body["lines"] = Written(b"[" + lines + b"]")
    return composing.seal(artifact_id=name, artifact_type=GL_BATCH_PART, body=body)


def gl_totals(sums: Mapping[Owner, Sums]) -> dict[str, Any]:
    """Add up by account and by party: US dollars on top, other currencies under `byCurrency`."""
    by_currency: dict[str, dict[str, dict[str, int]]] = {}
    for (party_id, _, currency), own in sums.items():
        found = by_currency.setdefault(
            currency, {"totalsByAccountId": defaultdict(int), "totalsByPartyId": defaultdict(int)}
        )
        for account_id, cents in own.by_account.items():
            found["totalsByAccountId"][account_id] += cents
            found["totalsByPartyId"][party_id] += cents
    shaped = {currency: _shaped(found) for currency, found in by_currency.items()}
    totals = shaped.pop(HOME_CURRENCY, {"totalCents": 0, "totalsByAccountId": {}, "totalsByPartyId": {}})
    return totals | ({"byCurrency": shaped} if shaped else {})


def _shaped(found: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    return {
        "totalCents": money.exact(sum(found["totalsByAccountId"].values())),
        **{name: {key: money.exact(cents) for key, cents in of.items()} for name, of in found.items()},
    }
