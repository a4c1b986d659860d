"""The kernel's hashed documents, as plain functions of their inputs (kernel spec 4, 6.4, 7, 8, 9.2, 9.3).

Each gives an object in wire order with its own hash as the last member. A hash covers exactly the members
listed by the spec plus schemaVersion, so a document carries nothing else: whoever holds it takes the hash
off and hashes the rest. Instants are texts as `clock.iso` writes them; ids come from the caller.

How the open spots are read here: members the spec marks with "?" are left out when there is nothing to say,
all others are there with null. `policyHashUsed` names the hashes of the defaults where there is no policy;
`policyRef` then holds nulls, because nothing was pinned.
"""

from settld.kernel.documents.deciding import (
    DECISION_SCHEMA,
    FINALITY_PROVIDER,
    RECEIPT_SCHEMA,
    decision_record,
    decision_trace,
    settlement_receipt,
)
from settld.kernel.documents.judging import (
    ARBITRATION_VERDICT_SCHEMA,
    DISPUTE_VERDICT_SCHEMA,
    arbitration_verdict_core,
    dispute_verdict_core,
)
from settld.kernel.documents.moving import (
    FUNDING_RECEIPT_SCHEMA,
    HOLD_SCHEMA,
    KERNEL_ADJUSTMENT_SCHEMA,
    SETTLEMENT_ADJUSTMENT_SCHEMA,
    funding_hold,
    funding_receipt,
    held_amount_cents,
    kernel_adjustment,
    settlement_adjustment,
)
from settld.kernel.documents.sealing import document_hash

__all__ = [
    "ARBITRATION_VERDICT_SCHEMA",
    "DECISION_SCHEMA",
    "DISPUTE_VERDICT_SCHEMA",
    "FINALITY_PROVIDER",
    "FUNDING_RECEIPT_SCHEMA",
    "HOLD_SCHEMA",
    "KERNEL_ADJUSTMENT_SCHEMA",
    "RECEIPT_SCHEMA",
    "SETTLEMENT_ADJUSTMENT_SCHEMA",
    "arbitration_verdict_core",
    "decision_record",
    "decision_trace",
    "dispute_verdict_core",
    "document_hash",
    "funding_hold",
    "funding_receipt",
    "held_amount_cents",
    "kernel_adjustment",
    "settlement_adjustment",
    "settlement_receipt",
]
