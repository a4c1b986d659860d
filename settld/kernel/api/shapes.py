"""The kernel's wire objects as the published description shows them; `settld.kernel.wire` makes them."""

from collections.abc import Mapping
from typing import Final

from settld.api.openapi import BOOL, CENTS, INSTANT, INT, OBJECT, TEXT, Schema, many, maybe, obj, one_of
from settld.kernel import chain, documents, folding, wire
from settld.kernel.states import (
    AdjustmentKind,
    AgentStatus,
    DecisionMode,
    DecisionStatus,
    DisputeStatus,
    Finality,
    FundingSource,
    HoldStatus,
    OwnerType,
    RunEventType,
    RunStatus,
    SettlementStatus,
)
from settld.policies.evaluation import VERIFICATION_STATUSES

OPTIONAL: Final = maybe(TEXT)
OPTIONAL_INSTANT: Final = maybe(INSTANT)
OPTIONAL_OBJECT: Final = maybe(OBJECT)
RATE: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 100}
AMOUNT: Final[Schema] = {**CENTS, "minimum": 1, "maximum": 2**53 - 1}
SUM: Final[Schema] = {"description": "minor units; a text of digits beyond 2^53-1", "oneOf": [INT, TEXT]}
CURRENCY: Final[Schema] = {"type": "string", "pattern": "^[A-Z][A-Z0-9_]{2,11}$", "default": "USD"}
HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
OPTIONAL_HASH: Final = maybe(HASH)
AGENT_STATUS: Final = one_of(*AgentStatus.values)
RUN_STATUS: Final = one_of(*RunStatus.values)


def _versioned(name: str, members: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Make a hashed document: its name and exactly its members."""
    return obj({"schemaVersion": one_of(name), **members}, optional=optional)


def _wire_object(
    name: str, members: Mapping[str, Schema], *, instants: Schema = INSTANT, optional: tuple[str, ...] = ()
) -> Schema:
    """Make what every wire object has besides (2.5)."""
    return _versioned(
        name,
        {**members, "tenantId": TEXT, "createdAt": instants, "updatedAt": instants},
        optional=optional,
    )


WALLET_POLICY: Final = obj(
    {
        "maxPerTransactionCents": maybe(CENTS),
        "maxDailyCents": maybe(CENTS),
        "requireApprovalAboveCents": maybe(CENTS),
    }
)
AGENT: Final = _wire_object(
    wire.AGENT_SCHEMA,
    {
        "agentId": TEXT,
        "displayName": TEXT,
        "description": OPTIONAL,
        "status": AGENT_STATUS,
        "owner": obj({"ownerType": one_of(*OwnerType.values), "ownerId": TEXT}),
        "keys": obj({"keyId": TEXT, "algorithm": one_of("ed25519"), "publicKeyPem": TEXT}),
        "capabilities": many(TEXT),
        "walletPolicy": maybe(WALLET_POLICY),
        "metadata": OPTIONAL_OBJECT,
    },
)
WALLET: Final = _wire_object(
    wire.WALLET_SCHEMA,
    {
        "walletId": TEXT,
        "agentId": TEXT,
        "currency": CURRENCY,
        "availableCents": CENTS,
        "escrowLockedCents": CENTS,
        "totalDebitedCents": SUM,
        "totalCreditedCents": SUM,
        "revision": INT,
    },
    instants=OPTIONAL_INSTANT,
)
FUNDING_RECEIPT: Final = _versioned(
    documents.FUNDING_RECEIPT_SCHEMA,
    {
        "receiptId": TEXT,
        "tenantId": TEXT,
        "walletId": TEXT,
        "agentId": TEXT,
        "amountCents": AMOUNT,
        "currency": CURRENCY,
        "sourceType": one_of(*FundingSource.values),
        "externalRef": OPTIONAL,
        "journalEntryId": TEXT,
        "createdAt": INSTANT,
        "receiptHash": HASH,
    },
)
RUN: Final = _wire_object(
    folding.RUN_SCHEMA,
    {
        "runId": TEXT,
        "agentId": TEXT,
        "taskType": OPTIONAL,
        "inputRef": OPTIONAL,
        "status": RUN_STATUS,
        "evidenceRefs": many(TEXT),
        "metrics": OPTIONAL_OBJECT,
        "failure": maybe(obj({"code": OPTIONAL, "message": OPTIONAL})),
        "startedAt": OPTIONAL_INSTANT,
        "completedAt": OPTIONAL_INSTANT,
        "failedAt": OPTIONAL_INSTANT,
        "revision": INT,
        "lastEventId": TEXT,
        "lastChainHash": HASH,
    },
)
EVENT: Final = _wire_object(
    chain.EVENT_SCHEMA,
    {
        "v": INT,
        "id": TEXT,
        "at": INSTANT,
        "streamId": TEXT,
        "type": one_of(*RunEventType.values),
        "actor": OBJECT,
        "payload": OBJECT,
        "payloadHash": HASH,
        "prevChainHash": OPTIONAL_HASH,
        "chainHash": HASH,
        "signature": TEXT,
        "signerKeyId": TEXT,
    },
)
VERIFICATION: Final = obj(
    {
        "verificationStatus": one_of(*VERIFICATION_STATUSES),
        "runStatus": RUN_STATUS,
        "reasonCodes": many(TEXT),
        "evidenceCount": INT,
        "eventCount": INT,
        "durationMs": maybe(INT),
        "settlementReleaseRatePct": maybe(RATE),
    }
)
SETTLEMENT: Final = _wire_object(
    wire.SETTLEMENT_SCHEMA,
    {
        "settlementId": TEXT,
        "runId": TEXT,
        "agentId": TEXT,
        "payerAgentId": TEXT,
        "amountCents": AMOUNT,
        "currency": CURRENCY,
        "status": one_of(*SettlementStatus.values),
        "lockedAt": INSTANT,
        "resolvedAt": OPTIONAL_INSTANT,
        "resolutionEventId": OPTIONAL,
        "runStatus": maybe(RUN_STATUS),
        "releasedAmountCents": CENTS,
        "refundedAmountCents": CENTS,
        "releaseRatePct": maybe(RATE),
        "disputeWindowDays": INT,
        "disputeWindowEndsAt": OPTIONAL_INSTANT,
        "disputeStatus": one_of(*DisputeStatus.values),
        "disputeId": OPTIONAL,
        "disputeOpenedAt": OPTIONAL_INSTANT,
        "disputeClosedAt": OPTIONAL_INSTANT,
        "disputeVerdictId": OPTIONAL,
        "disputeVerdictHash": OPTIONAL_HASH,
        "disputeVerdictArtifactId": OPTIONAL,
        "disputeVerdictSignerKeyId": OPTIONAL,
        "disputeVerdictIssuedAt": OPTIONAL_INSTANT,
        "disputeContext": OPTIONAL_OBJECT,
        "disputeResolution": OPTIONAL_OBJECT,
        "decisionStatus": one_of(*DecisionStatus.values),
        "decisionMode": one_of(*DecisionMode.values),
        "decisionPolicyHash": OPTIONAL_HASH,
        "decisionReason": OPTIONAL,
        "decisionTrace": OPTIONAL_OBJECT,
        "decisionUpdatedAt": OPTIONAL_INSTANT,
        "revision": INT,
    },
)
DECISION_RECORD: Final = _versioned(
    documents.DECISION_SCHEMA,
    {
        "decisionId": TEXT,
        "tenantId": TEXT,
        "runId": TEXT,
        "settlementId": TEXT,
        "agreementId": OPTIONAL,
        "decisionStatus": one_of(*DecisionStatus.values),
        "decisionMode": one_of(*DecisionMode.values),
        "decisionReason": OPTIONAL,
        "verificationStatus": maybe(one_of(*VERIFICATION_STATUSES)),
        "policyNormalizationVersion": TEXT,
        "policyHashUsed": HASH,
        "verificationMethodHashUsed": HASH,
        "policyRef": obj({"policyHash": OPTIONAL_HASH, "verificationMethodHash": OPTIONAL_HASH}),
        "verifierRef": obj(
            {"verifierId": TEXT, "verifierVersion": TEXT, "verifierHash": OPTIONAL_HASH, "modality": TEXT}
        ),
        "workRef": obj(
            {
                "runStatus": RUN_STATUS,
                "runLastEventId": OPTIONAL,
                "runLastChainHash": OPTIONAL_HASH,
                "resolutionEventId": OPTIONAL,
            }
        ),
        "decidedAt": INSTANT,
        "decisionHash": HASH,
    },
)
SETTLEMENT_RECEIPT: Final = _versioned(
    documents.RECEIPT_SCHEMA,
    {
        "receiptId": TEXT,
        "tenantId": TEXT,
        "runId": TEXT,
        "settlementId": TEXT,
        "decisionRef": obj({"decisionId": TEXT, "decisionHash": HASH}),
        "status": one_of(*SettlementStatus.values),
        "amountCents": AMOUNT,
        "releasedAmountCents": CENTS,
        "refundedAmountCents": CENTS,
        "releaseRatePct": maybe(RATE),
        "currency": CURRENCY,
        "runStatus": RUN_STATUS,
        "resolutionEventId": OPTIONAL,
        "finalityProvider": one_of(documents.FINALITY_PROVIDER),
        "finalityState": one_of(*Finality.values),
        "settledAt": OPTIONAL_INSTANT,
        "createdAt": INSTANT,
        "receiptHash": HASH,
    },
)
KERNEL_VERIFICATION: Final = obj({"valid": BOOL, "errors": many(TEXT)})
SETTLED: Final[dict[str, Schema]] = {
    "settlement": SETTLEMENT,
    "decisionRecord": maybe(DECISION_RECORD),
    "settlementReceipt": maybe(SETTLEMENT_RECEIPT),
    "kernelVerification": KERNEL_VERIFICATION,
}
HOLD: Final = _wire_object(
    documents.HOLD_SCHEMA,
    {
        "agreementHash": HASH,
        "receiptHash": HASH,
        "payerAgentId": TEXT,
        "payeeAgentId": TEXT,
        "amountCents": AMOUNT,
        "heldAmountCents": CENTS,
        "currency": CURRENCY,
        "holdbackBps": INT,
        "challengeWindowMs": INT,
        "holdHash": HASH,
        "status": one_of(*HoldStatus.values),
        "revision": INT,
        "resolvedAt": INSTANT,
        "metadata": OPTIONAL_OBJECT,
    },
    optional=("resolvedAt", "metadata"),
)
ADJUSTMENT: Final = obj(
    {
        "schemaVersion": one_of(
            documents.SETTLEMENT_ADJUSTMENT_SCHEMA, documents.KERNEL_ADJUSTMENT_SCHEMA
        ),
        "adjustmentId": TEXT,
        "tenantId": TEXT,
        "agreementHash": HASH,
        "receiptHash": HASH,
        "holdHash": HASH,
        "kind": one_of(*AdjustmentKind.values),
        "amountCents": CENTS,
        "shortfallCents": CENTS,
        "currency": CURRENCY,
        "sourceRef": obj({"kind": TEXT, "id": TEXT, "hash": OPTIONAL_HASH}),
        "verdictRef": OPTIONAL_OBJECT,
        "createdAt": INSTANT,
        "adjustmentHash": HASH,
        "metadata": OBJECT,
    },
    optional=(
        "agreementHash", "receiptHash", "holdHash", "shortfallCents", "sourceRef", "verdictRef", "metadata",
    ),
)  # fmt: skip
DISPUTE: Final = _wire_object(
    wire.DISPUTE_SCHEMA,
    {
        "disputeId": TEXT,
        "runId": TEXT,
        "settlementId": TEXT,
        "status": one_of(DisputeStatus.OPEN, DisputeStatus.CLOSED),
        "context": OBJECT,
        "openedAt": INSTANT,
        "openedByAgentId": OPTIONAL,
        "closedAt": OPTIONAL_INSTANT,
        "resolution": OPTIONAL_OBJECT,
        "verdict": OPTIONAL_OBJECT,
    },
)
DISPUTE_EVIDENCE: Final = obj({"evidenceRef": TEXT, "submittedAt": INSTANT, "submittedByAgentId": OPTIONAL})
