"""How this room's answers look, for the published description."""

from reconciliation.queries.comparison import GROUPS
from reconciliation.services.rows import TRIAGE_STATUSES
from reconciliation.states import OPERATION_STATES, ReportStatus, Severity
from settld.api.openapi import CENTS, INSTANT, INT, OBJECT, TEXT, Schema, many, maybe, obj, one_of

PERIOD: Schema = {"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$"}
_PAYOUT = {"operationId": TEXT, "payoutKey": TEXT}
_ROWS: dict[str, Schema] = {
    "missingOperations": obj(
        {**_PAYOUT, "amountCents": CENTS, "currency": TEXT, "partyId": maybe(TEXT), "artifactId": TEXT}
    ),
    "amountMismatches": obj({**_PAYOUT, "expectedAmountCents": CENTS, "actualAmountCents": CENTS}),
    "currencyMismatches": obj({**_PAYOUT, "expectedCurrency": TEXT, "actualCurrency": TEXT}),
    "terminalFailures": obj({**_PAYOUT, "state": TEXT, "reasonCode": maybe(TEXT)}),
    "unexpectedOperations": obj(
        {**_PAYOUT, "amountCents": CENTS, "currency": TEXT, "state": TEXT, "reasonCode": maybe(TEXT)}
    ),
    "duplicateExpected": obj({**_PAYOUT, "primaryArtifactId": TEXT, "duplicateArtifactId": TEXT}),
    "indeterminateOperations": obj({**_PAYOUT, "attempt": INT, "since": INSTANT}),
    "unreferencedMovements": obj({"operationId": TEXT, "providerRef": maybe(TEXT), "amountCents": CENTS}),
}
_COUNTS = (
    "expectedPayoutCount",
    "operationCount",
    "matchedCount",
    "settledCount",
    "inFlightCount",
    "cancelledCount",
    "offsetSettledCount",
    "criticalMismatchCount",
)
SUMMARY = obj(
    dict.fromkeys(_COUNTS, INT)
    | {
        "expectedPayoutAmountCents": {"anyOf": [CENTS, {"type": "string", "pattern": "^[0-9]+$"}]},
        "operationStateCounts": obj(dict.fromkeys(OPERATION_STATES, INT)),
    }
)
QUEUE_ROW = obj(
    {
        "sourceType": TEXT,
        "period": PERIOD,
        "providerId": maybe(TEXT),
        "mismatchType": TEXT,
        "mismatchKey": TEXT,
        "mismatchCode": TEXT,
        "severity": one_of(*Severity.values),
        "title": TEXT,
        "details": OBJECT,
        "mismatchHash": TEXT,
        "triageKey": TEXT,
        "triage": maybe(OBJECT),
    }
)
RAIL_RECONCILE = obj(
    {
        "ok": {"type": "boolean", "enum": [True]},
        "tenantId": TEXT,
        "period": PERIOD,
        "providerId": TEXT,
        "status": one_of(*ReportStatus.values),
        "reportHash": TEXT,
        "summary": SUMMARY,
        "mismatches": obj({group: many(_ROWS[group]) for group in GROUPS}),
        "artifact": maybe(obj({"artifactId": TEXT, "artifactHash": TEXT, "deliveriesCreated": INT})),
        "triageQueue": many(QUEUE_ROW),
        "triageSummary": obj(
            {
                "total": INT,
                "byStatus": obj(dict.fromkeys(TRIAGE_STATUSES, INT)),
                "unresolved": INT,
                "resolved": INT,
            }
        ),
    }
)
